"""Databases: a table or a query of SQLite or PostgreSQL, read only and in batches."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from staytrue.addresses import masked_in
from staytrue.errors import InvalidConfig, InvalidInput
from training.data.collect.batches import ROWS, arrow_type, create
from training.data.collect.origins import Origins, Part
from training.data.collect.places import file_of
from training.data.collect.quarantine import BadRow
from training.data.collect.reading import quoted
from training.data.collect.twice import ALIAS, refuse_twice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from staytrue.collection import SourceSection
    from training.data.collect.reading import Reading

_SQLITE = {"integer": "int", "real": "float", "text": "str", "blob": "bytes"}
_POSTGRESQL = {
    16: pa.bool_(),
    20: pa.int64(),
    21: pa.int64(),
    23: pa.int64(),
    700: pa.float64(),
    701: pa.float64(),
    1700: pa.float64(),
    17: pa.binary(),
    1082: pa.date32(),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", tz="UTC"),
}
"""Numbers of its built-in types (pg_type.dat); others come as text."""


def read_sqlite(name: str, source: SourceSection, reading: Reading) -> str:
    """Make a table of a database's; where it lies, for people.

    Raises:
        InvalidInput: it is no database, or the query fails or gives two columns of a name.
    """
    path = file_of(name, source, reading.scratch)
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            selected = _selected(name, source)
            columns = [column[0] for column in database.execute(f"{selected} LIMIT 0").description]
            if source.query:  # of a part of a query SQLite calls the second "x:1"
                asked = database.execute(source.query).description
                refuse_twice(f"data.sources.{name}", [column[0] for column in asked], ALIAS)
            types = [_type(database, selected, column) for column in columns]
            values = ", ".join(
                quoted(column) if pa.types.is_string(kind) else f"nullif({quoted(column)}, '')"
                for column, kind in zip(columns, types, strict=True)
            )
            database.text_factory = _decoded
            rows = database.execute(f"SELECT {values} FROM ({selected})")  # noqa: S608 - quoted, and a query is SQL
            bad: list[BadRow] = []
            create(reading.connection, name, columns, types, _sound(rows, columns, bad, (name, path.name)))
        reading.quarantine.add(bad, "encoding")
        gone = np.array([row.line for row in bad], dtype=np.int64)
        reading.origins[name] = Origins([Part(path.name, reading.count(name), 0, lambda: gone)])
    except sqlite3.Error as error:
        raise InvalidInput(f"data.sources.{name}", f"{path.name} cannot be read: {error}") from error
    return path.name


class _Broken(bytes):
    """A text of a database that is not UTF-8."""


def _decoded(text: bytes) -> str | _Broken:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return _Broken(text)


def _sound(
    rows: Iterable[tuple[Any, ...]], columns: list[str], bad: list[BadRow], place: tuple[str, str]
) -> Iterator[tuple[Any, ...]]:
    """Rows whose texts can be decoded; the others are set aside."""
    for line, row in enumerate(rows, 1):
        broken = next((at for at, value in enumerate(row) if type(value) is _Broken), None)
        if broken is None:
            yield row
        else:
            reason, shown = "a text that is not UTF-8", bytes(row[broken]).decode(errors="backslashreplace")
            source, file = place
            bad.append(BadRow(source=source, file=file, line=line, column=columns[broken], reason=reason, text=shown))


def _type(database: sqlite3.Connection, selected: str, column: str) -> Any:
    """Its columns hold what they like, so all values are asked; an empty text among numbers is a missing one."""
    value = quoted(column)
    kinds = f"SELECT DISTINCT typeof({value}) FROM ({selected}) WHERE {value} <> ''"  # noqa: S608 - quoted, and SQL
    return arrow_type({_SQLITE[kind] for (kind,) in database.execute(kinds)})


def read_postgresql(name: str, source: SourceSection, reading: Reading) -> str:
    """Make a table of a server's, through a cursor of its own that sends some rows at a time.

    Raises:
        InvalidInput: no server answers, or the query fails or gives two columns of a name.
    """
    import psycopg  # noqa: PLC0415 - few projects ask a server

    where = f"data.sources.{name}"
    try:
        with psycopg.connect(str(source.url)) as database:
            database.read_only = True
            with database.cursor(name="staytrue") as cursor:
                cursor.itersize = ROWS
                cursor.execute(_selected(name, source).encode())
                described = cursor.description or []
                refuse_twice(where, [column.name for column in described], ALIAS)
                types = [_POSTGRESQL.get(column.type_code, pa.string()) for column in described]
                floats = [column.type_code == 1700 for column in described]
                create(reading.connection, name, [c.name for c in described], types, _rows(cursor, floats))
            return str(database.info.dbname)
    except psycopg.Error as error:
        said = masked_in(error, str(source.url)).strip().splitlines()
        raise InvalidInput(where, f"the server says: {said[0] if said else type(error).__name__}") from error


def _rows(cursor: Any, floats: list[bool]) -> Iterator[tuple[Any, ...]]:
    """Rows with decimals as floats."""
    if not any(floats):
        yield from cursor
        return
    for row in cursor:
        yield tuple(
            float(value) if decimal and value is not None else value for value, decimal in zip(row, floats, strict=True)
        )


def _selected(name: str, source: SourceSection) -> str:
    if source.query:
        return f"SELECT * FROM ({source.query.strip().rstrip(';')}\n) AS asked"  # noqa: S608 - a query is SQL, and may end in a comment
    if not source.table:
        raise InvalidConfig(f"data.sources.{name}", "says neither table nor query", hint="add one of them")
    return f"SELECT * FROM {'.'.join(quoted(part) for part in source.table.split('.'))}"  # noqa: S608 - quoted
