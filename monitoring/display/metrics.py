"""The sidecar's Prometheus metrics, computed from its state when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from monitoring.display import versions
from monitoring.ingest.pairs import OUTCOMES

FAULTS = ("overloaded", "deadline_exceeded", "unavailable", "corrupt_data", "internal")
"""Statuses of requests that failed by the server's fault, not the caller's."""

PROTOCOLS = ("rest", "grpc")
REFUSALS = ("unauthenticated", "permission_denied", "overloaded")
"""Codes by which a request is refused for its key."""

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from monitoring.analyst import Parts
    from staytrue.windows import Window


class Computed(Collector):
    """Everything but the histograms, which count as they go. Labels are bounded: models, versions, features, states."""

    def __init__(self, parts: Parts, backlog: Callable[[], int]) -> None:
        self._parts, self._backlog = parts, backlog

    def describe(self) -> list[Metric]:
        """Nothing in advance: what there is depends on the models."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families."""
        yield from self._collected()
        yield from self._pairs()
        yield from self._workers()
        yield from self._looks()
        yield from versions.families(self._parts, self._last_windows())
        yield from self._responses()

    def _collected(self) -> Iterator[Metric]:
        vitals = self._parts.vitals
        events = CounterMetricFamily("staytrue_events_collected", "Requests collected.", labels=["model", "status"])
        # Faults are there from the first scrape on: what begins at 1 has not grown, as Prometheus sees it.
        none = {(model, status): 0 for model in vitals.newest for status in ("ok", *FAULTS)}
        for (model, status), count in (none | vitals.by_status()).items():
            events.add_metric([model, status], count)
        yield events
        labels = vitals.totals["labels"].get("labels", 0)
        yield CounterMetricFamily("staytrue_labels_collected", "Labels collected.", value=labels)
        lost = GaugeMetricFamily("staytrue_labels_unmatched", "Labels that belong to no row.", labels=["missing"])
        for missing, count in vitals.unmatched.items():
            lost.add_metric([missing], count)
        yield lost
        rows = vitals.totals["events"].get("rows", 0)
        yield CounterMetricFamily("staytrue_rows_collected", "Rows of answered requests collected.", value=rows)
        torn = sum(c.reader.places.torn_tails for c in (self._parts.events, self._parts.pairs.collector))
        yield CounterMetricFamily(
            "staytrue_log_torn_tails", "Records that a killed writer left half written.", value=torn
        )
        damaged = vitals.totals["events"].get("damaged", 0)
        yield CounterMetricFamily("staytrue_log_damaged_records", "Records that failed their checksum.", value=damaged)
        yield GaugeMetricFamily("staytrue_log_backlog_bytes", "Logged and not yet collected.", value=self._backlog())
        failed = vitals.failed_ticks
        yield CounterMetricFamily("staytrue_ticks_failed", "Ticks that failed and were tried again.", value=failed)
        mark = GaugeMetricFamily("staytrue_watermark_timestamp_seconds", "Newest event time.", labels=["model"])
        for model, at in vitals.newest.items():
            mark.add_metric([model], at)
        yield mark

    def _pairs(self) -> Iterator[Metric]:
        pairs = self._parts.pairs
        taken = CounterMetricFamily("staytrue_cloudevents", "CloudEvents, by what became of them.", labels=["outcome"])
        for outcome in OUTCOMES:
            taken.add_metric([outcome], pairs.outcomes[outcome])
        yield taken
        text = "CloudEvents that wait for their other half."
        yield GaugeMetricFamily("staytrue_cloudevents_waiting", text, value=pairs.waiting())

    def _workers(self) -> Iterator[Metric]:
        age = GaugeMetricFamily("staytrue_heartbeat_age_seconds", "Since a worker's last heartbeat.", labels=["worker"])
        busy = GaugeMetricFamily("staytrue_in_flight_requests", "Requests in a worker.", labels=["worker"])
        memory = GaugeMetricFamily("staytrue_worker_resident_bytes", "Memory of a worker.", labels=["worker"])
        ready = GaugeMetricFamily("staytrue_worker_ready", "1 where a worker is ready.", labels=["worker"])
        cpu = CounterMetricFamily("staytrue_worker_cpu_seconds", "Processor time of a worker.", labels=["worker"])
        text = "Requests that a shadow of a worker did not see, since too many waited for it."
        missed = CounterMetricFamily("staytrue_worker_shadows_dropped", text, labels=["worker"])
        text, labels = "Requests that a worker refused for their key.", ["worker", "protocol", "code"]
        refused = CounterMetricFamily("staytrue_worker_callers_refused", text, labels=labels)
        now = self._parts.vitals.clock()
        for worker, beat in self._parts.vitals.heartbeats.items():
            cpu.add_metric([worker], beat.cpu_seconds)
            age.add_metric([worker], now - beat.time)
            busy.add_metric([worker], beat.in_flight)
            memory.add_metric([worker], beat.resident_bytes)
            ready.add_metric([worker], float(beat.ready))
            missed.add_metric([worker], beat.shadows_dropped)
            for protocol in PROTOCOLS:  # each of them from the first scrape on, and no other
                counts = beat.callers_refused.get(protocol, {})
                for code in REFUSALS:
                    refused.add_metric([worker, protocol, code], counts.get(code, 0))
        yield from (age, busy, memory, ready, cpu, missed, refused)

    def _looks(self) -> Iterator[Metric]:
        names = ["model", "version"]
        drift = GaugeMetricFamily(
            "staytrue_drift_evidence_ratio",
            "Evidence of drift; 1 is the threshold.",
            labels=[*names, "detector", "feature"],
        )
        quality = {
            field: GaugeMetricFamily(f"staytrue_quality_{field}{suffix}", text, labels=names)
            for field, suffix, text in (
                ("value", "", "Error over the last window, in units of the target."),
                ("baseline", "", "Usual error of held-out days."),
                ("evidence", "_ratio", "Evidence of a worse error; 1 is the threshold."),
                ("coverage", "_ratio", "Share of rows of the last window that have a label."),
            )
        }
        for window in self._last_windows():
            for item in window.drift:
                if item.sufficiency == "sufficient":
                    drift.add_metric([window.model, window.version, item.detector, item.feature], item.evidence)
            for field, family in quality.items():
                if window.quality is not None:
                    family.add_metric([window.model, window.version], getattr(window.quality, field))
        yield from (drift, *quality.values())

    def _responses(self) -> Iterator[Metric]:
        firing = GaugeMetricFamily("staytrue_alerts_firing", "Alerts that fire.", labels=["model", "alertname"])
        for alert in self._parts.state.active():
            firing.add_metric([alert.labels.get("model", ""), alert.labels.get("alertname", "")], 1)
        yield firing
        yield from self._jobs()
        counts = self._parts.outbox.counts()
        webhooks = GaugeMetricFamily("staytrue_webhooks", "Messages about alerts.", labels=["state"])
        for state in ("waiting", "sent", "dead"):
            webhooks.add_metric([state], counts.get(state, 0))
        yield webhooks
        dead = counts.get("dead", 0)
        yield CounterMetricFamily("staytrue_webhooks_dead", "Messages about alerts that reached nobody.", value=dead)

    def _jobs(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("staytrue_retraining_jobs", "Retraining jobs.", labels=["state"])
        found = [job for job, _ in self._parts.state.jobs()]
        for state in ("queued", "running", "succeeded", "failed"):
            jobs.add_metric([state], sum(job.state == state for job in found))
        failed = CounterMetricFamily("staytrue_retrainings_failed", "Retrainings that failed.", labels=["model"])
        for model in self._parts.vitals.newest:
            failed.add_metric([model], sum(job.state == "failed" and job.model == model for job in found))
        calls = GaugeMetricFamily("staytrue_retraining_calls", "Alertmanager's calls that wait.", labels=["model"])
        for model in self._parts.vitals.newest:
            calls.add_metric([model], len(self._parts.state.calls(model)))
        yield from (jobs, failed, calls)

    def _last_windows(self) -> list[Window]:
        found = (self._parts.state.last_window(model) for model in self._parts.vitals.newest)
        return [window for window in found if window is not None]
