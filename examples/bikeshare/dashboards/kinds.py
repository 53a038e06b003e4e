"""Each kind of panel, drawn with matplotlib on an axis that lies where Grafana would put it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import matplotlib.dates as mdates
import numpy as np
from matplotlib.ticker import MaxNLocator

from examples.bikeshare.dashboards.units import scale, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from examples.bikeshare.dashboards.series import Series

PALETTE = ["#3d9a45", "#d9a400", "#3f8fd0", "#d9731a", "#d6404f", "#2767b0", "#a7479e", "#6a559e", "#5b7f1a", "#888e94"]
COLOURS = {"green": "#3d9a45", "orange": "#e58a00", "red": "#d6404f", "blue": "#3f8fd0"}
INK, FAINT = "#24292e", "#8a9097"
DAY = 86400.0
Panel = dict[str, Any]


def timeseries(axis: Axes, panel: Panel, found: list[Series]) -> None:
    """Lines, stacked or not, with thresholds and a legend."""
    custom, defaults = panel["fieldConfig"]["defaults"]["custom"], panel["fieldConfig"]["defaults"]
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    step: Literal["post"] | None = "post" if custom.get("lineInterpolation") == "stepAfter" else None
    base = np.zeros(len(found[0].values)) if found else np.zeros(0)
    for place, series in enumerate(found):
        colour, when = PALETTE[place % len(PALETTE)], [at / DAY for at in series.times]
        values = np.array(series.values)
        top = base + np.nan_to_num(values) if stacked else values
        axis.fill_between(
            when, base if stacked else 0, top, color=colour, alpha=0.3 if stacked else 0.06, lw=0, step=step
        )
        axis.plot(when, top, color=colour, lw=1.1, drawstyle="steps-post" if step else "default", label=series.name)
        base = top if stacked else base
    _limits(axis, defaults, found, base if stacked else None)
    _legend(axis, panel, found)
    _clock(axis)
    axis.set_yticks(_ticks(axis.get_ylim()[1], defaults["unit"]))
    axis.yaxis.set_major_formatter(lambda value, _: text(value, defaults["unit"]))
    axis.grid(color="#eceff1", lw=0.7)


def _limits(axis: Axes, defaults: dict[str, Any], found: list[Series], stacked: Any) -> None:
    largest = max([series.largest for series in found if math.isfinite(series.largest)] or [1.0])
    if stacked is not None and len(stacked):
        largest = float(np.nanmax(stacked))
    drawn = 0.0
    for step in defaults["thresholds"]["steps"][1:]:
        if step["value"] <= 4 * largest:  # one that is far away says nothing yet
            axis.axhline(step["value"], color=COLOURS[step["color"]], lw=1, ls="--", alpha=0.8)
            drawn = step["value"]
    top = defaults.get("max") or 1.08 * max(largest, drawn) or 1.0
    axis.set_ylim(defaults.get("min", 0), top)


def _legend(axis: Axes, panel: Panel, found: list[Series]) -> None:
    legend, unit = panel["options"]["legend"], panel["fieldConfig"]["defaults"]["unit"]
    marks, names = axis.get_legend_handles_labels()
    if legend["placement"] == "right":
        order = sorted(range(len(found)), key=lambda place: -found[place].last)
        shown = [
            f"{found[place].name:<12}{text(found[place].last, unit, 2):>7}{text(found[place].largest, unit, 2):>7}"
            for place in order
        ]
        axis.legend(
            [marks[place] for place in order],
            shown,
            title=f"{'':<18}{'last':>7}{'max':>7}",
            loc="upper left",
            bbox_to_anchor=(1.01, 1.04),
            frameon=False,
            prop={"family": "monospace", "size": 7.5},
            title_fontproperties={"family": "monospace", "size": 7.5},
        )
        return
    high = axis.get_window_extent().height
    axis.legend(
        loc="upper left",
        bbox_to_anchor=(-0.02, -20 / high),
        frameon=False,
        ncols=columns(names, axis.get_window_extent().width),
        fontsize=7.5,
        handlelength=1.1,
        columnspacing=1.2,
        labelspacing=0.2,
    )


def columns(names: list[str], wide: float) -> int:
    """Names of a legend that stand side by side in so many pixels."""
    return max(1, min(len(names), int(wide // (5.6 * max(map(len, names), default=1) + 32))))


def stat(axis: Axes, panel: Panel, found: list[Series]) -> None:
    """One figure in the colour of its threshold, its course behind it."""
    defaults, options = panel["fieldConfig"]["defaults"], panel["options"]
    series = found[0]
    colour = _colour(defaults, series.last)
    named = options["textMode"] == "name"
    shown = series.name if named else text(series.last, defaults["unit"], defaults.get("decimals"))
    if options["graphMode"] == "area" and len(series.times) > 1:
        values = np.array(series.values)
        axis.fill_between(range(len(values)), values, color=colour, alpha=0.18, lw=0)
        axis.plot(values, color=colour, lw=0.9, alpha=0.7)
        axis.set_ylim(0, 2.6 * max(series.largest, 1e-9))
    axis.set_axis_off()
    axis.text(0.5, 0.6, shown, transform=axis.transAxes, ha="center", va="center", color=colour, size=19, weight="bold")


def bargauge(axis: Axes, panel: Panel, found: list[Series]) -> None:
    """A bar each, the first on top."""
    defaults = panel["fieldConfig"]["defaults"]
    for place, series in enumerate(found):
        colour = _colour(defaults, series.last)
        axis.barh(place, defaults["max"], color="#f1f3f4", height=0.72)
        axis.barh(place, min(series.last, defaults["max"]), color=colour, height=0.72, alpha=0.85)
        axis.text(
            defaults["max"] * 1.02, place, text(series.last, defaults["unit"], 2), va="center", color=colour, size=8
        )
    axis.set_yticks(range(len(found)), [series.name for series in found])
    axis.set_xlim(0, defaults["max"] * 1.2)
    axis.invert_yaxis()
    axis.set_xticks([])
    axis.tick_params(length=0)


def state_timeline(axis: Axes, panel: Panel, found: list[Series]) -> None:
    """A band a series, coloured by its state."""
    states = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    for place, series in enumerate(found):
        for at, value in zip(series.times, series.values, strict=True):
            if math.isfinite(value):
                colour = COLOURS[states[f"{value:g}"]["color"]]
                axis.barh(place, 1.05 / DAY, left=at / DAY, height=0.7, color=colour, lw=0)
    axis.set_yticks(range(len(found)), [series.name for series in found])
    axis.set_ylim(len(found) - 0.4, -0.6)
    for state in states.values():
        axis.plot([], [], "s", color=COLOURS[state["color"]], label=state["text"], ms=5)
    axis.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.11), frameon=False, ncols=4, fontsize=7.5)
    _clock(axis)
    axis.tick_params(axis="y", length=0)


def heatmap(axis: Axes, panel: Panel, found: list[Series]) -> None:
    """Buckets of a histogram over time; the darker, the more."""
    buckets = sorted(found, key=lambda series: float(series.name))
    counts = np.diff(np.nan_to_num(np.array([series.values for series in buckets])), axis=0, prepend=0)
    filled = [place for place in range(len(buckets)) if counts[place].sum() > 0] or [0]
    shown = slice(max(filled[0] - 1, 0), filled[-1] + 2)
    when = [at / DAY for at in buckets[0].times]
    masked = np.ma.masked_less_equal(counts[shown], 0)
    edges = np.arange(masked.shape[0] + 1)
    axis.pcolormesh(
        [*when, when[-1] + 1 / DAY], edges, masked, cmap="Oranges", vmin=-0.2 * masked.max(), shading="flat"
    )
    axis.set_yticks(
        edges[1:], [text(float(series.name), panel["fieldConfig"]["defaults"]["unit"]) for series in buckets[shown]]
    )
    _clock(axis)


def _colour(defaults: dict[str, Any], value: float) -> str:
    steps = defaults["thresholds"]["steps"]
    return COLOURS[[step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]]


def _ticks(top: float, unit: str) -> list[float]:
    """Round values up to a height, in what the unit counts there."""
    size = scale(top, unit)
    return [float(at * size) for at in MaxNLocator(nbins=5).tick_values(0, top / size) if at * size <= top]


def _clock(axis: Axes) -> None:
    axis.xaxis.set_major_locator(mdates.AutoDateLocator(minticks=3, maxticks=6))
    axis.xaxis.set_major_formatter(mdates.DateFormatter("%H:%M:%S"))
    axis.margins(x=0)


KINDS: dict[str, Callable[[Axes, Panel, list[Series]], None]] = {
    "timeseries": timeseries,
    "stat": stat,
    "bargauge": bargauge,
    "state-timeline": state_timeline,
    "heatmap": heatmap,
}
