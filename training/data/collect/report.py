"""Report: what a collection read, joined and set aside, as a record and as a chapter for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from training.data.chapters import Chapter, Table
from training.data.collect.joins import JoinReport
from training.data.collect.quarantine import BadRows
from training.data.collect.readers import SourceReport
from training.data.schema.check import SchemaReport

if TYPE_CHECKING:
    from training.data.chapters import Cell
    from training.data.collect.joins import Keys


class CollectionReport(msgspec.Struct, frozen=True, kw_only=True):
    """Of one collection."""

    sources: list[SourceReport]
    joins: list[JoinReport]
    rows: int
    """In the end."""
    bad: BadRows
    schema: SchemaReport | None = None
    """Of the check, where there is a schema: :func:`training.data.schema.check.chapter` tells of it."""
    notes: list[str] = []
    """What somebody should look at."""


def chapter(report: CollectionReport) -> Chapter:
    """The report for people."""
    tables = [_sources(report.sources)]
    if report.joins:
        tables += [_joins(report.joins), _keys(report.joins)]
    if report.bad.rows:
        tables += [_reasons(report.bad), _examples(report.bad)]
    summary = f"{report.rows:,} rows of {len(report.sources)} {'source' if len(report.sources) == 1 else 'sources'}"
    summary += f"; {report.bad.rows:,} bad rows set aside in {report.bad.file}." if report.bad.rows else "; no bad row."
    return Chapter(title="Collect", summary=summary, tables=tables, warnings=_warnings(report))


def _warnings(report: CollectionReport) -> list[str]:
    said = list(report.notes)
    if report.bad.rows:
        most = f"{report.bad.share:.3%} of {report.bad.source}"
        said.append(f"{report.bad.rows:,} rows (at most {most}) could not be read: see {report.bad.file}")
    for join in report.joins:
        between = f"{join.left} and {join.right}"
        if join.repeated:
            keys = f"{join.duplicated_right.count:,} keys stand several times in {join.right}"
            said.append(f"{between}: {keys}, by which the result has {join.repeated:,} repeated rows of {join.left}")
        said += [
            f"{between}: {keys.count:,} keys that repeat in {join.right} have unlike values of {name}: rows that they "
            f"repeat contradict each other; keep one row a key there, or join by data.query"
            for name, keys in join.ambiguous.items()
        ]
        if join.how == "inner" and join.unmatched_left.count:
            said.append(f"{between}: {join.unmatched_left.count:,} rows of {join.left} have no match and are left out")
        said += [f"{between}: {keys.count:,} contradictions in {name}" for name, keys in join.conflicting.items()]
    return said


def _sources(sources: list[SourceReport]) -> Table:
    rows: list[list[Cell]] = [[s.name, s.format, s.place, s.rows, s.bad_rows] for s in sources]
    columns = ["name", "format", "place", "rows", "bad rows"]
    return Table(title="Sources", columns=columns, rows=rows, note="Rows that could be read, before any query.")


def _joins(joins: list[JoinReport]) -> Table:
    rows: list[list[Cell]] = [
        [j.left, j.right, j.how, ", ".join(j.on), j.rows_left, j.rows_right, j.rows, j.repeated] for j in joins
    ]
    columns = ["left", "right", "how", "key", "rows left", "rows right", "rows", "repeated"]
    note = "Repeated are rows of the left that stand in the result once more, as the right has their key several times."
    return Table(title="Joins", columns=columns, rows=rows, note=note)


def _keys(joins: list[JoinReport]) -> Table:
    rows: list[list[Cell]] = []
    for join in joins:
        found: dict[str, Keys] = {
            f"rows of {join.left} without a match": join.unmatched_left,
            f"rows of {join.right} without a match": join.unmatched_right,
            f"keys that repeat in {join.left}": join.duplicated_left,
            f"keys that repeat in {join.right}": join.duplicated_right,
        }
        repeating = f"keys that repeat in {join.right} with unlike values of"
        found |= {f"{repeating} {name}": keys for name, keys in join.ambiguous.items()}
        found |= {f"contradictions in {name}": keys for name, keys in join.conflicting.items()}
        between = f"{join.left}, {join.right}"
        rows += [[between, what, keys.count, "; ".join(keys.examples)] for what, keys in found.items() if keys.count]
    note = "Contradictions are counted in pairs of rows of one key. A key that is missing in part has no match."
    return Table(title="Keys", columns=["tables", "what", "count", "examples"], rows=rows, note=note)


def _reasons(bad: BadRows) -> Table:
    rows: list[list[Cell]] = [[reason, count] for reason, count in bad.reasons.items()]
    return Table(title="Bad rows by reason", columns=["reason", "faults"], rows=rows, note="A row may have several.")


def _examples(bad: BadRows) -> Table:
    rows: list[list[Cell]] = [[b.file, b.line, b.column, b.reason, b.text] for b in bad.examples]
    columns = ["file", "line", "column", "reason", "text"]
    return Table(title="Some bad rows", columns=columns, rows=rows)
