"""One picture of the year: error, drift evidence, quality evidence, alarms, promotions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("Agg")  # no screen needed

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np

from examples.bikeshare.demo.stream import DAY
from staytrue.records import seconds_of

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from examples.bikeshare.demo.story import Story

INK, KEPT, ALONE, DRIFT, QUALITY = "#22303c", "#0b7a75", "#c8553d", "#5b5ea6", "#d98c00"


def draw(story: Story, path: Path) -> None:
    """Write the picture as PNG."""
    plt.rcParams.update({"font.size": 9, "axes.edgecolor": "#b8c0c8", "axes.labelcolor": INK, "text.color": INK})
    figure, (errors, evidence, marks) = plt.subplots(
        3, 1, figsize=(11, 7.4), sharex=True, gridspec_kw={"height_ratios": [3, 2, 0.9]}, layout="constrained"
    )
    _errors(errors, story)
    _evidence(evidence, story)
    _marks(marks, story)
    for at, _ in story.year.promotions():
        for axis in (errors, evidence):
            axis.axvline(_when(at), color=KEPT, linewidth=0.8, alpha=0.45)
    marks.xaxis.set_major_locator(mdates.MonthLocator())
    marks.xaxis.set_major_formatter(mdates.DateFormatter("%b"))
    figure.suptitle("Bike sharing 2011: one model kept true, one left alone", fontsize=12, fontweight="bold")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _errors(axis: Axes, story: Story) -> None:
    kept, alone = story.year.phases()["May to December"]
    for values, colour, label in (
        (story.year.alone_error, ALONE, f"left alone: {alone:.1f} from May on"),
        (story.year.kept_error, KEPT, f"kept true: {kept:.1f} from May on"),
    ):
        days, means = _weekly(story.year.time, values)
        axis.plot(days, means, color=colour, linewidth=1.8, label=label)
    axis.set_ylabel("mean absolute error,\nbikes an hour, 7 days")
    axis.set_ylim(bottom=0)
    axis.legend(loc="upper left", frameon=False)
    axis.grid(axis="y", color="#e6e9ec")


def _evidence(axis: Axes, story: Story) -> None:
    drift = [(w["end"], _largest(w["drift"])) for w in story.windows if w["rows"]]
    quality = [(w["end"], w["quality"]["evidence"]) for w in story.windows if w["quality"]]
    for points, colour, label in ((drift, DRIFT, "drift"), (quality, QUALITY, "quality")):
        axis.plot([_when(t) for t, _ in points], [e for _, e in points], ".-", color=colour, ms=3, lw=1, label=label)
    axis.axhline(1, color=ALONE, linewidth=1, linestyle="--")
    axis.text(0.005, 1.05, "alarm", color=ALONE, fontsize=8, transform=axis.get_yaxis_transform())
    axis.set_ylabel("evidence\n(1 = alarm)")
    axis.set_ylim(0, 3)
    axis.legend(loc="upper left", bbox_to_anchor=(0.06, 1.0), frameon=False, ncols=2)
    axis.grid(axis="y", color="#e6e9ec")


def _marks(axis: Axes, story: Story) -> None:
    rows = [("StaytrueDrift", DRIFT, "drift alarm"), ("StaytrueQuality", QUALITY, "quality alarm")]
    for height, (name, colour, _) in enumerate(rows):
        for alert in (a for a in story.alerts if a["labels"]["alertname"] == name):
            begin = seconds_of(alert["startsAt"])
            end = seconds_of(alert["endsAt"]) if alert["status"] == "resolved" else float(story.year.time[-1])
            axis.plot(
                [_when(begin), _when(max(end, begin + DAY))],
                [height, height],
                color=colour,
                lw=6,
                solid_capstyle="butt",
            )
    for job in story.jobs:
        promoted = bool(job["verdict"] and job["verdict"]["promote"])
        axis.plot(_when(job["job"]["event_time"]), 2, "^" if promoted else "x", color=KEPT if promoted else INK, ms=6)
    axis.set_yticks([0, 1, 2], [*(label for _, _, label in rows), "▲ promoted, x refused"])
    axis.set_ylim(-0.6, 2.6)


def _largest(items: list[dict[str, Any]]) -> float:
    return max((i["evidence"] for i in items if i["sufficiency"] == "sufficient"), default=float("nan"))


def _weekly(time: Any, values: Any) -> tuple[list[float], list[float]]:
    """Trailing seven-day means, one a day; NaN where the seven days hold less than a day of rows."""
    ends = np.arange(time[0] // DAY + 1, time[-1] // DAY + 2) * DAY
    means = []
    for end in ends:
        inside = (time >= end - 7 * DAY) & (time < end)
        means.append(float(values[inside].mean()) if inside.sum() >= 24 else float("nan"))
    return [_when(end) for end in ends], means


def _when(seconds: float) -> float:
    """A time as matplotlib counts it: days since 1970."""
    return seconds / DAY
