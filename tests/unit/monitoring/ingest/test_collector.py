"""Collector: from the log into the lake, each thing once, whatever happens in between."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from staytrue.events import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.monitoring.conftest import Rig

DAY = 86400.0
KILLED = """
import os, signal, sys
from pathlib import Path
from prometheus_client import CollectorRegistry
from monitoring.display.vitals import Vitals
from monitoring.ingest.collector import EVENTS, LABELS, Collector
from monitoring.ingest.lake import Lake
from monitoring.state import State
from staytrue.readers import Reader

folder, kind = Path(sys.argv[1]), sys.argv[2]
Reader.acknowledge = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
state, lake = State(folder / "state.sqlite"), Lake(folder / "lake")
log = folder / ("events" if kind == EVENTS else "labels-log")
Collector(kind, log, lake, state, Vitals(state, CollectorRegistry())).collect()
"""


def kill_before_acknowledging(rig: Rig, kind: str) -> None:
    """A sidecar that stores and is killed before it acknowledges."""
    killed = subprocess.run([sys.executable, "-c", KILLED, str(rig.folder), kind], check=False)
    assert killed.returncode == -9


def test_events_killed_between_storing_and_acknowledging_are_stored_once(rig: Rig) -> None:
    first = [rig.event(rig.start + hour * 3600, name=f"a{hour:02}") for hour in range(40)]  # two days
    rig.log(*first)
    kill_before_acknowledging(rig, "events")
    assert len(rig.stored()) == 40
    rig.log(*[rig.event(rig.start + hour * 3600, name=f"b{hour:02}") for hour in range(30)])  # the batch comes longer
    rig.again()
    rig.parts.events.collect()
    assert rig.stored() == [f"a{hour:02}" for hour in range(40)] + [f"b{hour:02}" for hour in range(30)]
    assert rig.parts.vitals.by_status() == {("toy", "ok"): 70}
    rig.again()
    assert rig.parts.vitals.by_status() == {("toy", "ok"): 70}


def test_labels_killed_between_storing_and_acknowledging_count_once(rig: Rig) -> None:
    rig.tell(*[rig.label(f"a{number}", 1.0, rig.start) for number in range(10)])
    kill_before_acknowledging(rig, "labels")
    rig.again()
    rig.parts.labels.collect()
    assert rig.parts.vitals.totals["labels"] == {"labels": 10}


def test_counts_survive_restarts_and_the_table_of_batches_stays_small(rig: Rig) -> None:
    for number in range(20):
        rig.log(rig.event(rig.start + number), rig.event(rig.start + number, status="invalid_input"))
        rig.parts.events.collect()
    rig.again()
    assert rig.parts.vitals.by_status() == {("toy", "ok"): 20, ("toy", "invalid_input"): 20}
    assert rig.parts.vitals.totals["events"]["rows"] == 20
    assert rig.parts.state.execute("SELECT count(*) FROM last_batches") == [(1,)]


def test_an_entry_that_cannot_be_read_or_dated_is_counted_and_passed_over(rig: Rig) -> None:
    rig.events.append([b"no entry", encode(rig.event(float("inf"))), encode(rig.event(1e300))])
    rig.log(rig.event(-5.0), rig.event(rig.start, name="good"))
    rig.parts.events.collect()
    assert rig.stored() == ["good"]
    assert rig.parts.vitals.totals["events"]["damaged"] == 4
    assert rig.parts.events.reader.backlog_bytes() == 0


def test_what_is_logged_while_collecting_waits_so_that_traffic_cannot_hold_up_the_looks(rig: Rig) -> None:
    rig.log(rig.event(rig.start))
    store, count = rig.parts.events._store, 0

    def stored_while_more_comes(batch: object) -> int:
        nonlocal count
        count += 1
        rig.log(rig.event(rig.start + count))
        return store(batch)  # type: ignore[arg-type]

    rig.parts.events._store = stored_while_more_comes  # type: ignore[method-assign]
    rig.parts.events.collect()
    assert count == 1


def test_all_that_was_there_is_collected_in_one_go_from_every_writer(rig: Rig) -> None:
    from staytrue.eventlog import Writer

    other = Writer(rig.folder / "events", segment_bytes=2000)
    for number in range(50):
        other.append([encode(rig.event(rig.start, name=f"o{number:02}"))])
    other.close()
    rig.log(rig.event(rig.start, name="z"))
    rig.parts.events.collect()
    assert rig.stored() == [*(f"o{number:02}" for number in range(50)), "z"]


def test_event_time_follows_answers_alone_and_never_the_future(rig: Rig) -> None:
    rig.log(
        rig.event(rig.start),
        rig.event(rig.start + 900 * DAY, status="invalid_input"),  # refused before its time was read: its arrival
        rig.event(rig.start + 5000 * DAY, recorded=rig.start + 1000 * DAY),
    )
    rig.parts.events.collect()
    assert rig.parts.vitals.newest == {"toy": rig.start}
    assert len(rig.stored()) == 3
    rig.again()
    assert rig.parts.vitals.newest == {"toy": rig.start}


def test_the_version_that_answered_is_known_for_every_time_in_any_order(rig: Rig) -> None:
    def at(day: float) -> tuple[str, float] | None:
        found = rig.parts.state.champion_at("toy", rig.start + day * DAY)
        return (found[0], (found[1] - rig.start) / DAY) if found else None

    events = [(3, "2"), (1, "1"), (2, "1"), (0, "1"), (4, "2"), (6, "1"), (7, "1")]
    for day, version in events:
        rig.log(rig.event(rig.start + day * DAY, version=version))
        rig.parts.events.collect()
    rig.log(rig.event(rig.start + 8 * DAY, version="9", role="pinned"))
    rig.parts.events.collect()
    assert [at(day) for day in (0, 0.5, 3.5, 5, 9)] == [None, ("1", 0), ("2", 3), ("2", 3), ("1", 6)]


def test_latency_is_observed_and_heartbeats_are_kept(rig: Rig) -> None:
    from staytrue.events import Heartbeat

    beat = Heartbeat(worker="w1", time=rig.now, ready=True, in_flight=3)
    old = Heartbeat(worker="w0", time=rig.now - 7200, ready=True)
    rig.log(rig.event(rig.start, queue_seconds=0.1, run_seconds=0.2))
    rig.events.append([encode(beat), encode(old)])
    rig.parts.events.collect()
    assert list(rig.parts.vitals.heartbeats) == ["w1"]
    assert rig.registry.get_sample_value("staytrue_request_seconds_sum", {"model": "toy"}) == pytest.approx(0.3)


def test_strangers_models_have_a_partition_of_their_own_and_no_watermark_moves_looks(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig()
    rig.log(rig.event(rig.start, model="", status="not_found"))
    assert rig.analyst.tick() == 0
    assert [path.name for path in (rig.folder / "lake" / "events").iterdir()] == ["model=_unknown"]
