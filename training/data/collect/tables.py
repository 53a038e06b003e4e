"""Tables: what the sources of a project hold, each a table or a view of the reading, joined where that is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from staytrue.addresses import masked, shown
from staytrue.collection import SourceSection
from staytrue.errors import InvalidConfig, InvalidInput, NotFound, StaytrueError, Unsupported
from training.data.collect.delimited import load, strict
from training.data.collect.joins import join_all
from training.data.collect.patterns import refuse_unread
from training.data.collect.readers import SourceReport, read
from training.data.collect.reading import file_literal, first_line, quoted, reading
from training.data.collect.twice import refuse_twice_parquet

if TYPE_CHECKING:
    from staytrue.preparation import DataSection
    from training.data.collect.joins import JoinReport
    from training.data.collect.reading import Reading, Wanted

PLAIN = "SELECT * FROM source"
"""The query of who wrote none."""
_FORMS = (".csv", ".parquet")


def tables(data: DataSection, going: Reading) -> tuple[list[SourceReport], list[JoinReport]]:
    """Read all sources; what a query may ask for stands under their names, and under ``source`` where it is one table.

    Raises:
        NotFound: no such file.
        InvalidConfig: several sources, and nothing says how they become one table.
        InvalidInput: a source that cannot be read.
    """
    if data.source is not None:
        return [_single(data, going)], []
    if len(data.sources) > 1 and not data.join and data.query == PLAIN and "source" not in data.sources:
        got = f"{', '.join(data.sources)} and neither"
        hint = "`data.join` says by which key rows belong together; a query may also append them (UNION ALL BY NAME)"
        expected = "a join, or a query that says how sources become one table"
        raise InvalidConfig("data.sources", expected=expected, got=got, hint=hint)
    sources = [read(name, source, going) for name, source in data.sources.items()]
    if data.join:
        return sources, join_all(data.join, going, list(data.sources))
    if len(sources) == 1 and "source" not in data.sources:
        only = quoted(sources[0].name)
        going.connection.execute(f"CREATE VIEW source AS SELECT * FROM {only}")  # noqa: S608 - quoted
    return sources, []


def _single(data: DataSection, going: Reading) -> SourceReport:
    """The view of ``data.source``; a table where bad lines may be set aside."""
    path = data.source
    assert path is not None  # noqa: S101 - asked before
    if path.suffix.lower() == ".gz":  # such as a packed CSV file: as a source of data.sources is read
        return read("source", SourceSection(path=path), going)
    if path.suffix.lower() not in _FORMS:
        hint = "data.sources reads other forms"
        got = path.suffix or "no suffix"
        raise Unsupported("data.source", expected=" or ".join(_FORMS), got=got, hint=hint)
    if not path.is_file():
        raise NotFound("data.source", f"no file {masked(shown(path))}", hint="paths are relative to staytrue.yaml")
    form, bad = path.suffix.lower()[1:], 0
    if form == "csv":
        refuse_unread("data.source", path, masked(shown(path)), encoded=False)
    try:
        if form == "parquet":
            refuse_twice_parquet([path])
            view = f"CREATE VIEW source AS SELECT * FROM read_parquet({file_literal(path)})"  # noqa: S608 - quoted
            going.connection.execute(view)
        elif data.max_bad_rows:
            load("source", [path], {}, {}, going)
            bad = going.quarantine.of("source")
        else:
            strict(path, going)
    except duckdb.Error as error:
        raise InvalidInput("data.source", f"{masked(shown(path))} cannot be read: {first_line(error)}") from error
    return SourceReport(name="source", format=form, place=path.name, rows=_counted(going), bad_rows=bad)


def _counted(going: Reading) -> int | None:
    """Rows of the view ``source``; None where a value stands in the way that the query perhaps never asks for."""
    try:
        return going.count("source")
    except duckdb.Error:
        return None


def explain(data: DataSection, wanted: Wanted) -> None:
    """Where reading one CSV file failed for its bad lines, say which: DuckDB alone gives up without, or guesses.

    Raises:
        InvalidInput: there are some.
    """
    path = data.source
    if path is None or data.max_bad_rows or path.suffix.lower() != ".csv" or not path.is_file():
        return
    with reading(data.memory, wanted) as going:
        try:
            refuse_unread("data.source", path, path.name, encoded=False)
            load("source", [path], {}, {}, going)
        except StaytrueError:
            return
        if going.quarantine.of("source"):
            going.quarantine.judge({"source": going.count("source")}, 0, data.quarantine, data.targets)
