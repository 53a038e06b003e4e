"""Clear away versions that nobody answers with, and that nobody goes back to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from staytrue.aliases import succession
from staytrue.errors import InvalidInput
from staytrue.nearest import no_model

if TYPE_CHECKING:
    from staytrue.store import Store

ROLL_BACKS = 2
"""Champions before this one that stay: `staytrue rollback` goes back so far, whatever is cleared away."""


@dataclass(frozen=True)
class Cleared:
    """What was, or would be, cleared away, and why the others stay."""

    removed: dict[str, int]
    """Version → bytes."""
    kept: dict[str, str]
    """Version → why."""


def clear(store: Store, name: str, *, keep: int, dry: bool = False) -> Cleared:
    """Delete the versions of a model but for the newest ``keep`` and those that an alias or a roll back may name.

    The newest always stays: its number tells the next one, and a number is never given twice. A version goes in one
    step, so that nobody meets half of it; a server that has it loaded goes on with what it holds in memory.

    Raises:
        InvalidInput: ``keep`` below 1.
        NotFound: no such model.
    """
    if keep < 1:
        raise InvalidInput("--keep", expected="at least 1", got=str(keep), hint="the newest version always stays")
    versions = store.versions(name)
    if not versions and name not in store.models():
        raise no_model(name, store.models(), store.where)
    kept: dict[str, str] = {}

    def needed() -> dict[str, str]:
        kept.clear()
        kept.update(_needed(store, name, keep))
        return kept

    return Cleared(store.clear(name, needed, dry=dry), kept)


def _needed(store: Store, name: str, keep: int) -> dict[str, str]:
    """Versions that stay, and why; the strongest reason of each."""
    aliases = store.standing(name)
    line = succession(store.journal(name)) if aliases.revision else []
    why = dict.fromkeys(store.versions(name)[-keep:], f"one of the newest {keep}" if keep > 1 else "the newest")
    why |= dict.fromkeys(line[-1 - ROLL_BACKS : -1], "a champion before: a roll back goes to it")
    why |= {aliases.challenger: "challenger", aliases.shadow: "shadow"}
    why |= dict.fromkeys(aliases.traffic, "canary") | {aliases.champion: "champion"}
    return {version: why[version] for version in store.versions(name) if version in why}
