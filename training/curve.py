"""The course of a training as a picture: loss, measures and learning rate by epoch."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

from staytrue.records import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from training.watch.facts import Course

NAMES = {
    "mae": "mean absolute error",
    "mse": "mean squared error",
    "auc": "area under the curve",
    "pinball": "pinball loss",
    "scaled_mae": "scaled mean absolute error",
}
"""Measures that are abbreviated in a line; the others are their own names."""
APART = ("epoch", "loss", "learning_rate", "seconds")
"""What is no measure."""
MOST_MEASURES = 4
"""Beside the one that decides: more would leave no room to see any."""
DECADES = 2
"""From a range of so many on, a scale is logarithmic: below the first drop all would look flat."""


def draw(course: Course, target: str, path: Path) -> None:
    """Write the picture; the file is replaced in one step."""
    picture = io.BytesIO()
    figure_of(course, target).savefig(picture, dpi=100, format="png")
    write_atomically(path, picture.getvalue())


def figure_of(course: Course, target: str) -> Figure:
    """Loss of the training rows, deciding measure of the validation rows and which epoch was kept, by epoch.

    Below them the other measures and the learning rate.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - it takes long to import

    lines = course.epochs
    others = [name for name in (lines[-1] if lines else {}) if name not in {*APART, course.measure}][:MOST_MEASURES]
    below = [*others, "learning_rate"]
    figure = Figure(figsize=(7, 4 + 1.25 * len(below)), layout="constrained")
    heights = [3.2] + [1] * len(below)
    top, *panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    epochs = [line["epoch"] for line in lines]
    _main(top, course, target, epochs)
    for name, axes in zip(below, panels, strict=True):
        values = [line.get(name, math.nan) for line in lines]
        axes.plot(epochs, values, color="tab:green" if name == "learning_rate" else "tab:orange", marker=_mark(lines))
        axes.set_ylabel(_label(name).replace(" ", "\n", 1), fontsize="small")
        if name != "learning_rate":  # which a schedule ends near zero
            _scale(axes, values)
        if course.best_epoch:
            axes.axvline(course.best_epoch, color="grey", linestyle=":")
    panels[-1].set_xlabel("epoch")
    return figure


def _main(axes: Axes, course: Course, target: str, epochs: Sequence[float]) -> None:
    losses = [line["loss"] for line in course.epochs]
    drawn = axes.plot(epochs, losses, color="tab:blue", label="training loss", marker=_mark(losses))
    axes.set_ylabel("training loss (scaled)")
    _scale(axes, losses)
    right = axes.twinx()
    measured = [line[course.measure] for line in course.epochs]
    drawn += right.plot(epochs, measured, color="tab:orange", label="validation error", marker=_mark(measured))
    right.set_ylabel(f"{_label(course.measure)} of {target}, validation")
    _scale(right, measured)
    if course.best_epoch:
        kept = f"kept: epoch {course.best_epoch}"
        drawn.append(axes.axvline(course.best_epoch, color="grey", linestyle=":", label=kept))
    axes.legend(handles=drawn, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(drawn), frameon=False)


def _mark(values: Sequence[object]) -> str | None:
    """A single epoch makes no line: it is a point."""
    return "." if len(values) < 2 else None


def _scale(axes: Axes, values: Sequence[float]) -> None:
    known = [value for value in values if math.isfinite(value)]
    if known and min(known) > 0 and math.log10(max(known) / min(known)) >= DECADES:
        axes.set_yscale("log")


def _label(name: str) -> str:
    """A measure in words.

    >>> _label("validation_log_loss"), _label("validation_mae"), _label("learning_rate")
    ('log loss', 'mean absolute error', 'learning rate')
    """
    plain = name.removeprefix("validation_")
    return NAMES.get(plain, plain.replace("_", " "))
