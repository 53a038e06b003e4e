"""Collect: the sources of a project and its query become rows, with a fingerprint of what was read."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import duckdb
import msgspec
import numpy as np

from staytrue.addresses import shown
from staytrue.errors import InvalidConfig, InvalidInput, StaytrueError
from staytrue.nearest import meant
from training.data.collect.casting import cast, cast_fitting
from training.data.collect.columns import Columns, times
from training.data.collect.reading import Wanted, first_line, quoted, reading
from training.data.collect.report import CollectionReport
from training.data.collect.spelling import direct, respelt_still, row_by_row, spelt
from training.data.collect.tables import PLAIN, explain, tables
from training.data.collect.twice import twice
from training.data.collect.unfit import unfit_aside
from training.data.collect.wants import held, uncertain, wanted_types
from training.data.rows import Rows, from_table
from training.data.schema.check import check
from training.data.schema.schema import read as read_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from staytrue.bundle import TaskName
    from staytrue.feature import Feature
    from staytrue.preparation import DataSection
    from training.data.collect.quarantine import BadRows
    from training.data.collect.readers import SourceReport
    from training.data.collect.reading import Reading
    from training.data.schema.check import SchemaReport

    Beside = Callable[[Sequence[str]], Sequence[str]]

RESULT = "the query's result"
"""How rows are named that were read, and whose values then turned out to be none."""
_TABLE = "__result"


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """What was read: goes with every run."""

    source: str
    columns: dict[str, str]
    """Name → type, as DuckDB names it."""
    rows: int
    sha256: str
    """Of the content of the rows, not of the file: the same rows from another file are the same data."""


@dataclasses.dataclass(frozen=True)
class Collected:
    """Rows, what they are, and how they came about."""

    rows: Rows
    fingerprint: Fingerprint
    report: CollectionReport


def collect(data: DataSection, task: TaskName = "regression", marks: Sequence[str] = ()) -> tuple[Rows, Fingerprint]:
    """Rows and fingerprint of :func:`collected`."""
    found = collected(data, task, marks)
    return found.rows, found.fingerprint


def collected(
    data: DataSection, task: TaskName = "regression", marks: Sequence[str] = (), beside: Beside = lambda _: ()
) -> Collected:
    """Read the sources through joins and query; ``marks`` are further columns that the split goes by.

    ``beside`` says which of the columns that are no part of the rows come along for slices.

    Raises:
        NotFound: no such file.
        InvalidConfig: the query fails, or a column is not there; says which there are.
        InvalidInput: a value that does not fit its column's kind, or too many rows that cannot be read.
    """
    types = wanted_types(data, task)
    wanted = Wanted(types if data.query == PLAIN else {}, direct(data, held(data, types)), spelt(data, task))
    with reading(data.memory, wanted, _picture(data)) as going:
        try:
            return _collected(data, task, marks, beside, going, types)
        except StaytrueError:
            explain(data, wanted)
            raise


def _collected(
    data: DataSection, task: TaskName, marks: Sequence[str], beside: Beside, going: Reading, wanted: dict[str, str]
) -> Collected:
    needed = list(dict.fromkeys([data.time, *data.targets, *data.features, *marks]))
    sources, joins = tables(data, going)
    types, others = _result(data, needed, beside, going)
    whose = _traced(data, going, sources)
    unsure = uncertain(data, wanted, types)
    if data.sources or data.max_bad_rows:
        cast(going, _TABLE, unsure, whose, where="data.features")
    else:
        cast_fitting(going, _TABLE, {name: kind for name, kind in unsure.items() if kind == "DOUBLE"})
    schema = _checked(data, needed, going, whose)
    bad = _judged(data, going, sources, whose)
    files = {column: kind for source in sources for column, kind in going.columns(source.name).items()}
    going.notes.extend(respelt_still(data, task, types, files))
    read = sum(source.rows or 0 for source in sources)
    going.settle()
    try:
        rows = _rows(data, task, (marks, others), going, read)
    except InvalidInput as error:
        if not unfit_aside(going, Columns(going, _TABLE), _TABLE, whose, data, task):
            raise
        bad = _judged_late(data, going, sources, whose, error)
        rows = _rows(data, task, (marks, others), going, read)
    sources = [_told(source, going, len(rows)) if source.name == whose else source for source in sources]
    fingerprint = Fingerprint(source=data.place, columns=types, rows=len(rows), sha256=rows.digest())
    report = CollectionReport(sources=sources, joins=joins, rows=len(rows), bad=bad, schema=schema, notes=going.notes)
    return Collected(rows, fingerprint, report)


def _rows(
    data: DataSection, task: TaskName, further: tuple[Sequence[str], Sequence[str]], going: Reading, read: int
) -> Rows:
    """``further``: marks, and what slices alone speak of."""
    columns, where = Columns(going, _TABLE), data.place
    rows = from_table(columns, data, times(columns, data.time, where), where, task, *further)
    if not len(rows):
        hint = f"data.query leaves none of the {read} that were read" if read else "the file names columns alone"
        raise InvalidInput(where, expected="at least one row", got="none", hint=hint)
    return rows


def _traced(data: DataSection, going: Reading, sources: list[SourceReport]) -> str:
    """Whose the rows of the result are: the source's where they are one by one its own, with their lines."""
    if len(sources) > 1 or not row_by_row(data.query) or sources[0].rows != going.count(_TABLE):
        return RESULT
    name = sources[0].name
    base = going.origins.get(name)
    if base is not None:
        going.origins[_TABLE] = dataclasses.replace(base, numbers=functools.cache(lambda: _kept(going, name)))
    return name


def _kept(going: Reading, name: str) -> NDArray[np.int64]:
    """The numbers that the rows of a source were read under."""
    asked = f"SELECT {going.row(name)} AS place FROM {quoted(name)}"  # noqa: S608 - quoted
    return np.asarray(going.connection.execute(asked).fetchnumpy()["place"], dtype=np.int64)


def _told(source: SourceReport, going: Reading, rows: int) -> SourceReport:
    """Of a source whose rows were looked at further."""
    return msgspec.structs.replace(source, rows=rows, bad_rows=going.quarantine.of(source.name))


def _checked(data: DataSection, needed: list[str], going: Reading, whose: str) -> SchemaReport | None:
    if data.schema_file is None:
        return None
    schema, limit, file = read_schema(data.schema_file), data.max_bad_rows, data.quarantine
    return check(schema, data.schema_file, going, _TABLE, limit=limit, source=whose, needed=needed, quarantine=file)


def _judged(data: DataSection, going: Reading, sources: list[SourceReport], whose: str) -> BadRows:
    """Faults that lie in the files by the rows of their source, those found after the query by the query's."""
    late = {whose: going.count(_TABLE)} if going.quarantine.of(whose) else {}
    good = {source.name: source.rows or 0 for source in sources} | late
    return going.quarantine.judge(good, data.max_bad_rows, data.quarantine, data.targets)


def _judged_late(
    data: DataSection, going: Reading, sources: list[SourceReport], whose: str, error: InvalidInput
) -> BadRows:
    """Judge once more with the rows that the error spoke of; where none may be bad, it says it best.

    Raises:
        InvalidInput: they are too many.
    """
    if data.max_bad_rows:
        return _judged(data, going, sources, whose)
    going.quarantine.write(data.quarantine)
    hint = f"{error.hint}; all are in {shown(data.quarantine)}".removeprefix("; ")
    raise InvalidInput(error.where, error.problem, expected=error.expected, got=error.got, hint=hint) from error


def _picture(data: DataSection) -> Feature | None:
    return next((feature for feature in data.features.values() if feature.kind == "image"), None)


def _result(data: DataSection, needed: list[str], beside: Beside, going: Reading) -> tuple[dict[str, str], list[str]]:
    """Make the table of what is needed of the query's result; the types of all that it gives, and what came along."""
    while True:
        try:
            found = _made(data, needed, beside, going)
        except duckdb.Error as error:
            if not going.widen(str(error)):
                raise InvalidConfig("data.query", first_line(error)) from error
        else:
            return found


def _made(data: DataSection, needed: list[str], beside: Beside, going: Reading) -> tuple[dict[str, str], list[str]]:
    relation = going.connection.sql(data.query)
    described = relation.description if relation is not None else []
    types = {column[0]: str(column[1]) for column in described}
    again = {name.casefold() for name in twice(column[0] for column in described)}
    for name in needed:
        if name.casefold() in again:
            hint = (
                f'leave one of them out or name it otherwise: SELECT * REPLACE (… AS "{name}"), or * EXCLUDE ("{name}")'
            )
            raise InvalidConfig("data.query", f'its result has two columns "{name}"', hint=hint)
        if name not in types:
            problem = f'no column "{name}" in the query\'s result'
            question = meant(name, types)
            hint = f"{question} " if question else ""
            raise InvalidConfig(_says(data, name), problem, hint=f"{hint}there are {', '.join(types)}")
    others = list(beside([name for name in types if name not in needed]))
    relation.project(", ".join(quoted(name) for name in [*needed, *others])).create(_TABLE)
    return types, others


def _says(data: DataSection, name: str) -> str:
    """The setting that asks for a column."""
    plain = {data.time: "data.time"} | dict.fromkeys(data.targets, "data.target")
    return plain.get(name) or (f"data.features.{name}" if name in data.features else "split")
