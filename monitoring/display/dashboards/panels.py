"""The kinds of panel that our dashboards are made of: what each shows, in Grafana's terms."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from monitoring.display.dashboards import schema

SOURCE = schema.options.DataSourceRef(type_val="prometheus", uid="${datasource}")
Limits = tuple[tuple[float, str], ...]
"""Values from which on a colour holds; below the first one it is green."""


@dataclass(frozen=True)
class Query:
    """An expression, and what a series of its answer is called."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What all kinds have. ``id`` stays with a panel for good: links to a panel hold it.

    Units: ``unit`` is one of Grafana's (``s``, ``bytes``, ``percentunit``, ``reqps`` …).
    """

    id: int
    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 8
    height: int = 8
    limits: Limits = ()
    decimals: int | None = None

    def build(self) -> Any:
        """The SDK's builder, placed nowhere yet."""
        raise NotImplementedError

    def _dressed(self, panel: Any, *, instant: bool = False) -> Any:
        panel = panel.id(self.id).title(self.title).description(self.description).datasource(SOURCE)
        panel = panel.unit(self.unit).thresholds(_thresholds(self.limits)).targets(self._targets(instant=instant))
        return panel if self.decimals is None else panel.decimals(self.decimals)

    def _targets(self, *, instant: bool) -> list[Any]:
        targets = []
        for letter, query in zip(ascii_uppercase, self.queries, strict=False):
            target = schema.prometheus.Dataquery().expr(query.expression).legend_format(query.legend or "__auto")
            target = target.ref_id(letter).datasource(SOURCE)
            targets.append(target.instant() if instant else target.range())
        return targets


@dataclass(frozen=True, kw_only=True)
class Lines(Panel):
    """Series over time. ``stacked`` lays the series on each other, ``steps`` holds values."""

    least: float | None = 0
    most: float | None = None
    stacked: bool = False
    steps: bool = False
    table: bool = False

    def build(self) -> Any:
        """A time series panel; its legend stands beside it where ``table`` is asked for."""
        panel = self._dressed(schema.timeseries.Panel()).line_width(1).show_points(schema.options.VisibilityMode.NEVER)
        panel = panel.fill_opacity(30 if self.stacked else 8).color_scheme(_colour("palette-classic"))
        panel = panel.tooltip(schema.common.VizTooltipOptions().mode(schema.options.TooltipDisplayMode.MULTI))
        panel = panel.legend(self._legend())
        if self.steps:
            panel = panel.line_interpolation(schema.options.LineInterpolation.STEP_AFTER)
        if self.stacked:
            panel = panel.stacking(schema.common.StackingConfig().mode(schema.options.StackingMode.NORMAL).group("A"))
        if self.limits:
            style = schema.common.GraphThresholdsStyleConfig().mode(schema.options.GraphThresholdsStyleMode.DASHED)
            panel = panel.thresholds_style(style)
        panel = panel if self.least is None else panel.min(self.least)
        return panel if self.most is None else panel.max(self.most)

    def _legend(self) -> Any:
        legend = schema.common.VizLegendOptions().show_legend(show_legend=True)
        if not self.table:
            placed = legend.placement(schema.options.LegendPlacement.BOTTOM)
            return placed.display_mode(schema.options.LegendDisplayMode.LIST)
        placed = legend.placement(schema.options.LegendPlacement.RIGHT).calcs(["lastNotNull", "max"])
        return placed.display_mode(schema.options.LegendDisplayMode.TABLE).sort_by("Last *").sort_desc(sort_desc=True)


@dataclass(frozen=True, kw_only=True)
class Number(Panel):
    """One figure, with its course behind it. ``name`` shows what the series is called instead of its value."""

    width: int = 4
    height: int = 4
    name: bool = False
    instant: bool = False

    def build(self) -> Any:
        """A stat panel."""
        mode = schema.options.BigValueTextMode.NAME if self.name else schema.options.BigValueTextMode.VALUE
        area = schema.options.BigValueGraphMode.NONE if self.name or self.instant else None
        reduced = schema.common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False)
        panel = self._dressed(schema.stat.Panel(), instant=self.name or self.instant).reduce_options(reduced)
        panel = panel.text_mode(mode).graph_mode(area or schema.options.BigValueGraphMode.AREA)
        return panel.color_mode(schema.options.BigValueColorMode.VALUE).color_scheme(_colour("thresholds"))


@dataclass(frozen=True, kw_only=True)
class Bars(Panel):
    """The figures of now, a bar each."""

    most: float

    def build(self) -> Any:
        """A bar gauge panel."""
        reduced = schema.common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False)
        panel = self._dressed(schema.bargauge.Panel(), instant=True).reduce_options(reduced).min(0).max(self.most)
        panel = panel.orientation(schema.options.VizOrientation.HORIZONTAL).color_scheme(_colour("thresholds"))
        return panel.display_mode(schema.options.BarGaugeDisplayMode.BASIC)


@dataclass(frozen=True, kw_only=True)
class States(Panel):
    """Which of a few states each series was in, over time. ``texts`` names values and gives each a colour."""

    texts: tuple[tuple[float, str, str], ...]

    def build(self) -> Any:
        """A state timeline panel."""
        named = {
            f"{value:g}": schema.model.ValueMappingResult(text=text, color=colour, index=place)
            for place, (value, text, colour) in enumerate(self.texts)
        }
        panel = self._dressed(schema.timeline.Panel()).mappings([schema.model.ValueMap(options=named)])
        legend = schema.common.VizLegendOptions().show_legend(show_legend=True)
        legend = legend.placement(schema.options.LegendPlacement.BOTTOM)
        panel = panel.legend(legend.display_mode(schema.options.LegendDisplayMode.LIST))
        return panel.show_value(schema.options.VisibilityMode.NEVER).color_scheme(_colour("thresholds"))


@dataclass(frozen=True, kw_only=True)
class Heat(Panel):
    """How the values of a histogram are spread, over time. Its one query gives the buckets, ``by (le)``."""

    def build(self) -> Any:
        """A heatmap panel."""
        panel = self._dressed(schema.heatmap.Panel())
        (query,) = self.queries
        target = schema.prometheus.Dataquery().expr(query.expression).legend_format("{{le}}").ref_id("A")
        target = target.datasource(SOURCE).range().format(schema.PromQueryFormat.HEATMAP)
        return panel.targets([target]).y_axis(schema.heatmap.YAxisConfig().unit(self.unit))


def _thresholds(limits: Limits) -> Any:
    steps = [schema.model.Threshold(value=None, color="green")]
    steps += [schema.model.Threshold(value=value, color=colour) for value, colour in limits]
    return schema.dashboard.ThresholdsConfig().mode(schema.model.ThresholdsMode.ABSOLUTE).steps(steps)


def _colour(mode: str) -> Any:
    return schema.dashboard.FieldColor().mode(schema.model.FieldColorModeId(mode))
