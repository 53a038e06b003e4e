"""Metrics of models' versions: who answers, what is loaded, how far the looks came, what retrainings ended in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from monitoring.analyst import Parts
    from staytrue.windows import Window

ALIVE_SECONDS = 10.0
"""A worker whose last heartbeat is older is taken for dead: what it had loaded serves nobody."""
_NAMES = ["model", "version"]


def families(parts: Parts, windows: list[Window]) -> Iterator[Metric]:
    """All of them; ``windows`` are the last looks."""
    yield _champions(parts)
    yield _loaded(parts)
    until = GaugeMetricFamily("staytrue_looked_until_timestamp_seconds", "End of the last look.", labels=["model"])
    for model in parts.vitals.newest:
        if (at := parts.state.looked_until(model)) is not None:
            until.add_metric([model], at)
    yield until
    yield from _windows(windows)
    yield _verdicts(parts)


def _champions(parts: Parts) -> Metric:
    champion = GaugeMetricFamily("staytrue_champion", "1 for the version that answers as champion.", labels=_NAMES)
    for model in parts.vitals.newest:
        if (found := parts.state.champion_at(model, float("inf"))) is not None:
            champion.add_metric([model, found[0]], 1)
    return champion


def _loaded(parts: Parts) -> Metric:
    workers: dict[tuple[str, str], int] = {}
    alive = parts.vitals.clock() - ALIVE_SECONDS
    for beat in parts.vitals.heartbeats.values():
        for model, versions in beat.versions.items() if beat.time > alive else ():
            for version in versions:
                workers[model, version] = workers.get((model, version), 0) + 1
    loaded = GaugeMetricFamily("staytrue_version_workers", "Living workers that hold a version.", labels=_NAMES)
    for (model, version), count in workers.items():
        loaded.add_metric([model, version], count)
    return loaded


def _windows(windows: list[Window]) -> Iterator[Metric]:
    rows = GaugeMetricFamily("staytrue_window_rows", "Rows that the last look judged.", labels=_NAMES)
    labelled = GaugeMetricFamily("staytrue_window_labelled_rows", "Those of them with a label.", labels=_NAMES)
    delay = GaugeMetricFamily("staytrue_label_delay_seconds", "Median time from answer to label.", labels=_NAMES)
    checks = GaugeMetricFamily(
        "staytrue_window_checks", "Checks of the last look's data, by verdict.", labels=[*_NAMES, "verdict"]
    )
    for window in windows:
        names = [window.model, window.version]
        rows.add_metric(names, window.rows)
        for verdict in ("ok", "warn", "fail"):
            checks.add_metric([*names, verdict], sum(check.verdict == verdict for check in window.checks))
        if window.quality is not None:
            labelled.add_metric(names, window.quality.rows)
            delay.add_metric(names, window.quality.delay_seconds)
    yield from (rows, labelled, delay, checks)


def _verdicts(parts: Parts) -> Metric:
    """Counted from the books, so that a restart changes nothing; there from 0 on, so that the first one is a growth."""
    counts = {(model, decision): 0 for model in parts.vitals.newest for decision in ("promoted", "refused")}
    for job, verdict in parts.state.jobs():
        if verdict is not None:
            key = (job.model, "promoted" if verdict.promote else "refused")
            counts[key] = counts.get(key, 0) + 1
    name = "staytrue_retraining_verdicts"
    verdicts = CounterMetricFamily(name, "Challengers that were judged.", labels=["model", "decision"])
    for (model, decision), count in counts.items():
        verdicts.add_metric([model, decision], count)
    return verdicts
