"""A dashboard's JSON and a Prometheus' answers as one picture, each panel where Grafana would put it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("Agg")  # no screen needed

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from examples.bikeshare.dashboards.kinds import DAY, FAINT, INK, KINDS, columns

if TYPE_CHECKING:
    from pathlib import Path

    from examples.bikeshare.dashboards.series import Answers

COLUMN, LINE, MARGIN, HEAD = 58, 27, 10, 44
"""Pixels of a column and a line of the grid, of the gap between panels, and of the dashboard's title."""
COLUMNS = 24
SIDES = 76
DPI = 100


def draw(board: dict[str, Any], answers: Answers, path: Path) -> None:
    """Write the picture as PNG."""
    plt.rcParams.update({"font.size": 8, "axes.edgecolor": "#d5dade", "text.color": INK, "axes.labelcolor": INK})
    plt.rcParams.update({"xtick.color": "#5a6268", "ytick.color": "#5a6268", "axes.spines.top": False})
    plt.rcParams.update({"axes.spines.right": False})
    width = COLUMNS * COLUMN + MARGIN
    height = HEAD + MARGIN + LINE * max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in board["panels"])
    figure = plt.figure(figsize=(width / DPI, height / DPI), facecolor="#eef0f2")
    page = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    page.set_axis_off()
    page.text(MARGIN, HEAD / 2 + 2, board["title"], size=14, weight="bold", va="center")
    page.text(width - MARGIN, HEAD / 2 + 2, board["description"], size=9, color=FAINT, va="center", ha="right")
    marks = [at for mark in board["annotations"]["list"] for at in answers.moments(mark["expr"])]
    for panel in board["panels"]:
        _panel(figure, page, panel, answers, marks)
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
    few = Image.open(path).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, 3, dither=Image.Dither.NONE)
    few.save(path, optimize=True)  # a third of the bytes, and looks the same


def _panel(figure: Any, page: Any, panel: dict[str, Any], answers: Answers, marks: list[float]) -> None:
    spot = panel["gridPos"]
    left, top = MARGIN + spot["x"] * COLUMN, HEAD + spot["y"] * LINE
    wide, high = spot["w"] * COLUMN - MARGIN, spot["h"] * LINE - MARGIN
    if panel["type"] == "row":
        page.text(left, top + high / 2 + 3, panel["title"], size=10, weight="bold", va="center")
        return
    page.add_patch(
        FancyBboxPatch((left, top), wide, high, boxstyle="round,pad=0,rounding_size=3", fc="white", ec="#d9dee2")
    )
    page.text(left + 9, top + 14, panel["title"], size=8.5, weight="bold", va="center")
    found = answers.of(panel)
    inset = _inset(panel, [series.name for series in found], wide)
    width, height = page.get_xlim()[1], page.get_ylim()[0]
    x, y, w, h = left + inset[0], top + inset[1], wide - inset[0] - inset[2], high - inset[1] - inset[3]
    axis = figure.add_axes((x / width, 1 - (y + h) / height, w / width, h / height))
    axis.tick_params(labelsize=7)
    if not found:
        axis.set_axis_off()
        axis.text(0.5, 0.5, "No data", ha="center", va="center", color=FAINT, transform=axis.transAxes)
        return
    KINDS[panel["type"]](axis, panel, found)
    if panel["type"] in ("timeseries", "state-timeline", "heatmap"):
        axis.set_xlim(answers.start / DAY, answers.end / DAY)
        for at in marks:
            axis.axvline(at / DAY, color="#3d9a45", lw=1, alpha=0.6, ls=":")


def _inset(panel: dict[str, Any], names: list[str], wide: int) -> tuple[int, int, int, int]:
    """Pixels left, above, right and below that a kind needs for its labels."""
    longest = max(map(len, names), default=0)
    if panel["type"] == "stat":
        return 6, 26, 6, 6
    if panel["type"] == "bargauge":
        return 20 + 6 * longest, 28, 8, 10
    if panel["type"] == "state-timeline":
        return 20 + 6 * longest, 30, 14, 46
    if panel["options"].get("legend", {}).get("placement") == "right":
        return 50, 30, 245, 26
    lines = -(-len(names) // columns(names, wide - SIDES)) if panel["type"] == "timeseries" else 0
    return SIDES - 14, 30, 14, 28 + 16 * lines
