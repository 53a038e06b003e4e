"""A dashboard: sections of panels laid on Grafana's grid, its variables and links, and its JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monitoring.display.dashboards import schema
from monitoring.display.dashboards.panels import SOURCE

if TYPE_CHECKING:
    from monitoring.display.dashboards.panels import Panel

GRID = 24
"""Columns of Grafana's grid."""
FIRST_ROW_ID = 1000
"""Ids of section headings begin here; panels have smaller ones."""
TAG = "staytrue"


@dataclass(frozen=True)
class Variable:
    """A choice that people make on top of a dashboard: the values that a label has.

    ``every`` lets them choose several, or all, which is what is chosen at first.
    """

    name: str
    label: str
    description: str
    query: str
    every: bool = False


@dataclass(frozen=True)
class Mark:
    """Moments that are marked in every panel: those at which an expression has a value."""

    name: str
    expression: str
    title: str
    colour: str


@dataclass(frozen=True)
class Section:
    """Panels under one heading, from left to right and from top to bottom."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """All that a dashboard holds. ``uid`` is its address for good."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    sections: tuple[Section, ...]
    marks: tuple[Mark, ...] = ()

    def to_json(self) -> str:
        """What Grafana imports. The same code gives the same bytes."""
        text = json.dumps(self._built(), cls=schema.JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
        return text + "\n"

    def _built(self) -> Any:
        board = schema.dashboard.Dashboard(self.title).uid(self.uid).description(self.description).tags([TAG])
        board = board.time("now-6h", "now").refresh("30s").timezone("browser").editable()
        board = board.tooltip(schema.model.DashboardCursorSync.CROSSHAIR).with_variable(_source())
        for variable in self.variables:
            board = board.with_variable(_variable(variable))
        board = board.annotations([_annotation(mark) for mark in self.marks])
        top = 0
        for place, section in enumerate(self.sections):
            heading = schema.dashboard.Row(section.title).id(FIRST_ROW_ID + place)
            board = board.with_row(heading.grid_pos(schema.model.GridPos(h=1, w=GRID, x=0, y=top)))
            spots, top = _layout(section.panels, top + 1)
            for panel, (left, y) in zip(section.panels, spots, strict=True):
                spot = schema.model.GridPos(h=panel.height, w=panel.width, x=left, y=y)
                board = board.with_panel(panel.build().grid_pos(spot))
        built = board.link(_others()).build()
        for shown in (*built.links, *built.annotations.list_val):
            shown.placement = None  # the SDK would hide them in a menu
        return built


def _layout(panels: tuple[Panel, ...], top: int) -> tuple[list[tuple[int, int]], int]:
    """Left and top of each panel, and the first free line below them.

    >>> from monitoring.display.dashboards.panels import Number
    >>> one = Number(id=1, title="", description="", queries=(), width=10, height=3)
    >>> _layout((one, one, one), 5)
    ([(0, 5), (10, 5), (0, 8)], 11)
    """
    spots, left, tallest = [], 0, 0
    for panel in panels:
        if left + panel.width > GRID:
            left, top, tallest = 0, top + tallest, 0
        spots.append((left, top))
        left, tallest = left + panel.width, max(tallest, panel.height)
    return spots, top + tallest


def _source() -> Any:
    variable = schema.dashboard.DatasourceVariable("datasource").type("prometheus").label("Data source")
    return variable.description("The Prometheus that scrapes the sidecars.")


def _variable(variable: Variable) -> Any:
    query = {"query": variable.query, "refId": f"Variable-{variable.name}", "qryType": 5}
    built = schema.dashboard.QueryVariable(variable.name).label(variable.label).description(variable.description)
    built = built.datasource(SOURCE).query(query).definition(variable.query)
    built = built.refresh(schema.model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    built = built.sort(schema.model.VariableSort.ALPHABETICAL_ASC)
    if not variable.every:
        return built
    chosen = schema.model.VariableOption(selected=True, text=["All"], value=["$__all"])
    return built.multi(multi=True).include_all(include_all=True).all_value(".*").current(chosen)


def _annotation(mark: Mark) -> Any:
    built = schema.dashboard.AnnotationQuery().name(mark.name).datasource(SOURCE).enable(enable=True)
    return built.expr(mark.expression).title_format(mark.title).icon_color(mark.colour).step("10s")


def _others() -> Any:
    """A link to each of our other dashboards, which keeps the span of time and the choices."""
    link = schema.dashboard.DashboardLink("Staytrue").type(schema.model.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.keep_time(keep_time=True).include_vars(include_vars=True).tooltip("The other dashboard")
