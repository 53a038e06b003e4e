"""Columns of some rows that slices may speak of, by name, and which rows a condition in SQL holds for."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, Literal

import duckdb
import numpy as np
import pyarrow as pa

from staytrue.signature import MISSING_INTEGER, MISSING_TEXT
from training.data.collect.reading import first_line
from training.data.rows import by_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from staytrue.project import Project
    from training.data.rows import Rows

Sort = Literal["number", "name", "moment"]
_BESIDE: dict[str, Sort] = {"f": "number", "M": "moment", "O": "name"}
_WORD = re.compile(r"\w+")
_UNKNOWN = re.compile(r'column "(.+?)" not found')
_KINDS: dict[str, Sort] = {"numeric": "number", "category": "name", "date": "moment"}


@dataclasses.dataclass(frozen=True)
class Column:
    """One value a row. Shapes: [N]. Units: moments in Unix seconds."""

    sort: Sort
    values: NDArray[Any]

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where there is no value."""
        kind = self.values.dtype.kind
        if kind == "f":
            empty: NDArray[np.bool_] = np.isnan(self.values)
            return empty
        gone: NDArray[np.bool_] = self.values == (MISSING_INTEGER if kind == "i" else MISSING_TEXT)
        return gone


def spoken(project: Project, names: Sequence[str]) -> list[str]:
    """Those of some names that a slice of the project speaks of."""
    sections = project.evaluation.slices
    alone = {name if section.column is None else section.column for name, section in sections.items()}
    said = [section.where for section in sections.values() if section.where is not None]
    return [name for name in names if name in alone or any(_mentions(where, name) for where in said)]


def sorts(project: Project, rows: Rows | None = None) -> dict[str, Sort]:
    """What slices may speak of: time, targets, features of one value a row, and what the split goes by.

    Of rows also what they have beside them.
    """
    data = project.data
    others = {} if rows is None else {name: _BESIDE[column.dtype.kind] for name, column in rows.beside.items()}
    target: Sort = "name" if project.model.task == "classification" else "number"
    features = {name: _KINDS[feature.kind] for name, feature in data.features.items() if feature.kind in _KINDS}
    marks: dict[str, Sort] = dict.fromkeys(project.split.marks, "name")
    return others | marks | {data.time: "moment"} | dict.fromkeys(data.targets, target) | features


def columns(rows: Rows, project: Project) -> dict[str, Column]:
    """Those of some rows; without features that were left out of the model."""
    found = {name: _seconds(column) if column.dtype.kind == "M" else column for name, column in rows.beside.items()}
    found |= rows.marks | {project.data.time: rows.time} | by_name(rows.target, project.data.targets) | rows.columns
    return {name: Column(sort, found[name]) for name, sort in sorts(project, rows).items() if name in found}


def matching(where: str, table: Mapping[str, Column]) -> NDArray[np.bool_]:
    """For which rows a condition holds; for what it says nothing of, it does not. Shapes: [N].

    Raises:
        duckdb.Error: it is none, or speaks of other columns.
    """
    said = where.lower()
    (length,) = {len(column.values) for column in table.values()}
    spoken = {name: _arrow(column) for name, column in table.items() if name.lower() in said.replace('""', '"')}
    rows = pa.table(spoken | {"__place": pa.array(np.arange(length))})
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")  # one thread: rows keep the order they stand in
        connection.register("rows", rows)
        asked = f"SELECT ({where}) AS holds FROM rows"  # noqa: S608 - the project's own words, as its query is
        try:
            kind = connection.execute(f"DESCRIBE {asked}").fetchall()[0][1]
        except duckdb.ParserException:
            connection.extract_statements(f"SELECT {where}")  # fails for what is written, and not for our parentheses
            raise
        if kind != "BOOLEAN":
            raise duckdb.InvalidInputException(f"gives {kind} and not true or false")
        found = connection.execute(f"SELECT coalesce(holds, false) AS holds FROM ({asked})").fetchnumpy()["holds"]  # noqa: S608
        holds: NDArray[np.bool_] = np.asarray(found, dtype=np.bool_)
    if len(holds) != length:
        raise duckdb.InvalidInputException("gives another number of rows than there are")
    return holds


def refused(where: str, project: Project, rows: Rows | None = None) -> str:
    """Why a condition cannot be asked of the project's rows; nothing where it can, or where that takes the rows."""
    empty = {
        name: Column(sort, np.empty(0, dtype=object if sort == "name" else np.float64))
        for name, sort in sorts(project, rows).items()
    }
    whole = {
        name: Column(column.sort, np.empty(0, dtype=np.int64))
        if (feature := project.data.features.get(name)) and feature.sent_as == "INT64"
        else column
        for name, column in empty.items()
    }
    try:
        matching(where, whole)
    except duckdb.BinderException as error:
        return "" if rows is None else first_line(error)  # a column that the query gives, perhaps
    except duckdb.Error as error:
        return first_line(error)
    return ""


def unknown(reason: str) -> str:
    """The column that DuckDB says there is none of; nothing where it says something else.

    >>> unknown('Binder Error: Referenced column "tempp" not found in FROM clause!')
    'tempp'
    """
    found = _UNKNOWN.search(reason)
    return found[1] if found else ""


def _mentions(where: str, name: str) -> bool:
    """Whether a condition has the name of a column among its words, or in quotes."""
    said, quoted = where.lower(), name.lower().replace('"', '""')
    return name.lower() in _WORD.findall(said) or f'"{quoted}"' in said


def _seconds(moments: NDArray[Any]) -> NDArray[np.float64]:
    """Unix seconds, NaN of what is none."""
    return np.where(np.isnat(moments), np.nan, moments.astype("datetime64[us]").astype(np.int64) / 1e6)


def _arrow(column: Column) -> pa.Array:
    if column.sort == "moment":
        micros = np.where(column.missing, 0, column.values) * 1e6
        return pa.array(micros.astype(np.int64), mask=column.missing).cast(pa.timestamp("us", tz="UTC"))
    if column.values.dtype == object:
        return pa.array(column.values, type=pa.string(), mask=column.missing)
    return pa.array(np.ascontiguousarray(column.values), mask=column.missing)
