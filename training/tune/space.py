"""Space: what a study may try, as combinations by number, as draws, and as what Optuna proposes."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from staytrue.errors import InvalidConfig
from staytrue.faults import first_fault
from staytrue.tuning import changed, is_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import optuna

    from staytrue.project import Project
    from staytrue.section import Section
    from staytrue.tuning import Dimension

Value = Any
"""Of a setting: what YAML can say."""
Label = str | int | float | bool | None
"""What Optuna takes for a value: itself, or as JSON what is no single number or text."""


@dataclasses.dataclass(frozen=True)
class Axis:
    """One setting and what is tried of it."""

    path: str
    dimension: Dimension
    whole: bool
    """Whether a range has whole numbers alone."""

    @property
    def values(self) -> list[Value]:
        """All of them: of a range by its steps."""
        if self.dimension.choices is not None:
            return self.dimension.choices
        low, high, step = self._range()
        return [self._number(low + place * step) for place in range(math.floor((high - low) / step + 1e-9) + 1)]

    def drawn(self, generator: np.random.Generator) -> Value:
        """One by chance, evenly; of a range with ``log`` evenly by its logarithm."""
        dimension = self.dimension
        if dimension.choices is not None:
            return dimension.choices[int(generator.integers(len(dimension.choices)))]
        low, high = self.ends
        if dimension.log:
            margin = 0.5 if self.whole else 0.0  # so that both ends are as likely as those between
            drawn = math.exp(generator.uniform(math.log(low - margin), math.log(high + margin)))
            return self._number(min(max(drawn, low), high))
        if self.whole or dimension.step is not None:
            values = self.values
            return values[int(generator.integers(len(values)))]
        return float(generator.uniform(low, high))

    def suggested(self, trial: optuna.trial.BaseTrial) -> Value:
        """What Optuna proposes, or what was fixed for this trial."""
        dimension = self.dimension
        if dimension.choices is not None:
            labels = [label(choice) for choice in dimension.choices]
            chosen = trial.suggest_categorical(self.path, labels)
            return dimension.choices[labels.index(chosen)]
        if self.whole:
            low, high, step = self._range()
            highest = int(low + (high - low) // step * step)
            return trial.suggest_int(self.path, int(low), highest, step=int(step), log=dimension.log)
        if dimension.step is not None:
            ends = self.values[0], self.values[-1]
            return self._number(trial.suggest_float(self.path, *ends, step=float(dimension.step)))
        low, high = self.ends
        return trial.suggest_float(self.path, low, high, log=dimension.log)

    @property
    def ends(self) -> tuple[float, float]:
        """Of a range."""
        low, high = self.dimension.low, self.dimension.high
        if low is None or high is None:
            raise ValueError(f"{self.path} has choices, and no range")
        return low, high

    def _range(self) -> tuple[float, float, float]:
        return *self.ends, 1 if self.dimension.step is None else self.dimension.step

    def _number(self, value: float) -> Value:
        return round(value) if self.whole else float(f"{value:.12g}")  # 0.1 + 2 * 0.1 is meant to be 0.3


def label(value: Value) -> Label:
    """What stands for a value in a study.

    >>> label(0.5), label([1, 2])
    (0.5, '[1, 2]')
    """
    return value if isinstance(value, str | int | float | bool | None) else json.dumps(value)


@dataclasses.dataclass(frozen=True)
class Space:
    """All axes, in the order of the file."""

    axes: Sequence[Axis]

    @classmethod
    def of(cls, project: Project) -> Space:
        """The project's, which :func:`staytrue.project.load` has found fit.

        Raises:
            InvalidConfig: there is none.
        """
        if not project.tuning.space:
            hint = "write paths with their choices there, as docs/tuning.md shows"
            raise InvalidConfig("tuning.space", "names no setting to try", hint=hint)
        kind = type(project)
        return cls([Axis(path, found, is_whole(kind, path)) for path, found in project.tuning.space.items()])

    @property
    def size(self) -> int:
        """Combinations of a grid."""
        return math.prod(len(axis.values) for axis in self.axes)

    def combination(self, number: int) -> dict[str, Value]:
        """Of a grid, counted from 0; the last axis turns fastest."""
        found = []
        for axis in reversed(self.axes):
            number, place = divmod(number, len(axis.values))
            found.append((axis.path, axis.values[place]))
        return dict(reversed(found))

    def drawn(self, seed: int, number: int) -> dict[str, Value]:
        """Values by chance, which depend on seed and number alone."""
        generator = np.random.default_rng([seed, number])
        return {axis.path: axis.drawn(generator) for axis in self.axes}

    def suggested(self, trial: optuna.trial.BaseTrial) -> dict[str, Value]:
        """What Optuna proposes."""
        return {axis.path: axis.suggested(trial) for axis in self.axes}


def applied(project: Project, values: Mapping[str, Value]) -> Project:
    """The project with these settings.

    Raises:
        InvalidConfig: they do not go together.
    """
    updates: dict[str, Section] = {}
    for name, paths in itertools.groupby(sorted(values), key=lambda path: path.split(".")[0]):
        section: Section = getattr(project, name)
        given = section.model_dump()
        for path in paths:
            given = changed(given, path.split(".")[1:], values[path])
        try:
            updates[name] = type(section).model_validate(given)
        except ValidationError as error:
            fault = first_fault(error, type(section))
            where = ".".join([name, *fault.location])
            raise InvalidConfig(
                where, fault.problem, expected=fault.expected, got=fault.got, hint=fault.hint
            ) from error
    return project.model_copy(update=updates)
