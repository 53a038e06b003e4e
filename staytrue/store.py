"""The model store: versions that never change, aliases that change in one step, and a journal of why.

It is a folder (:mod:`staytrue.folder`) or an address that fsspec reads and writes (:mod:`staytrue.remote`).
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from staytrue import aliases as states
from staytrue.aliases import Aliases, Change
from staytrue.errors import Conflict, InvalidInput, NotFound
from staytrue.records import utc
from staytrue.shelf import checked
from staytrue.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Aliases", "Change", "Store"]


class Store(Versions):
    """All versions of all models of one place, and the changes of who answers."""

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
        states.check_told(action, reason, figures or {})
        checked(name)
        if load is not None:
            self.load(name, load, anew=True)

        def altered(old: Aliases) -> tuple[Aliases, Change]:
            if expected is not None and old.champion != expected:
                raise Conflict(f'model "{name}"', "champion", expected=expected or "none", got=old.champion or "none")
            if load is not None:
                self._check_there(name, load)  # it may have been cleared away meanwhile
            new = msgspec.structs.replace(alter(old), revision=old.revision + 1)
            change = Change(
                revision=new.revision,
                time=utc(time.time()),
                action=action,
                champion=new.champion,
                before=old.champion,
                reason=reason,
                figures=figures or {},
                version=about,
                share=new.traffic.get(about, 0.0),
            )
            return new, change

        return self._shelf.change(name, altered)
