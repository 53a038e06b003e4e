"""Metrics of versions, workers and protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitoring.display.metrics import Computed
from monitoring.display.vitals import MOST_VERSIONS
from staytrue.events import Heartbeat, encode
from staytrue.verdicts import RetrainJob, Verdict
from staytrue.windows import Check, Window

if TYPE_CHECKING:
    from tests.unit.monitoring.conftest import Rig

NAMES = {"model": "toy", "version": "1"}


def value(rig: Rig, name: str, **labels: str) -> float | None:
    """A sample of the sidecar's."""
    return rig.registry.get_sample_value(name, labels)


def watched(rig: Rig) -> Rig:
    """With the computed metrics registered."""
    rig.registry.register(Computed(rig.parts, lambda: 0))
    return rig


def verdict(job: str, *, promote: bool) -> Verdict:
    """A decision."""
    numbers = dict.fromkeys(
        ("champion_error", "challenger_error", "difference", "low", "high", "confidence", "decided"), 0.0
    )
    texts = {"job": job, "model": "toy", "champion": "1", "challenger": "2", "metric": "mae", "reason": "a test"}
    return Verdict(**texts, **numbers, rows=1, blocks=1, promote=promote)  # type: ignore[arg-type]


def test_champion_and_look_are_told(rig: Rig) -> None:
    rig.script.quality = {3: 0.5}
    rig.live(0, 3)
    watched(rig)
    assert value(rig, "staytrue_champion", **NAMES) == 1
    assert value(rig, "staytrue_looked_until_timestamp_seconds", model="toy") == rig.start + 3 * 86400
    assert value(rig, "staytrue_window_rows", **NAMES) == rig.script.looks[-1][1] > 0
    assert value(rig, "staytrue_window_labelled_rows", **NAMES) == 1
    assert value(rig, "staytrue_label_delay_seconds", **NAMES) == 0


def test_checks_are_counted_by_verdict(rig: Rig) -> None:
    rig.live(0, 1)
    checks = [Check(name="range", verdict="ok"), Check(name="missing", verdict="warn"), Check(name="x", verdict="warn")]
    end = rig.start + 9 * 86400
    with rig.parts.state.transaction():
        rig.parts.state.save_window(Window(model="toy", version="1", start=0, end=end, rows=1, checks=checks))
    watched(rig)
    told = {kind: value(rig, "staytrue_window_checks", **NAMES, verdict=kind) for kind in ("ok", "warn", "fail")}
    assert told == {"ok": 1, "warn": 2, "fail": 0}


def test_versions_of_dead_workers_are_not_loaded(rig: Rig) -> None:
    versions = {"toy": ["1", "2"]}
    alive = [Heartbeat(worker=name, time=rig.now - 1, ready=True, versions=versions) for name in ("a", "b")]
    dead = Heartbeat(worker="c", time=rig.now - 60, ready=True, versions=versions)
    rig.events.append([encode(beat) for beat in (*alive, dead)])
    rig.analyst.tick()
    watched(rig)
    assert value(rig, "staytrue_version_workers", **NAMES) == 2


def test_a_worker_tells_its_processor_time(rig: Rig) -> None:
    beat = Heartbeat(worker="w", time=rig.now, ready=True, cpu_seconds=7.5)
    rig.events.append([encode(beat)])
    rig.analyst.tick()
    watched(rig)
    assert value(rig, "staytrue_worker_cpu_seconds_total", worker="w") == 7.5


def test_verdicts_are_counted_from_nought_and_survive_a_restart(rig: Rig) -> None:
    rig.live(0, 1)
    watched(rig)
    assert value(rig, "staytrue_retraining_verdicts_total", model="toy", decision="promoted") == 0
    for name, promote in (("a", True), ("b", False), ("c", True)):
        job = RetrainJob(id=name, model="toy", trigger="t", champion="1", event_time=0, created=0, state="succeeded")
        rig.parts.state.save_job(job, verdict(name, promote=promote))
    rig.again()
    watched(rig)
    assert value(rig, "staytrue_retraining_verdicts_total", model="toy", decision="promoted") == 2
    assert value(rig, "staytrue_retraining_verdicts_total", model="toy", decision="refused") == 1


def test_requests_are_counted_by_protocol_and_their_wait_is_told(rig: Rig) -> None:
    for protocol in ("rest", "grpc", "grpc"):
        rig.log(rig.event(rig.start, protocol=protocol, queue_seconds=0.5, run_seconds=1.0))
    rig.analyst.tick()
    assert value(rig, "staytrue_protocol_requests_total", model="toy", protocol="grpc") == 2
    assert value(rig, "staytrue_request_wait_seconds_sum", model="toy") == 1.5
    assert value(rig, "staytrue_request_seconds_sum", model="toy") == 4.5


def test_rows_are_counted_by_version_and_role(rig: Rig) -> None:
    rig.log(rig.event(rig.start, rows=3), rig.event(rig.start, version="2", role="challenger"))
    rig.log(rig.event(rig.start, status="overloaded"))
    rig.analyst.tick()
    assert value(rig, "staytrue_version_rows_total", **NAMES, role="champion") == 3
    assert value(rig, "staytrue_version_rows_total", model="toy", version="2", role="challenger") == 1


def test_versions_without_end_are_counted_together(rig: Rig) -> None:
    rig.log(*(rig.event(rig.start, version=str(number), role="pinned") for number in range(MOST_VERSIONS + 5)))
    rig.log(rig.event(rig.start, version="0", role="pinned"))
    rig.analyst.tick()
    told = {"model": "toy", "role": "pinned"}
    assert value(rig, "staytrue_version_rows_total", **told, version="other") == 5
    assert value(rig, "staytrue_version_rows_total", **told, version="0") == 2
