"""The repository's index: every version of the models served here, its state, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from serving.model import ALIASES
from staytrue.errors import CorruptData, StaytrueError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from serving.model import Model
    from staytrue.store import Store

State = Literal["READY", "LOADING", "UNLOADING", "UNAVAILABLE"]
"""Of a version, in the words of the protocol's repository extension."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A version in the index; a model without any has one with an empty version."""

    name: str
    version: str
    state: State
    reason: str = ""


class Index:
    """The index at one moment.

    Args:
        store: where versions lie.
        models: their states by name.
        loading: name and version of those that are being loaded.
        leaving: of those that are in memory until their last call ends.
    """

    def __init__(
        self, store: Store, models: dict[str, Model], loading: set[tuple[str, str]], leaving: set[tuple[str, str]]
    ) -> None:
        self._store, self._models, self._loading, self._leaving = store, models, loading, leaving
        self._unreached = ""

    def entries(self, names: Iterable[str]) -> list[Entry]:
        """Of all that is served, and these models, or all of the store where none is named; versions oldest first.

        Reads the disk; of an address it tells what is at most seconds old.

        Raises:
            Unavailable: the store cannot be reached, and nothing is served.
        """
        try:
            ours = {*(names or self._store.models())}
        except Unavailable as error:
            if not self._models:
                raise
            ours, self._unreached = set(), str(error)
        return [entry for name in sorted(ours | {*self._models}) for entry in self._of(name)]

    def _listed(self, name: str) -> tuple[set[str], str]:
        """Versions of a model in the store, and what is wrong with it; a store that is not reached is asked no more."""
        if self._unreached:
            return set(), self._unreached
        try:
            there = set(self._store.glance(name))
            return there, "" if self._promoted(name) else "has no aliases"
        except Unavailable as error:
            self._unreached = str(error)
            return set(), self._unreached
        except StaytrueError as error:
            return set(), str(error)

    def _promoted(self, name: str) -> bool:
        """Whether anybody answers; what cannot be read is told by the registry, which reads it too."""
        try:
            return bool(self._store.standing(name).champion)
        except CorruptData:
            return True

    def _of(self, name: str) -> Iterator[Entry]:
        model = self._models.get(name)
        there, fault = self._listed(name)
        if model is not None:
            there |= {loaded.bundle.version for loaded in model.everything()}
            there |= {version for version in model.refused if version.isdecimal()}  # also one that is not there
            fault = "was unloaded" if model.unloaded else model.refused.get(ALIASES, fault)
        if not there:
            yield Entry(name, "", "UNAVAILABLE", fault or "has no version")
        for version in sorted(there, key=int):
            yield Entry(name, version, *self._state(name, version, model, fault))

    def _state(self, name: str, version: str, model: Model | None, fault: str) -> tuple[State, str]:
        held = model.held(version) if model else None
        if held is not None:
            return ("READY", "") if held.ready() else ("UNAVAILABLE", "what runs it is not there just now")
        if (name, version) in self._loading:
            return "LOADING", ""
        if (name, version) in self._leaving:
            return "UNLOADING", "its last calls have not ended"
        refused = model.refused.get(version) if model else None
        return "UNAVAILABLE", refused or fault or "is not in memory: loaded when it is named or promoted"
