"""Alarms: what fires, what resolves, and what does neither."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from monitoring.response.alarms import Alarms
from monitoring.state import State
from staytrue.sections import MonitoringSection
from staytrue.windows import Check, Evidence, Quality, Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.monitoring.conftest import Rig

DAY = 86400.0


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """An empty state."""
    state = State(tmp_path / "state.sqlite")
    yield state
    state.close()


@pytest.fixture
def alarms(state: State) -> Alarms:
    """Two looks to fire, three to resolve."""
    return Alarms(state, MonitoringSection(for_looks=2, resolve_looks=3, vanished_seconds=60), "http://here")


def drift(day: int, *evidence: float | None, version: str = "1", **more: Any) -> Window:
    """A look with evidence for x0, x1 …; None is too little to say."""
    found = [
        Evidence(detector="d", feature=f"x{place}", evidence=value or 0.0, detail=f"moved by {value}")
        if value is not None
        else Evidence(detector="d", feature=f"x{place}", evidence=5.0, sufficiency="insufficient")
        for place, value in enumerate(evidence)
    ]
    fields: dict[str, Any] = {"rows": 10, "drift": found}
    return Window(model="toy", version=version, start=(day - 7) * DAY, end=day * DAY, **(fields | more))


def run(alarms: Alarms, *windows: Window) -> list[str]:
    """Changes as ``day:alertname:status``."""
    return [
        f"{window.end / DAY:.0f}:{alert.labels['alertname']}:{alert.status}"
        for window in windows
        for alert in alarms.update(window)
    ]


def test_evidence_must_last_for_its_looks_to_fire_and_be_gone_for_its_looks_to_resolve(alarms: Alarms) -> None:
    evidence = [1.2, 0.5, 1.0, 1.1, 3.0, 0.9, 0.9, 1.0, 0.5, 0.5, 0.5, 0.5]
    assert run(alarms, *(drift(day, value) for day, value in enumerate(evidence))) == [
        "3:StaytrueDrift:firing",
        "10:StaytrueDrift:resolved",
    ]


def test_insufficient_evidence_neither_fires_nor_resolves_nor_breaks_a_streak(alarms: Alarms) -> None:
    days = [None, None, 1.5, None, 1.5, None, None, None, None, 0.0, None, 0.0, None, 0.0]
    assert run(alarms, *(drift(day, value) for day, value in enumerate(days))) == [
        "4:StaytrueDrift:firing",
        "13:StaytrueDrift:resolved",
    ]


def test_a_look_without_rows_resolves_nothing(alarms: Alarms, state: State) -> None:
    run(alarms, drift(1, 2.0), drift(2, 2.0))
    empty = [Window(model="toy", version="1", start=0, end=day * DAY, rows=0) for day in range(3, 20)]
    assert run(alarms, *empty) == []
    assert len(state.active("toy", "drift")) == 1


def test_an_alert_names_the_features_that_moved_most_first(alarms: Alarms) -> None:
    run(alarms, drift(1, 0.2, 1.5, 4.0))
    (alert,) = alarms.update(drift(2, 0.2, 1.5, 4.0))
    assert alert.annotations == {
        "summary": "toy version 1: drift in x2, x1 (x2: moved by 4.0)",
        "version": "1",
        "evidence": "4.00",
        "window": "1969-12-27 to 1970-01-03, 10 rows",
        "features": '{"x2": "1970-01-03T00:00:00.000Z", "x1": "1970-01-03T00:00:00.000Z"}',
    }
    assert alert.labels == {"alertname": "StaytrueDrift", "model": "toy", "severity": "warning"}
    assert (alert.starts_at, alert.ends_at) == ("1970-01-03T00:00:00.000Z", "0001-01-01T00:00:00Z")
    assert alert.generator_url == "http://here"


def test_a_feature_that_moves_later_is_named_by_the_alarm_that_fires(alarms: Alarms, state: State) -> None:
    """After as many looks as an alarm needs, once; and the name goes with the evidence."""

    def look(window: Window) -> list[Any]:
        state.save_window(window)  # as the analyst does
        return alarms.update(window)

    look(drift(1, 2.0, 0.0))
    [fired] = look(drift(2, 2.0, 0.5))
    assert json.loads(fired.annotations["features"]) == {"x0": "1970-01-03T00:00:00.000Z"}
    assert look(drift(3, 1.5, 3.0)) == []  # a look alone is no word
    [more] = look(drift(4, 1.5, 3.0))
    assert (more.status, more.starts_at, more.fingerprint) == ("firing", fired.starts_at, fired.fingerprint)
    assert more.annotations["summary"].startswith("toy version 1: drift in x1, x0 (x1: moved by 3.0)")
    named = {"x0": "1970-01-03T00:00:00.000Z", "x1": "1970-01-05T00:00:00.000Z"}
    assert json.loads(more.annotations["features"]) == named
    assert look(drift(5, 1.5, 3.0)) == []  # said once
    assert look(drift(6, 0.5, 3.0)) == []  # one that went is no news, and is named no more
    [standing] = state.active()
    assert json.loads(standing.annotations["features"]) == {"x1": named["x1"]}


def test_quality_and_data_have_alarms_of_their_own(alarms: Alarms) -> None:
    quality = Quality(metric="mean_absolute_error", value=50, baseline=20, evidence=1.5, rows=9, coverage=0.5)
    checks = [Check(name="missing", column="x", verdict="fail", detail="80% missing")]
    bad = [drift(day, quality=quality, checks=checks) for day in (1, 2)]
    assert run(alarms, *bad) == ["2:StaytrueQuality:firing", "2:StaytrueData:firing"]
    assert [alert.annotations["summary"] for alert in alarms._state.active()] == [
        "toy version 1: mean absolute error 50, usually 20 (50% of rows labelled)",
        "toy version 1: x: 80% missing",
    ]
    little = msgspec.structs.replace(quality, evidence=0.0, sufficiency="insufficient")
    good = [drift(day, quality=little, checks=[Check(name="missing", verdict="ok")]) for day in range(3, 9)]
    assert run(alarms, *good) == ["5:StaytrueData:resolved"]


def test_a_new_version_ends_the_alerts_of_the_old_one_and_begins_at_nought(alarms: Alarms) -> None:
    run(alarms, drift(1, 2.0), drift(2, 2.0))
    changed = alarms.update(drift(3, 2.0, version="2"))
    assert [alert.annotations["resolved_because"] for alert in changed] == ["version 2 took over"]
    assert run(alarms, drift(4, 2.0, version="2")) == ["4:StaytrueDrift:firing"]


def test_streaks_survive_a_restart(alarms: Alarms, state: State) -> None:
    run(alarms, drift(1, 2.0))
    again = Alarms(state, MonitoringSection(for_looks=2))
    assert run(again, drift(2, 2.0)) == ["2:StaytrueDrift:firing"]


def test_each_episode_is_an_alert_of_its_own_with_one_fingerprint(alarms: Alarms, state: State) -> None:
    values = [2.0, 2.0, 0, 0, 0, 2.0, 2.0]
    run(alarms, *(drift(day, value) for day, value in enumerate(values)))
    history = state.alerts()
    assert [alert.status for alert in history] == ["resolved", "firing"]
    assert len({alert.fingerprint for alert in history}) == 1


def test_vanished_traffic_raises_its_own_alarm_once_and_resolves_no_other(rig: Rig) -> None:
    rig.script.drift = {1: 2.0, 2: 2.0}
    rig.live(0, 2)
    rig.now += 3599
    rig.analyst.tick()
    assert [alert.labels["alertname"] for alert in rig.parts.state.active()] == ["StaytrueDrift"]
    rig.now += 2
    rig.analyst.tick()
    rig.analyst.tick()
    names = [alert.labels["alertname"] for alert in rig.parts.state.active()]
    assert names == ["StaytrueDrift", "StaytrueVanished"]


def test_a_restart_neither_forgets_nor_ends_vanished_traffic(rig: Rig) -> None:
    rig.live(0, 1)
    rig.again()
    rig.now += 4000  # it vanished while the sidecar was down
    rig.analyst.tick()
    rig.again()
    rig.analyst.tick()
    assert [alert.labels["alertname"] for alert in rig.parts.state.active()] == ["StaytrueVanished"]
    rig.log(rig.event(rig.start + 2 * DAY, recorded=rig.now))
    rig.analyst.tick()
    assert rig.parts.state.active() == []


def test_one_models_traffic_does_not_hide_that_anothers_vanished(rig: Rig) -> None:
    rig.log(rig.event(rig.start), rig.event(rig.start, model="other"))
    rig.analyst.tick()
    rig.now += 4000
    rig.log(rig.event(rig.start + 60, model="other", recorded=rig.now))
    rig.analyst.tick()
    assert [alert.labels["model"] for alert in rig.parts.state.active()] == ["toy"]


def test_a_model_that_never_answered_cannot_vanish(rig: Rig) -> None:
    rig.log(rig.event(rig.start, status="invalid_input"), rig.event(rig.start, model="", status="not_found"))
    rig.now += 1e6
    rig.analyst.tick()
    assert rig.parts.state.active() == []
