"""Aside: rows of a table whose values do not fit leave it for the quarantine, each with its line and reason."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from training.data.collect.origins import Origins, Part
from training.data.collect.reading import quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from training.data.collect.reading import Reading

_BATCH = 50_000
_FOUND = "__found"


class Fault(NamedTuple):
    """What is wrong with some rows, in SQL over their table."""

    column: str
    kind: str
    reason: str
    text: str
    where: str


def set_aside(reading: Reading, table: str, source: str, faults: Sequence[Fault]) -> int:
    """Move rows with any of the faults to the quarantine; how many there are.

    The other rows keep their numbers (:meth:`training.data.collect.reading.Reading.row`), and so their lines.
    """
    faults = [fault for fault in faults if reading.any(table, fault.where)]
    for fault in faults:
        _tell(reading, table, source, fault)
    if not faults:
        return 0
    broken = " OR ".join(f"({fault.where})" for fault in faults)
    deleted = reading.connection.execute(f"DELETE FROM {quoted(table)} WHERE {broken}").fetchall()  # noqa: S608 - ours
    rows = int(deleted[0][0])
    reading.quarantine.count(source, rows)
    return rows


def set_rows_aside(
    reading: Reading, table: str, source: str, column: str, found: Sequence[tuple[int, str, str]], kind: str = "value"
) -> None:
    """Write down rows by their numbers, each with reason and text; :func:`leave` takes them out of the table."""
    rows, reasons, texts = zip(*found, strict=True)
    told = (pa.array(rows, pa.int64()), pa.array(reasons, pa.string()), pa.array(texts, pa.string()))
    _write(reading, table, source, (column, kind), told)


def leave(reading: Reading, table: str, source: str, rows: Collection[int]) -> None:
    """Take rows that are written down out of their table."""
    reading.connection.from_arrow(pa.table({"place": pa.array(sorted(rows), pa.int64())})).create(_FOUND)
    gone = f"{reading.row(table)} IN (SELECT place FROM {_FOUND})"  # noqa: S608 - ours
    reading.connection.execute(f"DELETE FROM {quoted(table)} WHERE {gone}; DROP TABLE {_FOUND}")  # noqa: S608 - quoted
    reading.quarantine.count(source, len(rows))


def _tell(reading: Reading, table: str, source: str, fault: Fault) -> None:
    """Write down the rows with one fault, some at a time: it may be all of them."""
    shown = f"left(CAST({fault.text} AS VARCHAR), 2000)"
    asked = f"SELECT __row, {fault.reason}, {shown} FROM {reading.numbered(table)} WHERE {fault.where}"  # noqa: S608 - ours
    with reading.connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'; SET threads = 1")
        for batch in cursor.sql(asked).to_arrow_reader(_BATCH):
            _write(reading, table, source, (fault.column, fault.kind), batch.columns)


def _write(reading: Reading, table: str, source: str, what: tuple[str, str], told: Sequence[Any]) -> None:
    """Faults of a column and a kind: numbers of rows, reasons and texts."""
    origins = reading.origins.get(table) or Origins([Part(source, sys.maxsize)])
    files, lines = origins.of(told[0].to_numpy(zero_copy_only=False))
    columns = {"file": pa.array(files, pa.string()), "line": lines, "reason": told[1], "text": told[2]}
    reading.connection.from_arrow(pa.table(columns)).create(_FOUND)
    reading.quarantine.add_from(
        f"SELECT $source, file, line, $column, $kind, reason, text FROM {_FOUND}",  # noqa: S608 - ours
        {"source": source, "column": what[0], "kind": what[1]},
    )
    reading.connection.execute(f"DROP TABLE {_FOUND}")
