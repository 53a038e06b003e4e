"""Facts: what is known of a training before its first step, and of its course afterwards."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What every watcher may want to know of a training that begins, or goes on."""

    model: str
    run: str
    target: str
    measure: str
    """Key of an epoch's line that says how good it was."""
    larger_is_better: bool = False
    epochs: int
    """At most: a training may stop early."""
    steps: int
    """Of an epoch."""
    rows: int
    """Of an epoch."""
    before: list[dict[str, float]] = []
    """Lines of the epochs that a resumed training has behind it; what was told of later ones is told again."""
    best_epoch: int = 0
    """Of them; 0: none yet."""
    settings: dict[str, Any] = {}
    """Whatever was set, as JSON values, sections within sections."""

    @property
    def done(self) -> int:
        """Epochs behind it."""
        return len(self.before)

    def better(self, value: float, best: float) -> bool:
        """Whether a measure beats the best so far; NaN is beaten by any."""
        return math.isnan(best) or (value > best if self.larger_is_better else value < best)


class Course(Protocol):
    """What each epoch gave. Epochs are counted from 1; none is the best before the first."""

    @property
    def measure(self) -> str:
        """Key of a line that says how good its epoch was."""

    @property
    def epochs(self) -> Sequence[Mapping[str, float]]:
        """The lines, in order."""

    @property
    def best_epoch(self) -> int:
        """Whose weights are kept."""


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings within settings under one name each.

    >>> flat({"training": {"epochs": 3, "swap": {"share": 0.5}}, "seed": 1})
    {'training.epochs': 3, 'training.swap.share': 0.5, 'seed': 1}
    """
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {f"{prefix}{name}": value}
    return found
