"""The model store: versions that never change, aliases that change in one step, and a journal of why.

On disk ``STORE/NAME/VERSION/`` (bundles), ``STORE/NAME/aliases.json``, ``STORE/NAME/journal.jsonl``. The journal is
written ahead of the aliases: an entry whose revision is above that of ``aliases.json`` never took effect, and of two
with one revision only the later did. ``STORE/NAME/.making-VERSION-…`` is a version in the making.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import re
import shutil
import time
from typing import TYPE_CHECKING

import msgspec

from staytrue import bundle as bundles
from staytrue.errors import Conflict, CorruptData, InvalidInput, NotFound
from staytrue.records import Record, append_line, fsync_folder, read, to_json, utc, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.bundle import Bundle


_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_MAKING = re.compile(r"\.making-([0-9]+)-.*")
ROLL_BACK = "roll back"


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
    """``promote`` or ``roll back``."""
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
        return sorted(
            path.parent.name for path in self.root.glob("*/aliases.json") if _NAME.fullmatch(path.parent.name)
        )

    def versions(self, name: str) -> list[str]:
        """Published versions of a model, oldest first."""
        folder = self._folder(name)
        if not folder.exists():
            return []
        return sorted(
            (path.name for path in folder.iterdir() if _VERSION.fullmatch(path.name) and path.is_dir()), key=int
        )

    def path(self, name: str, version: str) -> Path:
        """Folder of a version.

        Raises:
            NotFound: no such version; says which there are.
        """
        folder = self._folder(name) / version
        if not _VERSION.fullmatch(version) or not folder.is_dir():
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
        revision = self.aliases(name).revision
        path = self._folder(name) / "journal.jsonl"
        lines = path.read_bytes().splitlines() if path.exists() else []
        changes = {change.revision: change for change in map(_change, lines) if change is not None}
        return [changes[number] for number in sorted(changes) if number <= revision]

    @contextlib.contextmanager
    def new_version(self, name: str) -> Iterator[tuple[str, Path]]:
        """Claim the next version and a folder to make it in; it appears whole when the block ends, or not at all."""
        folder = self._folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        with self._locked(name):
            taken = _in_the_making(folder)  # asked first: one that is done in between is then a version
            taken += map(int, self.versions(name))
            version = str(max(taken, default=0) + 1)
            making = folder / f".making-{version}-{os.getpid()}"
            making.mkdir()
            claim = os.open(making, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(claim, fcntl.LOCK_EX)  # let go by the end of this process, however it ends
        try:
            yield version, making
            for path in making.rglob("*"):
                _fsync(path)
            fsync_folder(making)
            making.rename(folder / version)
            fsync_folder(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
            os.close(claim)

    def promote(
        self,
        name: str,
        version: str,
        *,
        reason: str,
        figures: dict[str, float] | None = None,
        expected: str | None = None,
    ) -> Aliases:
        """Make a version the champion, after checking its every byte; readers see the change in one step.

        Args:
            name: of the model.
            version: to promote.
            reason: for the journal.
            figures: what it was decided on, for the journal.
            expected: the champion that the decision was made against; with another one it stands no more.

        Raises:
            InvalidInput: no reason given, or a figure that is not finite.
            NotFound: no such version.
            CorruptData: the version does not load, and the champion stays what it was.
            Conflict: the version is the champion already, or the champion is not the one expected.
        """
        return self._change_champion(name, version, "promote", reason=reason, figures=figures or {}, expected=expected)

    def roll_back(self, name: str, *, reason: str) -> Aliases:
        """Make the champion before this one the champion again; once more, and it is the one before that.

        Raises:
            InvalidInput: no reason given.
            NotFound: there was none.
            CorruptData: the version does not load, and the champion stays what it was.
        """
        current = self.aliases(name).champion
        line: list[str] = []  # of succession: promoting adds to it, rolling back takes away
        for change in self.journal(name):
            if change.action == ROLL_BACK:
                del line[-1:]
            else:
                line.append(change.champion)
        if len(line) < 2:
            raise NotFound(f'model "{name}"', f"version {current} had no champion before it to go back to")
        return self._change_champion(name, line[-2], ROLL_BACK, reason=reason, figures={}, expected=current)

    def _change_champion(
        self, name: str, version: str, action: str, *, reason: str, figures: dict[str, float], expected: str | None
    ) -> Aliases:
        if not reason.strip():
            raise InvalidInput(action, "needs a reason for the journal")
        infinite = next((key for key, value in figures.items() if not math.isfinite(value)), None)
        if infinite:
            raise InvalidInput(f'{action}: figure "{infinite}"', expected="a finite number", got=str(figures[infinite]))
        self.load(name, version)
        path = self._folder(name) / "aliases.json"
        with self._locked(name):
            old = read(Aliases, path) if path.exists() else Aliases()
            if expected is not None and old.champion != expected:
                raise Conflict(f'model "{name}"', "champion", expected=expected or "none", got=old.champion or "none")
            if old.champion == version:
                raise Conflict(f'model "{name}"', f"version {version} is the champion already")
            change = Change(
                revision=old.revision + 1,
                time=utc(time.time()),
                action=action,
                champion=version,
                before=old.champion,
                reason=reason,
                figures=figures,
            )
            append_line(self._folder(name) / "journal.jsonl", msgspec.to_builtins(change))
            new = Aliases(revision=change.revision, champion=version)
            write_atomically(path, to_json(new))
            return new

    def _folder(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise InvalidInput(f'model name "{name[:80]}"', expected="letters, digits, '.', '_' and '-'", got="others")
        return self.root / name

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with (self._folder(name) / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _change(line: bytes) -> Change | None:
    """A line of the journal; None for one torn by a crash, which by design never took effect."""
    try:
        return msgspec.json.decode(line, type=Change)
    except msgspec.MsgspecError:
        return None


def _in_the_making(folder: Path) -> list[int]:
    """Versions that living processes are making; what dead ones left is deleted."""
    numbers = []
    for path in folder.glob(".making-*"):
        if (found := _MAKING.fullmatch(path.name)) is None:
            continue
        try:
            claim = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # done this moment
            continue
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            numbers.append(int(found[1]))
        finally:
            os.close(claim)
    return numbers


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
