"""Report: what a collection read, joined and set aside, as a record and as a chapter for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from training.data.chapters import Chapter, Table, many
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

    @property
    def read(self) -> int | None:
        """Good rows of all sources, before joins and query; None where those of one cannot be counted."""
        counts = [source.rows for source in self.sources if source.rows is not None]
        return sum(counts) if len(counts) == len(self.sources) else None

    @property
    def bad_read(self) -> int:
        """Rows that were set aside as they were read; others of the bad ones were by what joins and query made."""
        return sum(source.bad_rows for source in self.sources)

    @property
    def made(self) -> int | None:
        """Rows that joins and query made of what was read, where those are not as many; bad ones among them count."""
        made = self.rows + self.bad.rows - self.bad_read
        return None if self.read in {None, made} else made


def chapter(report: CollectionReport) -> Chapter:
    """The report for people."""
    tables = [_sources(report.sources)]
    if report.joins:
        tables += [_joins(report.joins), _keys(report.joins)]
    if report.bad.rows:
        tables += [_reasons(report.bad), _examples(report.bad)]
    sources = many(len(report.sources), "source")
    summary = f"{many(report.rows, 'row')}"
    summary += f" of {sources}" if report.made is None else f", of {report.read:,} read from {sources}"
    bad = many(report.bad.rows, "bad row")
    summary += f"; {bad} set aside in {report.bad.file}." if report.bad.rows else "; no bad row."
    return Chapter(title="Collect", summary=summary, tables=tables, warnings=_warnings(report))


def _warnings(report: CollectionReport) -> list[str]:
    said = list(report.notes)
    if report.bad.rows:
        most = f"{report.bad.share:.3%} of {report.bad.source}"
        said.append(f"{many(report.bad.rows, 'row')} (at most {most}) could not be read: see {report.bad.file}")
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
            lost = many(join.unmatched_left.count, "row")
            verbs = ("has", "is") if join.unmatched_left.count == 1 else ("have", "are")
            said.append(f"{between}: {lost} of {join.left} {verbs[0]} no match and {verbs[1]} left out")
        said += [f"{between}: {many(keys.count, 'contradiction')} in {name}" for name, keys in join.conflicting.items()]
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
