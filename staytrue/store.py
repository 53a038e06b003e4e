"""The model store: versions that never change, aliases that change in one step, and a journal of why.

On disk ``STORE/NAME/VERSION/`` (bundles), ``STORE/NAME/aliases.json``, ``STORE/NAME/journal.jsonl``. The journal is
written ahead of the aliases: an entry whose revision is above that of ``aliases.json`` never took effect, and of two
with one revision only the later did.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from staytrue import aliases as states
from staytrue import bundle as bundles
from staytrue.aliases import Aliases, Change
from staytrue.errors import Conflict, CorruptData, InvalidInput, NotFound
from staytrue.making import Making, in_the_making
from staytrue.nearest import no_model
from staytrue.records import append_line, read, to_json, utc, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from staytrue.bundle import Bundle

__all__ = ["Aliases", "Change", "Store"]

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")


class Store:
    """All versions of all models under one folder; with ``trusted_keys`` only those load that one of them signed."""

    def __init__(self, root: Path, trusted_keys: Path | None = None) -> None:
        self.root, self._trusted = root, trusted_keys

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
            NotFound: no such model or version; says which there are.
        """
        folder = self._folder(name) / version
        if not _VERSION.fullmatch(version) or not folder.is_dir():
            if not (there := self.versions(name)) and name not in self.models():
                raise no_model(name, self.models(), self.root)
            hint = f"versions: {', '.join(there) or 'none'}"
            raise NotFound(f'model "{name}"', f'has no version "{version[:40]}"', hint=hint)
        return folder

    def load(self, name: str, version: str) -> Bundle:
        """Read and check a version; see :func:`staytrue.bundle.load`.

        Raises:
            NotFound: no such version.
            CorruptData: a byte changed, or a proof is missing.
        """
        folder = self.path(name, version)
        bundle = bundles.load(folder, self._trusted)
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
            raise no_model(name, self.models(), self.root)
        return read(Aliases, path)

    def standing(self, name: str) -> Aliases:
        """Who answers for a model now; nobody, at revision 0, where no version of it was ever promoted."""
        path = self._folder(name) / "aliases.json"
        return read(Aliases, path) if path.exists() else Aliases()

    def journal(self, name: str) -> list[Change]:
        """Changes that took effect, oldest first."""
        revision = self.aliases(name).revision
        path = self._folder(name) / "journal.jsonl"
        lines = path.read_bytes().splitlines() if path.exists() else []
        changes = {change.revision: change for change in map(states.entry, lines) if change is not None}
        return [changes[number] for number in sorted(changes) if number <= revision]

    @contextlib.contextmanager
    def new_version(self, name: str) -> Iterator[tuple[str, Path]]:
        """Claim the next version and a folder to make it in; it appears whole when the block ends, or not at all."""
        folder = self._folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        with self.locked(name):
            taken = in_the_making(folder)  # asked first: one that is done in between is then a version
            taken += map(int, self.versions(name))
            version = str(max(taken, default=0) + 1)
            making = Making.begin(folder, version)
        try:
            yield version, making.folder
            making.appear(folder / version)
        finally:
            making.end()

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
        crowned = partial(states.crowned, name=name, version=version)
        return self._change(
            name, states.PROMOTE, crowned, reason=reason, load=version, figures=figures, expected=expected
        )

    def roll_back(self, name: str, *, reason: str) -> Aliases:
        """Make the champion before this one the champion again; once more, and it is the one before that.

        Canaries and the shadow end.

        Raises:
            InvalidInput: no reason given.
            NotFound: there was none.
            CorruptData: the version does not load, and the champion stays what it was.
        """
        current = self.aliases(name).champion
        line = states.succession(self.journal(name))
        if len(line) < 2:
            raise NotFound(f'model "{name}"', f"version {current} had no champion before it to go back to")
        rolled = partial(states.rolled_back, name=name, version=line[-2])
        return self._change(name, states.ROLL_BACK, rolled, reason=reason, load=line[-2], expected=current)

    def set_canary(
        self,
        name: str,
        version: str,
        share: float,
        *,
        reason: str,
        figures: dict[str, float] | None = None,
        expected: str | None = None,
    ) -> Aliases:
        """Give a version a share of the traffic, or another share, after checking its every byte.

        Args:
            name: of the model.
            version: that takes the share; at most two do.
            share: above 0; all shares together stay below 1, and the champion takes what is left.
            reason: for the journal.
            figures: what it was decided on, for the journal.
            expected: the champion that the decision was made against.

        Raises:
            InvalidInput: no reason given, or a share out of range.
            NotFound: no such model or version.
            CorruptData: the version does not load, and nothing changes.
            Conflict: the version is the champion or takes this share already; or two others take one; or the champion
                is not the one expected.
        """
        if not 0 < share < 1:
            raise InvalidInput("share of a canary", expected="above 0 and below 1", got=f"{share:.4g}")
        started = partial(states.with_canary, name=name, version=version, share=share)
        return self._change(
            name, states.CANARY, started, reason=reason, load=version, about=version, figures=figures, expected=expected
        )

    def clear_canary(
        self, name: str, version: str | None = None, *, reason: str, figures: dict[str, float] | None = None
    ) -> Aliases:
        """Give a canary's share back to the champion; all shares where no version is named.

        Raises:
            InvalidInput: no reason given.
            NotFound: no such model.
            Conflict: it takes no share.
        """
        ended = version or ", ".join(self.aliases(name).traffic)
        cleared = partial(states.without_canary, name=name, version=version)
        return self._change(name, states.END_CANARY, cleared, reason=reason, about=ended, figures=figures)

    def set_shadow(self, name: str, version: str, *, reason: str, expected: str | None = None) -> Aliases:
        """Have a version asked all that the champion is asked, its answers logged and given to nobody.

        Raises:
            InvalidInput: no reason given.
            NotFound: no such model or version.
            CorruptData: the version does not load, and nothing changes.
            Conflict: the version is the champion or the shadow already, or the champion is not the one expected.
        """
        set_up = partial(states.with_shadow, name=name, version=version)
        return self._change(name, states.SHADOW, set_up, reason=reason, load=version, about=version, expected=expected)

    def clear_shadow(self, name: str, *, reason: str) -> Aliases:
        """Ask the shadow no more.

        Raises:
            InvalidInput: no reason given.
            NotFound: no such model.
            Conflict: there is none.
        """
        ended = self.aliases(name).shadow
        cleared = partial(states.without_shadow, name=name)
        return self._change(name, states.END_SHADOW, cleared, reason=reason, about=ended)

    def _change(
        self,
        name: str,
        action: str,
        alter: Callable[[Aliases], Aliases],
        *,
        reason: str,
        load: str | None = None,
        expected: str | None = None,
        figures: dict[str, float] | None = None,
        about: str = "",
    ) -> Aliases:
        """Journal a change, then let it take effect; ``load`` is a version that has to be whole for it."""
        figures = figures or {}
        states.check_told(action, reason, figures)
        if load is not None:
            self.load(name, load)
        path = self._folder(name) / "aliases.json"
        with self.locked(name):
            old = self.standing(name)
            if expected is not None and old.champion != expected:
                raise Conflict(f'model "{name}"', "champion", expected=expected or "none", got=old.champion or "none")
            if load is not None:
                self.path(name, load)  # it may have been cleared away meanwhile
            new = msgspec.structs.replace(alter(old), revision=old.revision + 1)
            change = Change(
                revision=new.revision,
                time=utc(time.time()),
                action=action,
                champion=new.champion,
                before=old.champion,
                reason=reason,
                figures=figures,
                version=about,
                share=new.traffic.get(about, 0.0),
            )
            append_line(self._folder(name) / "journal.jsonl", msgspec.to_builtins(change))
            write_atomically(path, to_json(new))
            return new

    def _folder(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise InvalidInput(f'model name "{name[:80]}"', expected="letters, digits, '.', '_' and '-'", got="others")
        return self.root / name

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Keep others from claiming versions of a model and from changing its aliases."""
        with (self._folder(name) / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
