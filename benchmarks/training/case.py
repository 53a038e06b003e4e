"""Case: a training on an example's data, with the settings that are tried and the figure that it must reach."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from staytrue.project import Project

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclasses.dataclass(frozen=True)
class Case:
    """One training. ``change`` holds settings by section: what stands there replaces what the example says.

    ``split`` replaces the whole section: what one method reads goes with no other.
    """

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

    def changed(self, project: Project) -> Project:
        """The example's settings with those of the case."""
        said = project.model_dump(exclude_unset=True)
        kept = {name: {} if name == "split" else said.get(name, {}) for name in self.change}
        sections = {
            name: type(getattr(project, name)).model_validate(kept[name] | settings)
            for name, settings in self.change.items()
        }
        return project.model_copy(update=sections)
