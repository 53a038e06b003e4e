"""Slices: rows that are also judged by themselves. What divides a column is learnt from the rows that train."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import duckdb
import numpy as np

from staytrue.errors import InvalidConfig
from staytrue.nearest import meant
from staytrue.records import utc
from training.data.collect.reading import first_line
from training.data.distinct import counted
from training.data.rows import learnable
from training.data.typed import text_of
from training.evaluate.columns import columns, matching, refused, sorts, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from staytrue.project import Project
    from staytrue.slicing import SliceSection
    from training.data.rows import Rows, TrainingRows
    from training.evaluate.columns import Column

QUARTILES = (0.25, 0.5, 0.75)
FEW = 4
"""A number that is one of at most so many, in the rows that train, is sliced by its values."""


class Slice(NamedTuple):
    """Some of the rows: which, in words and as a mask, or why it cannot be said. Shapes: [N]."""

    name: str
    holds: str
    mask: NDArray[np.bool_] | None
    why: str = ""


class Division(Protocol):
    """One of the settings, with what it has learnt."""

    def of(self, table: Mapping[str, Column]) -> Iterator[Slice]:
        """The slices of some rows."""


@dataclasses.dataclass(frozen=True)
class Values:
    """A slice for each of a column's values, one for all others and one for what is missing."""

    name: str
    column: str
    values: tuple[Any, ...]

    def of(self, table: Mapping[str, Column]) -> Iterator[Slice]:
        """Of others and of missing ones where there are any."""
        column, others = table[self.column].values, ~table[self.column].missing
        for value in self.values:
            yield Slice(self.name, f"{self.column} = {_shown(value)}", column == value)
            others &= column != value
        if others.any():
            yield Slice(self.name, f"{self.column} is none of these", others)
        yield from _missing(self.name, self.column, table)


@dataclasses.dataclass(frozen=True)
class Ranges:
    """A slice for each range between edges, its upper edge in it, and one for what is missing."""

    name: str
    column: str
    edges: tuple[float, ...]
    moments: bool = False

    def of(self, table: Mapping[str, Column]) -> Iterator[Slice]:
        """Of missing ones where there are any."""
        place = np.searchsorted(np.array(self.edges), table[self.column].values, side="left")
        shown = [utc(edge) if self.moments else f"{edge:.6g}" for edge in self.edges]
        known = ~table[self.column].missing
        for index in range(len(shown) + 1):
            low = f"{shown[index - 1]} < " if index else ""
            high = f" <= {shown[index]}" if index < len(shown) else ""
            yield Slice(self.name, f"{low}{self.column}{high}", (place == index) & known)
        yield from _missing(self.name, self.column, table)


@dataclasses.dataclass(frozen=True)
class Condition:
    """One slice of the rows for which it holds."""

    name: str
    where: str

    def of(self, table: Mapping[str, Column]) -> Iterator[Slice]:
        """It, or why it cannot be asked of these rows: a model is trained by then, which is not to be lost."""
        try:
            yield Slice(self.name, self.where, matching(self.where, table))
        except duckdb.Error as error:
            yield Slice(self.name, self.where, None, first_line(error))


@dataclasses.dataclass(frozen=True)
class Lost:
    """A column that was left out of the model."""

    name: str
    column: str

    def of(self, table: Mapping[str, Column]) -> Iterator[Slice]:
        """That it cannot be said."""
        del table
        yield Slice(self.name, self.column, None, f"{self.column} was left out of the model")


def check(project: Project, rows: Rows | None = None, names: Iterable[str] = ()) -> None:
    """Refuse slices that cannot be made, before anything is trained; without rows those that no rows could answer.

    ``names``: all columns that the query gives.

    Raises:
        InvalidConfig: a column or a condition that the rows cannot answer, or pictures out of noise.
    """
    known = sorts(project, rows)
    for name, section in project.evaluation.slices.items():
        where = f"evaluation.slices.{name}"
        if project.model.task == "generation":
            hint = "remove it"
            raise InvalidConfig(where, "generation makes pictures of no row, which none could be told of", hint=hint)
        if section.where is not None:
            if reason := refused(section.where, project, rows):
                question = meant(unknown(reason), [*known, *names])
                hint = f"it may speak of {', '.join(known)}, and other columns that the query gives"
                hint = f"{hint}; {question}" if question else hint
                raise InvalidConfig(where, f"is no condition: {reason}", hint=hint)
        elif rows is not None and _column(name, section) not in known:
            got = _column(name, section)
            expected = "a column of the data, with one value a row"
            there = list(dict.fromkeys([*known, *names]))
            hint = meant(got, there) or f"there are {', '.join(there)}"
            raise InvalidConfig(where, expected=expected, got=got, hint=hint)


def learn(project: Project, rows: TrainingRows) -> list[Division]:
    """The settings with what they need of the rows that train: the most frequent values, or the quartiles."""
    table = columns(learnable(rows), project)
    return [_learnt(name, section, table) for name, section in project.evaluation.slices.items()]


def _learnt(name: str, section: SliceSection, table: Mapping[str, Column]) -> Division:
    if section.where is not None:
        return Condition(name, section.where)
    named = _column(name, section)
    if named not in table:
        return Lost(name, named)
    column = table[named]
    known = column.values[~column.missing]
    if column.sort == "name" or len(np.unique(known[:1000])) <= FEW:  # only then is all of it worth a look
        values, counts = counted(known)
        if column.sort == "name" or len(values) <= FEW:
            most = np.sort(np.argsort(-counts, kind="stable")[: section.values])
            return Values(name, named, tuple(values[most].tolist()))
    edges = np.unique(np.quantile(known.astype(np.float64), QUARTILES)).tolist() if len(known) else []
    return Ranges(name, named, tuple(edges), moments=column.sort == "moment")


def _missing(name: str, column: str, table: Mapping[str, Column]) -> Iterator[Slice]:
    gone = table[column].missing
    if gone.any():
        yield Slice(name, f"{column} is missing", gone)


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else text_of(value)


def _column(name: str, section: SliceSection) -> str:
    return name if section.column is None else section.column
