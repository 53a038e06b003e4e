"""What a comparison tells people: lines on the terminal, and the chapters of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.comparison import COMPARISON
from staytrue.evaluation import headline, is_headline, ranged
from staytrue.records import to_json, write_atomically
from training.aligned import aligned
from training.data.chapters import Chapter, Table, many
from training.report import page, report

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.bundle import Metric
    from staytrue.comparison import AgainstFirst, Comparison, Differences
    from training.data.chapters import Cell

PAGE = "comparison.html"
INDENT = "  "
LETTERS = 40
"""Of a setting on the terminal."""


def lines(made: Comparison) -> list[str]:
    """Settings that differ, headline figures side by side, and the differences of the same."""
    told = [f"{made.name}: {len(made.runs)} runs on {_rows(made)}"]
    if made.settings:
        rows = [[name, *(_short(value) for value in values)] for name, values in made.settings.items()]
        told += ["", *aligned([["setting", *made.runs], *rows], INDENT)]
    for part in made.figures:
        table = [[f"{part} {name}", *cells] for name, cells in _side_by_side(made, part)]
        told += ["", *aligned([["figure", *made.runs], *table], INDENT)]
    told += ["", *made.notes] if made.notes else []
    for other in made.against:
        told += ["", f"{other.run} minus {made.runs[0]}, {made.blocked_by} drawn:"]
        told += aligned([_HEAD, *([str(cell) for cell in row] for row in _differences(other, headlines=True))], INDENT)
    return told


def write(made: Comparison, folder: Path) -> list[Path]:
    """Write the page and the record; their paths."""
    title = f"Runs of {made.name}"
    shown = [
        _settings(made),
        *(_figures(made, part) for part in made.figures),
        *(_against(made, o) for o in made.against),
    ]
    write_atomically(folder / COMPARISON, to_json(made))
    write_atomically(folder / PAGE, page(report(title, shown)).encode())
    return [folder / COMPARISON, folder / PAGE]


_HEAD = ["rows of it", "rows", "metric", "difference", "95% interval", "verdict"]


def _rows(made: Comparison) -> str:
    return f"{many(made.rows, f'{made.part} row')} that all of them were judged by, of {made.blocks} {made.blocked_by}"


def _side_by_side(made: Comparison, part: str) -> list[tuple[str, list[str]]]:
    each = [headline(metrics) for metrics in made.figures[part]]
    names = dict.fromkeys(name for metrics in each for name in metrics)
    return [(name, [_interval(metrics.get(name)) for metrics in each]) for name in names]


def _interval(metric: Metric | None) -> str:
    return "-" if metric is None else ranged(metric)


def _differences(other: AgainstFirst, *, headlines: bool) -> list[list[Cell]]:
    """A row a metric of all rows and of each slice; of slices without any their note."""
    made: list[list[Cell]] = []
    for one in other.differences:
        holds, first = f"{one.name}: {one.holds}" if one.name else one.holds, True
        shown = {name: metric for name, metric in one.metrics.items() if is_headline(name) or not headlines}
        for name, metric in shown.items():
            made.append([holds if first else "", one.rows if first else "", name, *_told(one, name, metric)])
            first = False
        if first:
            made.append([holds, one.rows, "-", "-", "-", one.note or "neither has a metric of the other"])
    return made


def _told(one: Differences, name: str, metric: Metric) -> list[Cell]:
    verdict = one.verdicts.get(name, "")
    note = f" ({metric.note})" if metric.note else ""
    ends = "-" if metric.bare else f"[{metric.low:+.4g}, {metric.high:+.4g}]"
    return [f"{metric.value:+.4g}", ends, f"{verdict}{note}".strip() or "-"]


def _settings(made: Comparison) -> Chapter:
    rows: list[list[Cell]] = [[name, *values] for name, values in made.settings.items()]
    table = Table(title="Settings that differ", columns=["setting", *made.runs], rows=rows)
    said = f"{len(made.runs)} runs on {_rows(made)}."
    return Chapter(title="Runs", summary=said, tables=[table] if rows else [], warnings=made.notes)


def _figures(made: Comparison, part: str) -> Chapter:
    rows: list[list[Cell]] = [[name, *cells] for name, cells in _side_by_side(made, part)]
    table = Table(title="Headline metrics", columns=["metric", *made.runs], rows=rows, note="With 95% intervals.")
    summary = "As each run's own evaluation says. Whether intervals overlap says little: the paired ones tell."
    return Chapter(title=f"{part.capitalize()} rows", summary=summary, tables=[table])


def _against(made: Comparison, other: AgainstFirst) -> Chapter:
    table = Table(title="Differences", columns=_HEAD, rows=_differences(other, headlines=False))
    summary = (
        f"Metrics of {other.run} minus those of {made.runs[0]} on the same rows, {made.blocked_by} drawn for both at "
        "once. An interval that holds 0 does not tell them apart; of twenty intervals of models that are alike one "
        "on average excludes it."
    )
    return Chapter(title=f"{other.run} against {made.runs[0]}", summary=summary, tables=[table])


def _short(value: str) -> str:
    """In one line, as a query may have several."""
    line = " ".join(value.split())
    return line if len(line) <= LETTERS else f"{line[: LETTERS - 1]}…"
