"""Who answers for a model, the line of the journal that tells of a change, and what each change makes of the old state.

At most two versions take a share of the traffic beside the champion: with two, a share can grow at the champion's cost
alone, whichever of them grows. For three there is no such rule.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from staytrue.errors import Conflict, InvalidInput
from staytrue.records import UNREADABLE, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PROMOTE, ROLL_BACK = "promote", "roll back"
CANARY, END_CANARY = "canary", "end canary"
SHADOW, END_SHADOW = "shadow", "end shadow"
MOST_CANARIES = 2


class Aliases(Record, frozen=True, kw_only=True):
    """Who answers for a model."""

    schema: int = 1
    revision: int = 0
    champion: str = ""
    challenger: str = ""
    """The first of the versions that take a share of the traffic."""
    traffic: dict[str, float] = msgspec.field(default_factory=dict)
    """Share of requests by version; what is left goes to the champion."""
    shadow: str = ""
    """Is asked what the champion is asked; its answers are logged and go to nobody."""

    @property
    def named(self) -> set[str]:
        """All versions that have a part."""
        return {self.champion, self.challenger, self.shadow, *self.traffic} - {""}


class Change(Record, frozen=True, kw_only=True):
    """One line of the journal."""

    revision: int
    time: str
    action: str
    """``promote``, ``roll back``, ``canary``, ``end canary``, ``shadow`` or ``end shadow``."""
    champion: str
    """After the change."""
    before: str
    """The champion before it; the same one where a canary or a shadow began or ended."""
    reason: str
    figures: dict[str, float] = msgspec.field(default_factory=dict)
    version: str = ""
    """The canary or the shadow that began or ended."""
    share: float = 0.0
    """Of the traffic, that this version takes from now on."""

    @property
    def about(self) -> str:
        """The version that it is about."""
        return self.version or self.champion


def entry(line: bytes) -> Change | None:
    """A line of the journal; None for one torn by a crash, which by design never took effect."""
    try:
        return msgspec.json.decode(line, type=Change)
    except UNREADABLE:
        return None


def effective(journal: bytes, revision: int) -> list[Change]:
    """Changes of a journal's file that took effect: up to a revision, and of two with one revision the later."""
    changes = {change.revision: change for change in map(entry, journal.splitlines()) if change is not None}
    return [changes[number] for number in sorted(changes) if number <= revision]


def check_told(action: str, reason: str, figures: Mapping[str, float]) -> None:
    """Refuse what the journal cannot hold.

    Raises:
        InvalidInput: no reason given, or a figure that is not finite.
    """
    if not reason.strip():
        raise InvalidInput(action, "needs a reason for the journal")
    infinite = next((key for key, value in figures.items() if not math.isfinite(value)), None)
    if infinite:
        raise InvalidInput(f'{action}: figure "{infinite}"', expected="a finite number", got=str(figures[infinite]))


def crowned(old: Aliases, name: str, version: str) -> Aliases:
    """With another champion; it is canary or shadow no more, others stay that.

    Raises:
        Conflict: it is the champion already.
    """
    if old.champion == version:
        raise Conflict(f'model "{name}"', f"version {version} is the champion already")
    return msgspec.structs.replace(
        old,
        champion=version,
        challenger="" if old.challenger == version else old.challenger,
        traffic={other: share for other, share in old.traffic.items() if other != version},
        shadow="" if old.shadow == version else old.shadow,
    )


def rolled_back(old: Aliases, name: str, version: str) -> Aliases:
    """With an older champion and nobody beside it: what went wrong may be theirs.

    Raises:
        Conflict: it is the champion already.
    """
    return msgspec.structs.replace(crowned(old, name, version), challenger="", traffic={}, shadow="")


def with_canary(old: Aliases, name: str, version: str, share: float) -> Aliases:
    """With a version that takes a share of the traffic, or another share than before.

    Raises:
        Conflict: it is the champion, takes that share already, or two others take one; there is no champion.
        InvalidInput: the shares leave the champion nothing.
    """
    _beside_champion(old, name, version)
    if old.traffic.get(version) == share:
        raise Conflict(f'model "{name}"', f"version {version} takes {share:.4g} of the traffic already")
    traffic = old.traffic | {version: share}
    if len(traffic) > MOST_CANARIES:
        there = ", ".join(old.traffic)
        hint = f"end one of them: staytrue canary {name} VERSION --end"
        raise Conflict(f'model "{name}"', "canaries", expected=f"at most {MOST_CANARIES}", got=there, hint=hint)
    if (taken := sum(traffic.values())) >= 1:
        hint = f"to give version {version} everything: staytrue promote {name} {version}"
        raise InvalidInput(f'model "{name}"', "shares", expected="a sum below 1", got=f"{taken:.4g}", hint=hint)
    new = version not in old.traffic and old.challenger not in old.traffic
    challenger = version if new else old.challenger  # one that is there keeps its part, and with it its callers
    return msgspec.structs.replace(old, challenger=challenger, traffic=traffic)


def without_canary(old: Aliases, name: str, version: str | None) -> Aliases:
    """Without a canary, or without any where none is named; its callers go back to the champion.

    Raises:
        Conflict: it takes no share.
    """
    if not old.traffic if version is None else version not in old.traffic:
        there = ", ".join(old.traffic) or "none"
        which = "no canary" if version is None else f"version {version} is no canary"
        raise Conflict(f'model "{name}"', f"has {which}" if version is None else which, hint=f"canaries: {there}")
    traffic = {other: share for other, share in old.traffic.items() if version not in (None, other)}
    return msgspec.structs.replace(old, traffic=traffic, challenger=old.challenger if old.challenger in traffic else "")


def with_shadow(old: Aliases, name: str, version: str) -> Aliases:
    """With a version that is asked what the champion is asked; another one is shadow no more.

    Raises:
        Conflict: it is the champion or the shadow already; there is no champion.
    """
    _beside_champion(old, name, version)
    if old.shadow == version:
        raise Conflict(f'model "{name}"', f"version {version} is the shadow already")
    return msgspec.structs.replace(old, shadow=version)


def without_shadow(old: Aliases, name: str) -> Aliases:
    """Without a shadow.

    Raises:
        Conflict: there is none.
    """
    if not old.shadow:
        raise Conflict(f'model "{name}"', "has no shadow")
    return msgspec.structs.replace(old, shadow="")


def succession(journal: Iterable[Change]) -> list[str]:
    """The line of champions that rolling back goes down: promoting adds to it, rolling back takes away.

    >>> first, second = (Change(revision=n, time="", action=PROMOTE, champion=v, before="", reason="")
    ...                  for n, v in ((1, "1"), (2, "2")))
    >>> succession([first, second])
    ['1', '2']
    """
    line: list[str] = []
    for change in journal:
        if change.action == ROLL_BACK:
            del line[-1:]
        elif change.action == PROMOTE:
            line.append(change.champion)
    return line


def _beside_champion(old: Aliases, name: str, version: str) -> None:
    if not old.champion:
        raise Conflict(f'model "{name}"', "has no champion", hint=f"first: staytrue promote {name} {version}")
    if old.champion == version:
        raise Conflict(f'model "{name}"', f"version {version} is the champion", hint="name another version")
