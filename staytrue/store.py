"""The model store: versions that never change, aliases that change in one step, and a journal of why.

On disk ``STORE/NAME/VERSION/`` (bundles), ``STORE/NAME/aliases.json``, ``STORE/NAME/journal.jsonl``. The journal is
written ahead of the aliases; an entry whose revision is above that of ``aliases.json`` never took effect.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from typing import TYPE_CHECKING

import msgspec

from staytrue import bundle as bundles
from staytrue.errors import CorruptData, InvalidInput, NotFound
from staytrue.records import Record, append_line, fsync_folder, read, to_json, utc, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.bundle import Bundle


class Aliases(Record, frozen=True, kw_only=True):
    """Who answers for a model."""

    schema: int = 1
    revision: int = 0
    champion: str = ""
    challenger: str = ""
    traffic: dict[str, float] = msgspec.field(default_factory=dict)
    """Share of requests by version; what is left goes to the champion."""
    shadow: str = ""


class Change(Record, frozen=True, kw_only=True):
    """One line of the journal."""

    revision: int
    time: str
    action: str
    """``publish``, ``promote``, ``roll back`` …"""
    champion: str
    before: str
    reason: str
    figures: dict[str, float] = msgspec.field(default_factory=dict)


class Store:
    """All versions of all models under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def models(self) -> list[str]:
        """Names of the models that have an alias file."""
        if not self.root.exists():
            return []
        return sorted(path.parent.name for path in self.root.glob("*/aliases.json"))

    def versions(self, name: str) -> list[str]:
        """Published versions of a model, oldest first."""
        folder = self._folder(name)
        if not folder.exists():
            return []
        numbers = [int(path.name) for path in folder.iterdir() if path.is_dir() and path.name.isdigit()]
        return [str(number) for number in sorted(numbers)]

    def path(self, name: str, version: str) -> Path:
        """Folder of a version.

        Raises:
            NotFound: no such version; says which there are.
        """
        folder = self._folder(name) / version
        if not version.isdigit() or not folder.is_dir():
            there = ", ".join(self.versions(name)) or "none"
            raise NotFound(f'model "{name}"', f'has no version "{version}"', hint=f"versions: {there}")
        return folder

    def load(self, name: str, version: str) -> Bundle:
        """Read and check a version; see :func:`staytrue.bundle.load`.

        Raises:
            NotFound: no such version.
            CorruptData: a byte changed, or a proof is missing.
        """
        folder = self.path(name, version)
        bundle = bundles.load(folder)
        if (bundle.name, bundle.version) != (name, version):
            raise CorruptData(str(folder), expected=f"{name}/{version}", got=f"{bundle.name}/{bundle.version}")
        return bundle

    def aliases(self, name: str) -> Aliases:
        """Who answers for a model now.

        Raises:
            NotFound: no such model; says which there are.
        """
        path = self._folder(name) / "aliases.json"
        if not path.exists():
            there = ", ".join(self.models()) or "none"
            raise NotFound(f'model "{name}"', f'is not in the store "{self.root}"', hint=f"models: {there}")
        return read(Aliases, path)

    def journal(self, name: str) -> list[Change]:
        """Changes that took effect, oldest first."""
        path, revision = self._folder(name) / "journal.jsonl", self.aliases(name).revision
        lines = path.read_bytes().splitlines() if path.exists() else []
        changes = [_change(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]
        return [change for change in changes if change is not None and change.revision <= revision]

    @contextlib.contextmanager
    def new_version(self, name: str) -> Iterator[tuple[str, Path]]:
        """Claim the next version and a folder to make it in; it appears whole when the block ends, or not at all."""
        folder = self._folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        with self._locked(name):
            taken = [int(v) for v in self.versions(name)] + [
                int(p.name.split("-")[1]) for p in folder.glob(".making-*-*") if p.name.split("-")[1].isdigit()
            ]
            version = str(max(taken, default=0) + 1)
            making = folder / f".making-{version}-{os.getpid()}"
            making.mkdir()
        try:
            yield version, making
            for path in making.rglob("*"):
                if path.is_file():
                    _fsync(path)
            fsync_folder(making)
            making.rename(folder / version)
            fsync_folder(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)

    def promote(
        self, name: str, version: str, *, reason: str, action: str = "promote", figures: dict[str, float] | None = None
    ) -> Aliases:
        """Make a version the champion, after checking its every byte; readers see the change in one step.

        Raises:
            InvalidInput: no reason given.
            NotFound: no such version.
            CorruptData: the version does not load, and stays what it was.
        """
        if not reason.strip():
            raise InvalidInput("promote", "needs a reason for the journal")
        self.load(name, version)
        with self._locked(name):
            path = self._folder(name) / "aliases.json"
            old = read(Aliases, path) if path.exists() else Aliases()
            last = max([old.revision, *self._written_revisions(name)])
            change = Change(
                revision=last + 1,
                time=utc(time.time()),
                action=action,
                champion=version,
                before=old.champion,
                reason=reason,
                figures=figures or {},
            )
            append_line(self._folder(name) / "journal.jsonl", msgspec.to_builtins(change))
            new = Aliases(revision=change.revision, champion=version)
            write_atomically(path, to_json(new))
            return new

    def roll_back(self, name: str, *, reason: str) -> Aliases:
        """Make the champion before this one the champion again.

        Raises:
            NotFound: there was none.
        """
        current = self.aliases(name).champion
        before = next((c.before for c in reversed(self.journal(name)) if c.champion == current and c.before), "")
        if not before:
            raise NotFound(f'model "{name}"', f"version {current} had no champion before it to go back to")
        return self.promote(name, before, reason=reason, action="roll back")

    def _written_revisions(self, name: str) -> list[int]:
        path = self._folder(name) / "journal.jsonl"
        if not path.exists():
            return []
        changes = (_change(line, str(path)) for line in path.read_bytes().splitlines())
        return [change.revision for change in changes if change is not None]

    def _folder(self, name: str) -> Path:
        if not name or not all(c.isalnum() or c in "._-" for c in name) or name.startswith("."):
            raise InvalidInput(f'model name "{name[:80]}"', expected="letters, digits, '.', '_' and '-'", got="others")
        return self.root / name

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with (self._folder(name) / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _change(line: bytes, where: str) -> Change | None:
    """A line of the journal; None for one torn by a crash, which by design never took effect."""
    del where
    try:
        return msgspec.json.decode(line, type=Change)
    except msgspec.MsgspecError:
        return None


def _fsync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
