"""Reading: what the readers of one collection share: DuckDB, a scratch folder, the rows set aside, what is wanted."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from training.data.collect.quarantine import Quarantine

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from staytrue.feature import Feature
    from training.data.collect.origins import Origins

_LITTLE_BYTES = 256 << 20
"""Enough for DuckDB to hand out a table column by column."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a project needs of the columns of its files."""

    types: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Column → DuckDB type that features demand of what looks like text, where no query stands in between."""
    direct: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Column → type that features demand of what reaches them as it is, whatever the query does beside."""
    names: Collection[str] = frozenset()
    """Columns whose values are names: files of text are read as they write them."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """Of one collection; ends with it."""

    connection: duckdb.DuckDBPyConnection
    scratch: Path
    quarantine: Quarantine
    wanted: Wanted
    picture: Feature | None = None
    """The feature that says how pictures are sent, if one is a picture."""
    notes: list[str] = dataclasses.field(default_factory=list)
    """What somebody should look at, found on the way."""
    origins: dict[str, Origins] = dataclasses.field(default_factory=dict)
    """Where the rows of tables come from, where it is known."""
    wideners: list[Callable[[str], bool]] = dataclasses.field(default_factory=list)
    """What makes a view anew by what a query over it failed with; says whether to ask once more."""

    def columns(self, table: str) -> dict[str, str]:
        """Names and DuckDB types of a table's columns, in their order."""
        return {row[0]: row[1] for row in self.connection.execute(f"DESCRIBE {quoted(table)}").fetchall()}

    def count(self, table: str) -> int:
        """Rows of a table."""
        found = self.connection.execute(f"SELECT count(*) FROM {quoted(table)}").fetchall()  # noqa: S608 - quoted
        return int(found[0][0])

    def row(self, table: str) -> str:
        """SQL of the number of a table's rows, from 0: it stays when others are deleted.

        Rows of a view are counted as they stand, and where a column hides the number.
        """
        views = self.connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        hidden = (table,) in views or "rowid" in map(str.lower, self.columns(table))
        return "row_number() OVER () - 1" if hidden else "rowid"

    def numbered(self, table: str) -> str:
        """SQL of a table with the numbers of its rows as ``__row`` beside its columns."""
        return f"(SELECT {self.row(table)} AS __row, * FROM {quoted(table)})"  # noqa: S608 - quoted

    def any(self, table: str, where: str) -> bool:
        """Whether SQL holds of any row of a table."""
        asked = f"SELECT 1 FROM {quoted(table)} WHERE {where} LIMIT 1"  # noqa: S608 - ours
        return self.connection.execute(asked).fetchone() is not None

    def widen(self, failure: str) -> bool:
        """Whether a query that failed may be asked once more, since a column holds more than its first lines."""
        return any(widener(failure) for widener in self.wideners)

    def settle(self) -> None:
        """Hold little from here on: what DuckDB has in memory goes to disk, and leaves room for arrays."""
        held = self.connection.execute("SELECT sum(memory_usage_bytes) FROM duckdb_memory()").fetchall()[0][0] or 0
        if held > _LITTLE_BYTES:
            self.connection.execute(f"SET memory_limit = '{_LITTLE_BYTES}B'")


@contextlib.contextmanager
def reading(memory: str, wanted: Wanted, picture: Feature | None = None) -> Iterator[Reading]:
    """Open one: DuckDB in memory that spills into the scratch folder, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="staytrue-") as scratch, duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")  # one thread: rows keep the order they stand in
        connection.execute(f"SET memory_limit = {literal(memory)}; SET temp_directory = {literal(scratch)}")
        if sys.stdout.isatty():  # DuckDB draws on it, after two seconds
            connection.execute("SET enable_progress_bar = true")
        # DuckDB 2.0 reads a CSV column as what a query casts it to, by which try_cast fails like a cast.
        connection.execute("SET disabled_optimizers = 'type_pushdown'")
        yield Reading(connection, Path(scratch), Quarantine(connection), wanted, picture)


def quoted(name: str) -> str:
    r"""A name as SQL writes it.

    >>> quoted("a b")
    '"a b"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: object) -> str:
    """A text as SQL writes it.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + str(text).replace("'", "''") + "'"


def unquoted(written: str) -> str:
    """The text of a :func:`literal`.

    >>> unquoted("'it''s'")
    "it's"
    """
    return written[1:-1].replace("''", "'")


def file_literal(path: Path) -> str:
    """A file as DuckDB's readers take it: exactly this one, though its name may look like a pattern.

    >>> file_literal(Path("d[1].csv"))
    "'d[[]1].csv'"
    """
    return literal(re.sub(r"[\[*?]", r"[\g<0>]", str(path)))


def first_line(error: Exception) -> str:
    r"""What went wrong, without DuckDB's excerpt of the statement or of the line.

    >>> first_line(ValueError("CSV Error on Line: 3\nOriginal Line: a,b\nMaximum line size exceeded."))
    'CSV Error on Line: 3: Maximum line size exceeded.'
    """
    lines = [line for line in str(error).splitlines() if line.strip()]
    detail = [line for line in lines[1:] if not line.startswith("Original Line")]
    return ": ".join([lines[0], *detail[:1]]) if "CSV Error on Line" in lines[0] else lines[0]
