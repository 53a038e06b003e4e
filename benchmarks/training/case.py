"""Case: a training on an example's data, with the settings that are tried and the figure that it must reach."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
