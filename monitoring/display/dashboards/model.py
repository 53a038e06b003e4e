"""The Model dashboard: have the inputs moved, has the error grown, what was done about it."""

from __future__ import annotations

from monitoring.display.dashboards.board import Board, Mark, Section, Variable
from monitoring.display.dashboards.panels import Bars, Lines, Number, Query, States

PICKED = 'job=~"$job", model="$model"'
"""Label matchers of what was chosen on top."""
_SPAN = "$__rate_interval"
_NOW_OR_NEVER = " or vector(0)"
EVIDENCE = ((1, "red"),)
"""1 is where the budget of false alarms puts the threshold."""

VARIABLES = (
    Variable("job", "Job", "Prometheus' scrape job.", "label_values(staytrue_log_backlog_bytes, job)", every=True),
    Variable(
        "model",
        "Model",
        "The model that is looked at.",
        'label_values(staytrue_watermark_timestamp_seconds{job=~"$job"}, model)',
    ),
)


def _most(metric: str, by: str = "") -> str:
    """The same model is watched by one sidecar, or by several that see a part each: the largest counts."""
    return f"max{f' by ({by}) ' if by else ''}({metric}{{{PICKED}}})"


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{PICKED}}}[{_SPAN}]))"


_NOW = Section(
    "Now",
    (
        Number(
            id=1,
            title="Champion",
            description="The version that answers.",
            width=3,
            name=True,
            queries=(Query(_most("staytrue_champion", "version"), "{{version}}"),),
        ),
        Number(
            id=2,
            title="Drift evidence",
            description="The largest of all features. 1 is the threshold that the budget of false alarms sets.",
            width=3,
            decimals=2,
            limits=((0.7, "orange"), *EVIDENCE),
            queries=(Query(_most("staytrue_drift_evidence_ratio"), "drift"),),
        ),
        Number(
            id=3,
            title="Quality evidence",
            description="How far the labelled error is towards an alarm. 1 is the threshold.",
            width=3,
            decimals=2,
            limits=((0.7, "orange"), *EVIDENCE),
            queries=(Query(_most("staytrue_quality_evidence_ratio"), "quality"),),
        ),
        Number(
            id=4,
            title="Error to baseline",
            description="The last window's error, divided by that of the held-out days.",
            width=3,
            unit="suffix: x",
            decimals=2,
            queries=(Query(f"{_most('staytrue_quality_value')} / {_most('staytrue_quality_baseline')}", "error"),),
        ),
        Number(
            id=5,
            title="Labelled",
            description="Share of the last window's rows whose truth is known.",
            width=3,
            unit="percentunit",
            queries=(Query(_most("staytrue_quality_coverage_ratio"), "labelled"),),
        ),
        Number(
            id=6,
            title="Alerts firing",
            description="Alerts of this model that fire now.",
            width=3,
            limits=EVIDENCE,
            queries=(Query(f"sum(staytrue_alerts_firing{{{PICKED}}}){_NOW_OR_NEVER}", "alerts"),),
        ),
        Number(
            id=7,
            title="Watermark",
            description="The newest event time, which looks follow.",
            width=6,
            unit="dateTimeAsIso",
            instant=True,
            queries=(Query(f"1000 * {_most('staytrue_watermark_timestamp_seconds')}", "watermark"),),
        ),
    ),
)

_DRIFT = Section(
    "Drift",
    (
        Lines(
            id=10,
            title="Drift evidence by feature",
            description="How far each feature is towards an alarm; at 1 it fires, if it lasts. `prediction` is what "
            "the model answered. A feature with too few rows is left out.",
            width=16,
            height=10,
            limits=EVIDENCE,
            steps=True,
            table=True,
            queries=(Query(_most("staytrue_drift_evidence_ratio", "feature"), "{{feature}}"),),
        ),
        Bars(
            id=11,
            title="Now, the strongest first",
            description="Evidence of the last look.",
            height=10,
            most=2,
            decimals=2,
            limits=((0.7, "orange"), *EVIDENCE),
            queries=(Query(f"sort_desc({_most('staytrue_drift_evidence_ratio', 'feature')})", "{{feature}}"),),
        ),
    ),
)

_QUALITY = Section(
    "Quality, from labels",
    (
        Lines(
            id=20,
            title="Error against baseline",
            description="The last window's error, and that of the held-out days, in units of the target.",
            steps=True,
            queries=(
                Query(_most("staytrue_quality_value", "version"), "version {{version}}"),
                Query(_most("staytrue_quality_baseline", "version"), "baseline of {{version}}"),
            ),
        ),
        Lines(
            id=21,
            title="Quality evidence",
            description="Evidence of a worse error. At 1 it fires, if it lasts.",
            steps=True,
            limits=EVIDENCE,
            queries=(Query(_most("staytrue_quality_evidence_ratio", "version"), "version {{version}}"),),
        ),
        Lines(
            id=22,
            title="Labelled share",
            description="Share of the last window's rows whose truth is known.",
            unit="percentunit",
            most=1,
            steps=True,
            queries=(Query(_most("staytrue_quality_coverage_ratio", "version"), "version {{version}}"),),
        ),
        Lines(
            id=23,
            title="Rows of the last window",
            description="Rows that the last look judged, and those of them with a label.",
            steps=True,
            queries=(
                Query(_most("staytrue_window_rows", "version"), "rows of {{version}}"),
                Query(_most("staytrue_window_labelled_rows", "version"), "labelled rows of {{version}}"),
            ),
        ),
        Lines(
            id=24,
            title="Delay of labels",
            description="Median time, by event time, from an answer to its label.",
            unit="s",
            steps=True,
            queries=(Query(_most("staytrue_label_delay_seconds", "version"), "version {{version}}"),),
        ),
        Lines(
            id=25,
            title="Data checks",
            description="Checks of the last window's data that did not pass: missing columns, new categories, values "
            "out of range.",
            steps=True,
            queries=(Query(f'max by (verdict) (staytrue_window_checks{{{PICKED}, verdict!="ok"}})', "{{verdict}}"),),
        ),
    ),
)

_TRAFFIC = Section(
    "Traffic",
    (
        Lines(
            id=30,
            title="Requests by status",
            description="Requests a second.",
            unit="reqps",
            stacked=True,
            queries=(Query(_rate("staytrue_events_collected_total", "status") + " > 0", "{{status}}"),),
        ),
        Lines(
            id=31,
            title="Rows by version",
            description="Rows answered a second, by version and the role in which it answered.",
            unit="rowsps",
            stacked=True,
            queries=(Query(_rate("staytrue_version_rows_total", "version, role"), "{{version}} ({{role}})"),),
        ),
        Lines(
            id=32,
            title="Latency",
            description="Time from arrival to answer.",
            unit="s",
            queries=tuple(
                Query(
                    f"histogram_quantile({share:g}, {_rate('staytrue_request_seconds_bucket', 'le')})", f"{share:.0%}"
                )
                for share in (0.5, 0.9, 0.99)
            ),
        ),
    ),
)

_RESPONSE = Section(
    "Response",
    (
        States(
            id=40,
            title="Alerts firing",
            description="When each alert fired.",
            width=12,
            texts=((1, "firing", "red"),),
            queries=(Query(_most("staytrue_alerts_firing", "alertname"), "{{alertname}}"),),
        ),
        Lines(
            id=41,
            title="Versions loaded",
            description="Living workers that hold a version. A new champion is loaded beside the old one.",
            width=12,
            steps=True,
            queries=(Query(f"sum by (version) (staytrue_version_workers{{{PICKED}}})", "version {{version}}"),),
        ),
        Lines(
            id=42,
            title="Retraining jobs",
            description="Of all models of the sidecars chosen. At most one runs at a time.",
            steps=True,
            queries=(Query('sum by (state) (staytrue_retraining_jobs{job=~"$job"})', "{{state}}"),),
        ),
        Lines(
            id=43,
            title="Challengers judged",
            description="What the gate decided about retrained versions, in all.",
            steps=True,
            queries=(Query(_most("staytrue_retraining_verdicts_total", "decision"), "{{decision}}"),),
        ),
        Lines(
            id=44,
            title="Looks behind the watermark",
            description="Event time between the newest event and the end of the last look: up to one look's span and "
            "the lateness that is waited for.",
            unit="s",
            steps=True,
            queries=(
                Query(
                    f"{_most('staytrue_watermark_timestamp_seconds')}"
                    f" - {_most('staytrue_looked_until_timestamp_seconds')}",
                    "behind",
                ),
            ),
        ),
    ),
)

BOARD = Board(
    uid="staytrue-model",
    title="Staytrue: Model",
    description="Have the inputs moved, has the error grown, and what was done about it?",
    variables=VARIABLES,
    sections=(_NOW, _DRIFT, _QUALITY, _TRAFFIC, _RESPONSE),
    marks=(
        Mark(
            "Promotions",
            f'increase(staytrue_retraining_verdicts_total{{{PICKED}, decision="promoted"}}[{_SPAN}]) > 0',
            "A retrained version was promoted",
            "green",
        ),
    ),
)
