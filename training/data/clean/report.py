"""Report: what the steps after the split touched, by column, with examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from staytrue.records import utc
from training.data.chapters import Chapter, Table
from training.data.clean.cleaning import is_missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.data.chapters import Cell
    from training.data.clean.cleaning import CleaningReport

EXAMPLES = 5
CHANGES = 3
"""Values of one sequence that an example shows."""
MOST_MARKED = 1000
"""Marked rows that the report names; the count is of all."""

Scope = Literal["training rows", "training rows and the exported graph", "report"]
"""Whom a step concerns: what is served goes through the graph, and through nothing else."""


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One touched value; None is a missing one, or no value any more."""

    time: str
    before: float | str | None
    after: float | str | None


class Touch(msgspec.Struct, frozen=True, kw_only=True):
    """What one step did to one column of the training rows; to whole rows where ``column`` is empty."""

    step: str
    column: str
    action: str
    scope: Scope
    count: int
    share: float
    """Of the rows that the step saw."""
    examples: list[Example] = []


class StepsReport(msgspec.Struct, frozen=True, kw_only=True):
    """What all steps did, in their order."""

    rows_before: int
    rows_after: int
    touches: list[Touch] = []
    marked: list[str] = []
    """Times of rows that are marked as outliers, the first :data:`MOST_MARKED`."""
    warnings: list[str] = []


def touch(
    step: str,
    column: str,
    action: str,
    scope: Scope,
    found: NDArray[np.bool_],
    times: NDArray[np.float64],
    before: NDArray[Any] | None = None,
    after: NDArray[Any] | float | str | None = None,
) -> Touch:
    """Count what was found, and show the first of it. Shapes: found [N], times [N], before [N], after [N] or one."""
    first = np.flatnonzero(found)[:EXAMPLES]
    old = [None] * len(first) if before is None else _cells(before[first])
    new = _cells(after[first]) if isinstance(after, np.ndarray) else [after] * len(first)
    if before is not None and isinstance(after, np.ndarray) and before.ndim == after.ndim == 3 and len(first):
        old, new = map(list, zip(*map(_changes, before[first], after[first]), strict=True))
    count = int(found.sum())
    return Touch(
        step=step,
        column=column,
        action=action,
        scope=scope,
        count=count,
        share=count / max(len(found), 1),
        examples=[
            Example(time=utc(time), before=b, after=a) for time, b, a in zip(times[first], old, new, strict=True)
        ],
    )


def chapter(report: StepsReport, before: CleaningReport | None = None) -> Chapter:
    """What people read: the steps before the split, if their report is given, and those on the training rows."""
    dropped = report.rows_before - report.rows_after
    touched = sum(touch.count for touch in report.touches)
    summary = f"{touched} values or rows of {report.rows_before} training rows touched, {dropped} of them dropped."
    if before:
        gone = before.rows_before - before.rows_after
        summary = f"{gone} of {before.rows_before} rows dropped before the split. After it {summary}"
    tables = [_before(before)] if before else []
    if report.touches:
        tables += [_touches(report.touches), _examples(report.touches)]
    if report.marked:
        rows: list[list[Cell]] = [[time] for time in report.marked]
        note = f"the first {MOST_MARKED} of them" if len(report.marked) == MOST_MARKED else ""
        tables.append(Table(title="Marked rows", columns=["time"], rows=rows, note=note))
    return Chapter(title="Cleaning", summary=summary, tables=tables, warnings=[*report.warnings, *_beyond(before)])


def _beyond(report: CleaningReport | None) -> list[str]:
    """A warning of each column with numbers that the model cannot take."""
    found = report.infinite if report else {}
    why = "infinite, or beyond 3.4e38, which FP32 does not hold: they count as missing ones"
    return [f"{name} has {count} values that are {why}" for name, count in found.items()]


def _before(report: CleaningReport) -> Table:
    lacking: list[list[Cell]] = [[f"missing values of {name}, kept", count] for name, count in report.missing.items()]
    infinite: list[list[Cell]] = [
        [f"values of {name} that FP32 does not hold, now missing", n] for name, n in report.infinite.items()
    ]
    rows: list[list[Cell]] = [
        ["rows read", report.rows_before],
        ["duplicates", report.duplicates],
        ["rows without a target, dropped", report.missing_target],
        ["rows with missing features, dropped", report.dropped_for_missing_features],
        *infinite,
        *(row for row in lacking if row[1]),
        ["rows kept", report.rows_after],
    ]
    return Table(title="All rows, before the split", columns=["what", "count"], rows=rows)


def _touches(touches: Sequence[Touch]) -> Table:
    rows: list[list[Cell]] = [
        [t.step, t.column or "(whole rows)", t.action, t.count, round(t.share, 6), t.scope] for t in touches
    ]
    note = "learnt from the training rows; what the exported graph does not do too, callers and held-out rows never see"
    columns = ["step", "column", "action", "count", "share", "concerns"]
    return Table(title="Training rows, after the split", columns=columns, rows=rows, note=note)


def _examples(touches: Sequence[Touch]) -> Table:
    rows: list[list[Cell]] = [
        [t.step, t.column or "(whole rows)", e.time, e.before, e.after] for t in touches for e in t.examples
    ]
    return Table(title="Examples", columns=["step", "column", "time", "before", "after"], rows=rows)


def _changes(before: NDArray[Any], after: NDArray[Any]) -> tuple[str, str]:
    """The first values of a sequence that another one has otherwise, and what it has there. Shapes: [T,C] each.

    >>> _changes(np.array([[1.0], [9.0]]), np.array([[1.0], [2.0]]))
    ('step 2, channel 1: 9', '2')
    """
    places = np.argwhere((before != after) & ~(np.isnan(before) & np.isnan(after)))
    more = f"; {len(places) - CHANGES} more" if len(places) > CHANGES else ""
    shown = [(step, channel) for step, channel in places[:CHANGES].tolist()]
    old = "; ".join(f"step {step + 1}, channel {channel + 1}: {before[step, channel]:.4g}" for step, channel in shown)
    return f"{old}{more}", "; ".join(f"{after[place]:.4g}" for place in shown)


def _cells(values: NDArray[Any]) -> list[float | str | None]:
    gone = is_missing(values)
    return [None if missing else _cell(value) for value, missing in zip(values, gone, strict=True)]


def _cell(value: Any) -> float | str:
    if isinstance(value, str):
        return value
    if isinstance(value, np.ndarray):
        return f"{value.size} numbers"
    return float(f"{value:.7g}") if isinstance(value, np.floating) else int(value)
