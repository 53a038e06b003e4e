"""Cases: an example's data, an architecture with its settings, and the figure that it must reach.

A case goes into ``CASES``; its data come from the ``prepare`` of an example, whose ``staytrue.yaml`` it changes.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from examples.spam import prepare as spam
from examples.vowels import prepare as vowels

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclasses.dataclass(frozen=True)
class Case:
    """One training. ``change`` holds settings by section: what stands there replaces what the example says."""

    example: str
    prepare: Callable[[Path], Path]
    """Writes the data into a folder."""
    change: dict[str, dict[str, Any]]
    target: float
    """The least that ``metric`` of the test part must be."""
    metric: str = "accuracy"
    seconds: float | None = None
    """The longest that it may take, where that is promised."""

    @property
    def project(self) -> Path:
        """The example's own project file."""
        return EXAMPLES / self.example / "staytrue.yaml"


def _vowels(architecture: str, **training: Any) -> Case:
    change = {"model": {"architecture": architecture}, "training": training}
    return Case("vowels", vowels.prepare, change, target=0.95)


CASES: dict[str, Case] = {
    "vowels-lstm": _vowels("lstm"),
    "vowels-gru": _vowels("gru"),
    "vowels-transformer": _vowels("transformer", learning_rate=0.002),
    "spam-gru": Case("spam", spam.prepare, {}, target=0.97),
}
