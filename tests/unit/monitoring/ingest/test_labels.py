"""Labels from outside: all of a request or none, durable before the answer, refused with a reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from monitoring.ingest.labels import LONGEST, MOST, LabelDesk, parse
from staytrue.errors import InvalidInput, TooLarge, Unavailable
from staytrue.eventlog import Reader, Writer
from staytrue.events import Label, decode

if TYPE_CHECKING:
    from pathlib import Path

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
