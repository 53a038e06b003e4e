"""Analyst: each look once, in event time, over any death; a look that fails costs no other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from monitoring.analyst import ATTEMPTS, DEATH
from staytrue.errors import Unavailable
from staytrue.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.monitoring.conftest import Rig

DAY = 86400.0


def looked(rig: Rig) -> list[float]:
    """Days whose looks are kept, counted from the start."""
    return [(window.end - rig.start) / DAY for window in rig.parts.state.windows("toy")]


def test_a_look_is_taken_when_event_time_has_passed_its_end(rig: Rig) -> None:
    rig.log(rig.event(rig.start + 3600))
    assert rig.analyst.tick() == 0
    rig.log(rig.event(rig.start + DAY - 1))
    assert rig.analyst.tick() == 0
    rig.log(rig.event(rig.start + DAY))
    assert rig.analyst.tick() == 1
    assert rig.analyst.tick() == 0
    assert rig.script.looks == [(rig.start + DAY, 2)]


def test_looks_wait_for_late_events_as_long_as_the_policy_says(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(lateness_seconds=600)
    rig.log(rig.event(rig.start), rig.event(rig.start + DAY + 599))
    assert rig.analyst.tick() == 0
    rig.log(rig.event(rig.start + DAY - 5), rig.event(rig.start + DAY + 600))
    assert rig.analyst.tick() == 1
    assert rig.script.looks == [(rig.start + DAY, 2)]


def test_each_look_sees_the_rows_of_its_window_alone(rig: Rig) -> None:
    rig.live(0, 6)
    assert looked(rig) == [1, 2, 3, 4, 5, 6]
    assert [rows for _, rows in rig.script.looks] == [2, 4, 6, 6, 6, 6]


def test_days_without_an_event_have_their_looks(rig: Rig) -> None:
    rig.log(rig.event(rig.start), rig.event(rig.start + 6 * DAY))
    assert rig.analyst.tick() == 6
    assert [rows for _, rows in rig.script.looks] == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("after", ["save_window", "update", "consider"])
def test_a_death_within_a_look_neither_loses_nor_repeats_it(
    rig: Rig, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is done of a look at its death is undone; the next process takes it whole."""
    rig.live(0, 2)

    class Death(BaseException):
        pass

    owner: Any = {"save_window": rig.parts.state, "update": rig.analyst._alarms, "consider": rig.parts.jobs}[after]
    whole = getattr(owner, after)

    def die(*arguments: Any) -> None:
        whole(*arguments)
        raise Death

    monkeypatch.setattr(owner, after, die)
    rig.log(rig.event(rig.start + 3 * DAY))
    with pytest.raises(Death):
        rig.analyst.tick()
    assert looked(rig) == [1, 2]
    rig.again()
    assert rig.analyst.tick() == 1
    assert rig.analyst.tick() == 0
    assert looked(rig) == [1, 2, 3]


def test_looks_that_fell_due_while_the_sidecar_was_down_are_caught_up_as_they_would_have_been(rig: Rig) -> None:
    rig.live(0, 2)
    for day in range(3, 8):
        item = rig.event(rig.start + day * DAY + 60)
        rig.log(item)
        rig.tell(rig.label(item.id, 1.0, item.time + 10 * DAY))
    rig.again()
    assert rig.analyst.tick() == 5
    assert looked(rig) == [1, 2, 3, 4, 5, 6, 7]


def test_a_new_version_is_calibrated_once_and_from_its_first_answer(rig: Rig) -> None:
    rig.live(0, 3)
    rig.publish()
    rig.live(4, 6, version="2")
    assert [(since - rig.start) / DAY for since in rig.script.since] == [0, 4]
    assert [window.version for window in rig.parts.state.windows("toy")] == ["1"] * 4 + ["2"] * 2


def test_a_look_that_fails_is_tried_again_and_taken_once(rig: Rig) -> None:
    rig.live(0, 2)
    faults = iter([True, True, False])

    def fault(_: float) -> None:
        if next(faults, False):
            raise ValueError("for once")

    rig.script.fault = fault
    rig.log(rig.event(rig.start + 3 * DAY))
    for _ in range(2):
        with pytest.raises(ValueError, match="for once"):
            rig.analyst.tick()
        rig.analyst.recover()
    assert rig.analyst.tick() == 1
    assert looked(rig) == [1, 2, 3]


def test_a_look_that_always_fails_is_passed_over_and_says_so(rig: Rig) -> None:
    def fault(end: float) -> None:
        if end == rig.start + 2 * DAY:
            raise ValueError("cannot be judged")

    rig.script.fault = fault
    rig.log(rig.event(rig.start), rig.event(rig.start + 3 * DAY))
    for _ in range(ATTEMPTS - 1):
        with pytest.raises(ValueError, match="cannot be judged"):
            rig.analyst.tick()
    rig.analyst.tick()
    assert looked(rig) == [1, 2, 3]
    assert "passed over: ValueError: cannot be judged" in rig.parts.state.windows("toy")[1].note
    assert rig.parts.state.active() == []


def test_a_look_waits_for_a_store_that_is_not_reached_however_long(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise Unavailable("s3://models/store", "cannot be reached")

    rig.log(rig.event(rig.start), rig.event(rig.start + 3 * DAY))
    with monkeypatch.context() as patch:
        patch.setattr(Store, "load", refuse)
        for _ in range(2 * ATTEMPTS):
            with pytest.raises(Unavailable):
                rig.analyst.tick()
    assert looked(rig) == []
    rig.analyst.tick()
    assert looked(rig) == [1, 2, 3]
    assert [window.note for window in rig.parts.state.windows("toy")] == [""] * 3


def test_a_look_that_kills_the_sidecar_again_and_again_is_passed_over(rig: Rig) -> None:
    """As the kernel does when memory runs out: nothing of the process is left to count."""

    class Killed(BaseException):
        """Ends a process without a word."""

    def fault(end: float) -> None:
        if end == rig.start + 2 * DAY:
            raise Killed

    rig.script.fault = fault
    rig.log(rig.event(rig.start), rig.event(rig.start + 3 * DAY))
    for _ in range(ATTEMPTS // DEATH):
        with pytest.raises(Killed):
            rig.analyst.tick()
    rig.analyst.tick()
    assert looked(rig) == [1, 2, 3]
    assert rig.parts.state.windows("toy")[1].note == "this look ended the sidecar 3 times and was passed over"


def test_what_comes_during_a_backlog_of_looks_is_collected_between_them(rig: Rig) -> None:
    rig.log(rig.event(rig.start), rig.event(rig.start + 3 * DAY))
    seen: list[float] = []

    def fault(_: float) -> None:
        seen.append(rig.parts.vitals.newest["toy"])
        if len(seen) == 1:
            rig.log(rig.event(rig.start + 4 * DAY))

    rig.script.fault = fault
    assert rig.analyst.tick() == 4
    assert seen == [rig.start + 3 * DAY, *[rig.start + 4 * DAY] * 3]


def test_a_version_that_does_not_load_leaves_windows_that_say_so(rig: Rig) -> None:
    (rig.store.path("toy", "1") / "model.onnx").write_bytes(b"changed")
    rig.log(rig.event(rig.start), rig.event(rig.start + DAY))
    for _ in range(ATTEMPTS - 1):
        with pytest.raises(Exception, match="SHA-256"):
            rig.analyst.tick()
    rig.analyst.tick()
    assert "SHA-256" in rig.parts.state.windows("toy")[0].note


def test_jobs_and_traffic_are_followed_though_a_look_fails(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[int] = []
    monkeypatch.setattr(rig.parts.jobs, "follow", lambda: followed.append(1))

    def fault(_: float) -> None:
        raise ValueError("cannot be judged")

    rig.script.fault = fault
    rig.log(rig.event(rig.start), rig.event(rig.start + DAY))
    with pytest.raises(ValueError, match="cannot be judged"):
        rig.analyst.tick()
    assert followed == [1]


def test_after_stop_no_further_look_is_begun(rig: Rig) -> None:
    rig.log(rig.event(rig.start), rig.event(rig.start + 9 * DAY))
    rig.script.fault = lambda end: rig.analyst.stop() if end == rig.start + 2 * DAY else None
    assert rig.analyst.tick() == 2
    rig.script.fault = lambda _: None
    rig.again()
    assert rig.analyst.tick() == 7


def test_a_firing_drift_alarm_asks_for_a_report_on_the_rows_of_its_version(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig(evidently=True)
    monkeypatch.setattr(rig.parts.reports, "_wake", lambda: None)
    rig.script.drift = {3: 1.0, 4: 2.0}
    rig.live(0, 4)
    (request,) = rig.parts.reports.root.glob("*/request.json")
    asked = json.loads(request.read_text())
    assert (asked["version"], asked["end"]) == ("1", "2011-03-18T00:00:00.000Z")
    assert asked["kinds"] == {"x": "numeric", "hour": "category", "sky": "category"}
    assert rig.parts.reports.pending() == 1


def test_a_report_that_cannot_be_asked_for_costs_nothing_else(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    rig = make_rig(evidently=True)
    monkeypatch.setattr(rig.parts.reports, "ask", full)
    rig.script.drift = {2: 1.0, 3: 2.0}
    rig.live(0, 4)
    assert looked(rig) == [1, 2, 3, 4]
