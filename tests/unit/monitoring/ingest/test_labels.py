"""Labels from outside: all of a request or none, durable before the answer, refused with a reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitoring.display.metrics import Computed
from monitoring.ingest.labels import LONGEST, MOST, LabelDesk, parse
from monitoring.ingest.unmatched import PAUSES, Unmatched
from staytrue.errors import InvalidInput, TooLarge, Unavailable
from staytrue.eventlog import Writer
from staytrue.events import Label, decode
from staytrue.readers import Reader

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.monitoring.conftest import Rig

GOOD = {"event_id": "a", "truth": 1.5}


def body(*labels: Any) -> bytes:
    """A request's body."""
    return json.dumps({"labels": labels}).encode()


def test_labels_are_in_the_log_when_the_call_returns(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    desk = LabelDesk(writer, clock=lambda: 100.0, event_clock=lambda: 7.0)
    given = [GOOD, {"event_id": "b", "truth": "cat", "row": 3, "known": "1970-01-01T00:01:00Z"}]
    assert desk.accept(body(*given)) == 2
    batch = next(iter(Reader(tmp_path, "test").batches()))
    assert [decode(payload) for payload in batch.payloads] == [
        Label(event_id="a", truth=1.5, known=7.0, received=100.0),
        Label(event_id="b", truth="cat", row=3, known=60.0, received=100.0),
    ]
    writer.close()


def test_a_single_label_needs_no_list() -> None:
    assert parse(json.dumps(GOOD).encode(), 2.0, 1.0) == [Label(event_id="a", truth=1.5, known=1.0, received=2.0)]


def test_labels_without_a_clock_of_events_are_dated_by_the_wall_clock(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    assert LabelDesk(writer, clock=lambda: 100.0).accept(body(GOOD)) == 1
    label = decode(next(iter(Reader(tmp_path, "test").batches())).payloads[0])
    assert isinstance(label, Label)
    assert label.known == 100.0
    writer.close()


def test_a_log_that_refuses_accepts_nothing(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.close()
    with pytest.raises(Unavailable):
        LabelDesk(writer).accept(body(GOOD))


@pytest.mark.parametrize(
    ("sent", "where"),
    [
        (b"", "body: is not JSON"),
        (b"{", "body: is not JSON"),
        (b"\xff\xfe", "body: is not JSON"),
        (b"[" * 100_000, "body: is not JSON"),
        (b'{"event_id": "a", "truth": NaN}', "body: is not JSON"),
        (b'{"event_id": "a", "truth": 1e999}', "body: is not JSON"),
        (b"[]", "body: expected"),
        (b"7", "body: expected"),
        (b'{"labels": []}', "body: expected"),
        (b'{"labels": {}}', "body: expected"),
        (body(7), "labels[0]: expected an object"),
        (body(GOOD, {"truth": 1}), "labels[1].event_id"),
        (body({**GOOD, "event_id": ""}), "labels[0].event_id"),
        (body({**GOOD, "event_id": "x" * 201}), "labels[0].event_id"),
        (body({**GOOD, "event_id": 7}), "labels[0].event_id"),
        (body({"event_id": "a"}), "labels[0].truth"),
        (body({**GOOD, "truth": True}), "labels[0].truth"),
        (body({**GOOD, "truth": None}), "labels[0].truth"),
        (body({**GOOD, "truth": [1]}), "labels[0].truth"),
        (body({**GOOD, "truth": "x" * (LONGEST + 1)}), "labels[0].truth"),
        (body({**GOOD, "truth": 2**63}), "labels[0].truth"),
        (b'{"event_id": "a", "truth": ' + b"9" * 400 + b"}", "labels[0].truth"),
        (b'{"event_id": "a", "truth": ' + b"9" * 9000 + b"}", ""),
        (body({**GOOD, "row": -1}), "labels[0].row"),
        (body({**GOOD, "row": 1.0}), "labels[0].row"),
        (body({**GOOD, "row": 2**31}), "labels[0].row"),
        (body({**GOOD, "row": True}), "labels[0].row"),
        (body({**GOOD, "known": "yesterday"}), "labels[0].known"),
        (body({**GOOD, "known": -1}), "labels[0].known"),
        (body({**GOOD, "known": 1e11}), "labels[0].known"),
        (body({**GOOD, "known": True}), "labels[0].known"),
        (body({**GOOD, "known": [1]}), "labels[0].known"),
        (b'{"event_id": "a", "truth": 1, "known": ' + b"9" * 400 + b"}", "labels[0].known"),
        (body({**GOOD, "trueth": 1}), "labels[0].trueth: unknown key"),
    ],
    ids=str,
)
def test_bad_labels_are_refused_with_the_place(sent: bytes, where: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(sent, 1.0, 1.0)
    assert str(refused.value).startswith(where)
    assert len(str(refused.value)) < 400


def test_too_many_labels_at_once_are_refused() -> None:
    with pytest.raises(TooLarge, match="send several requests"):
        parse(body(*[GOOD] * (MOST + 1)), 1.0, 1.0)


def test_two_truths_of_one_row_are_refused_with_both_places() -> None:
    other = {"event_id": "b", "truth": 1}
    with pytest.raises(InvalidInput) as refused:
        parse(body(GOOD, other, {**GOOD, "truth": 2.5}), 1.0, 1.0)
    assert str(refused.value).startswith("labels[2].truth: is another than in labels[0]")
    assert "expected 1.5, got 2.5" in str(refused.value)


def test_one_row_may_be_told_twice_alike_or_be_corrected() -> None:
    later = {**GOOD, "truth": 2.5, "known": 60}
    assert len(parse(body(GOOD, GOOD, {**GOOD, "row": 1, "truth": 7}, later), 1.0, 1.0)) == 4


def test_labels_of_nothing_are_counted_and_shown(rig: Rig) -> None:
    rig.registry.register(Computed(rig.parts, lambda: 0))
    item = rig.event(rig.start)
    rig.log(item)
    rig.tell(rig.label(item.id, 1.0, rig.start), rig.label(item.id, 1.0, rig.start, row=1))
    rig.tell(*[rig.label(name, 1.0, rig.start + day * 86400) for day, name in enumerate("aab")])
    rig.analyst.tick()
    assert rig.parts.vitals.unmatched == {"event": 2, "row": 1}
    sample = rig.registry.get_sample_value
    assert sample("staytrue_labels_unmatched", {"missing": "event"}) == 2
    assert sample("staytrue_labels_unmatched", {"missing": "row"}) == 1
    rig.again()
    rig.analyst.tick()
    assert rig.parts.vitals.unmatched == {"event": 2, "row": 1}


def test_a_label_that_came_before_its_event_is_counted_until_then(rig: Rig) -> None:
    now = 0.0
    unmatched = Unmatched(rig.parts.lake, rig.parts.vitals, lambda: now)

    def count() -> int:
        nonlocal now
        now += 1.0
        rig.parts.events.collect()
        rig.parts.labels.collect()
        unmatched.refresh()
        return rig.parts.vitals.unmatched["event"]

    rig.tell(rig.label("late", 1.0, rig.start))
    assert count() == 1
    rig.log(rig.event(rig.start, name="other"))
    assert count() == 1
    rig.log(rig.event(rig.start, name="late"))
    assert count() == 0


def test_counting_takes_a_twentieth_of_the_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    now, counts = 0.0, 0

    def slow(_: float) -> dict[str, int]:
        nonlocal now, counts
        now, counts = now + 1.0, counts + 1
        return {"event": 1, "row": 0}

    monkeypatch.setattr(rig.parts.lake, "unmatched", slow)
    unmatched = Unmatched(rig.parts.lake, rig.parts.vitals, lambda: now)
    for _ in range(PAUSES):
        rig.tell(rig.label("x", 1.0, rig.start))
        rig.parts.labels.collect()
        unmatched.refresh()
        now += 1.0
    assert counts == 1
    unmatched.refresh()
    assert counts == 2
    now += 100.0
    unmatched.refresh()  # nothing has come
    assert counts == 2


@pytest.mark.parametrize("before", [60.0, 10 * 86400.0, 1_300_000_000.0])
@pytest.mark.parametrize("first", ["event", "label"])
def test_a_label_known_before_its_event_is_seen(rig: Rig, before: float, first: str) -> None:
    rig.log(rig.event(rig.start + 3600, name="older"))
    item = rig.event(rig.start + 2 * 86400 + 30)
    for what in ("event", "label") if first == "event" else ("label", "event"):
        if what == "event":
            rig.log(item)
        else:
            rig.tell(rig.label(item.id, 7.5, item.time - before, received=rig.now))
        rig.parts.events.collect()
        rig.parts.labels.collect()
    rows = rig.window(0, 3)
    assert rows.truth[1] == 7.5
    assert rows.known[1] == item.time
    assert np.isnan(rows.known[0])
    if first == "event":
        assert rig.window(2, 3).truth.tolist() == [7.5]
