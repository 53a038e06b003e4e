"""The chapter on one part of the data: all its metrics, matrices, curves and slices."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from staytrue.evaluation import headline, ranged
from training.data.chapters import Bars, Chapter, Chart, Line, Table, many

if TYPE_CHECKING:
    from collections.abc import Mapping

    from staytrue.bundle import Metric
    from staytrue.evaluation import CalibrationBin, ClassEvaluation, Confusion, PartEvaluation, Residuals
    from training.data.chapters import Cell

MOST_LINES = 8
"""Curves in one chart: those of the classes of the most rows."""
FIGURES = ["metric", "value", "from", "to", "note"]
_UNIT = [0.0, 1.0]


def chapter(name: str, part: PartEvaluation) -> Chapter:
    """All that is told of the rows of a part."""
    of = f", {part.blocks} {part.blocked_by} drawn" if part.blocks else ""
    tables = [Table(title="Metrics", columns=FIGURES, rows=figures(part.metrics), note=f"With 95% intervals{of}.")]
    tables += [_absent(part.absent)] if part.absent else []
    tables += [_by_class(part.by_class)] if part.by_class else []
    tables += [_confusion(part.confusion)] if part.confusion else []
    tables += [_slices(part)] if part.slices else []
    charts = [*_calibration(part.calibration), *_ranking(part.by_class)]
    charts += [_residuals(target, found) for target, found in part.residuals.items()]
    left_out = f", {many(part.left_out, 'row')} without a truth left out" if part.left_out else ""
    return Chapter(
        title=f"{name.capitalize()} rows",
        summary=f"{many(part.rows, 'row')} judged{left_out}.",
        tables=tables,
        charts=charts,
        bars=[_histogram(target, found) for target, found in part.residuals.items()],
    )


def figures(metrics: Mapping[str, Metric]) -> list[list[Cell]]:
    """A row a metric; without an interval it has no ends."""
    return [[name, metric.value, *_ends(metric), metric.note] for name, metric in metrics.items()]


def _ends(metric: Metric) -> tuple[Cell, Cell]:
    return (None, None) if metric.bare else (metric.low, metric.high)


def _absent(absent: Mapping[str, str]) -> Table:
    return Table(title="Without a value", columns=["metric", "why"], rows=[[name, why] for name, why in absent.items()])


def _by_class(classes: Mapping[str, ClassEvaluation]) -> Table:
    names = ["precision", "recall", "f1", "auc", "average_precision"]
    rows: list[list[Cell]] = []
    for name, told in classes.items():
        values: list[Cell] = [told.metrics[key].value if key in told.metrics else None for key in names]
        rows.append([name, told.rows, told.predicted, *values])
    columns = ["class", "rows", "answered", *(name.replace("_", " ") for name in names)]
    return Table(title="Each class against all others", columns=columns, rows=rows)


def _confusion(confusion: Confusion) -> Table:
    rows: list[list[Cell]] = [[name, *counts] for name, counts in zip(confusion.classes, confusion.rows, strict=True)]
    if any(confusion.other):
        rows.append(["(another)", *confusion.other])
    note = "Rows by their truth, columns by the answer."
    return Table(title="Confusion", columns=["truth", *confusion.classes], rows=rows, note=note, shaded=True)


def _slices(part: PartEvaluation) -> Table:
    names = list(dict.fromkeys(name for one in part.slices for name in one.metrics))
    rows: list[list[Cell]] = []
    for one in part.slices:
        why = one.note or "; ".join(f"{name}: {reason}" for name, reason in one.absent.items())
        shown = [one.metrics.get(name) for name in names]
        told: list[Cell] = [_interval(metric) for metric in shown]
        rows.append([one.name, one.holds, one.rows, *told, why])
    whole: list[Cell] = [_interval(headline(part.metrics).get(name)) for name in names]
    rows.append(["", "all rows", part.rows, *whole, ""])
    return Table(title="Slices", columns=["slice", "rows of it", "rows", *names, "note"], rows=rows)


def _interval(metric: Metric | None) -> Cell:
    return None if metric is None else ranged(metric)


def _calibration(bins: list[CalibrationBin]) -> list[Chart]:
    if not bins:
        return []
    line = Line(
        name="share right",
        across=[one.said for one in bins],
        up=[one.right.value for one in bins],
        low=[one.right.low for one in bins],
        high=[one.right.high for one in bins],
    )
    true = Line(name="as said", across=_UNIT, up=_UNIT, dashed=True)
    return [Chart(title="Calibration", across="probability said", up="share right", lines=[line, true])]


def _ranking(classes: Mapping[str, ClassEvaluation]) -> list[Chart]:
    """ROC and precision-recall curves, each class against all others."""
    curves = {name: (told.rows, told.curve) for name, told in classes.items() if told.curve is not None}
    most = sorted(curves, key=lambda name: -curves[name][0])[:MOST_LINES]
    note = f"Of {len(curves)} classes those of the most rows" if len(most) < len(curves) else ""
    roc, precision = [], []
    for name, (_, curve) in curves.items():
        if name in most and curve is not None:
            roc.append(Line(name=name, across=[0.0, *curve.false_positive_rate], up=[0.0, *curve.recall]))
            precision.append(Line(name=name, across=curve.recall, up=curve.precision))
    if not roc:
        return []
    chance = Line(name="chance", across=_UNIT, up=_UNIT, dashed=True)
    return [
        Chart(title="ROC", across="false positive rate", up="recall", lines=[*roc, chance], note=note),
        Chart(title="Precision and recall", across="recall", up="precision", lines=precision, note=note),
    ]


def _residuals(target: str, found: Residuals) -> Chart:
    line = Line(
        name="mean",
        across=[group.prediction for group in found.groups],
        up=[group.mean for group in found.groups],
        low=[group.low for group in found.groups],
        high=[group.high for group in found.groups],
    )
    ends = [min(line.across), max(line.across)]
    none = Line(name="no error", across=ends, up=[0.0, 0.0], dashed=True)
    note = "Means and quartiles by tenths of the prediction"
    title = f"Residuals of {target} by prediction"
    return Chart(title=title, across="prediction", up="prediction minus truth", lines=[line, none], note=note)


def _histogram(target: str, found: Residuals) -> Bars:
    labels = [f"{low:.4g} to {high:.4g}" for low, high in itertools.pairwise(found.edges)]
    return Bars(
        title=f"residuals of {target}, {found.edges[0]:.4g} to {found.edges[-1]:.4g}",
        labels=labels,
        counts=found.counts,
    )
