"""Compressed answers: for whom, which of them, and in which thread."""

from __future__ import annotations

import gzip
import threading
from typing import TYPE_CHECKING

import orjson
import pytest

from serving.rest import bodies
from serving.rest.codec import BYTES
from tests.unit.serving.house import House

if TYPE_CHECKING:
    from pathlib import Path

    from serving.rest.codec import Sent
    from staytrue.store import Store

INFER = "/v2/models/tiny/infer"


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (b"gzip", b"gzip"),
        (b"gzip, deflate", b"gzip"),
        (b"gzip ;\tq=0.001", b"gzip"),
        (b"GZIP;Q=1.000", b"gzip"),
        (b"gzip;q=0.1, deflate;q=1", b"deflate"),
        (b"identity, gzip", b"gzip"),
        (b"identity;q=1, gzip;q=0.5", None),
        (b"gzip;\tq=0", None),
        (b"gzip; q=0.000", None),
        (b"gzip;q=0;x", None),
        (b"gzip;q=2", None),
        (b"gzip;q", None),
        (b"gzip;", None),
        (b"br", None),
        (b"", None),
    ],
)
def test_a_coding_is_taken_by_its_weight(accepted: bytes, coding: bytes | None) -> None:
    assert bodies.coding_of(accepted) == coding


def test_a_long_answer_is_packed_in_no_thread_that_others_wait_for(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = [
        {"name": "number", "datatype": "FP32", "shape": [1, 1], "data": [1.5]},
        {"name": "kind", "datatype": "BYTES", "shape": [1, 1], "data": ["b"]},
        {"name": "count", "datatype": "INT64", "shape": [1, 1], "data": [10]},
    ]
    pack, threads = bodies.packed, list[str]()

    def packing(sent: Sent, coding: bytes) -> Sent:
        threads.append(threading.current_thread().name)
        return pack(sent, coding)

    monkeypatch.setattr(bodies, "PACKED_FROM", 1)
    monkeypatch.setattr(bodies, "packed", packing)
    house = House(store, tmp_path)
    for _ in range(3):
        headers = {"Accept-Encoding": "gzip", "X-Request-Id": "mine"}
        told = house.client.post(INFER, content=orjson.dumps({"inputs": tensors}), headers=headers)
        assert (told.headers["content-encoding"], told.headers["x-request-id"]) == ("gzip", "mine")
        assert told.json()["parameters"]["event_id"] == told.headers["x-event-id"]
    assert len(threads) == 3
    assert all(name.startswith("help") for name in threads)
    house.close()


def test_short_answers_and_tensors_in_bytes_are_not_worth_packing() -> None:
    assert bodies.worth_packing(b" " * 65536, b"application/json")
    assert not bodies.worth_packing(b" " * 65535, b"application/json")
    assert not bodies.worth_packing(b" " * 1_000_000, BYTES)
    body, kind, lines = bodies.packed((b"[1]", b"application/json", b""), b"gzip")
    assert (gzip.decompress(body), kind) == (b"[1]", b"application/json")
    assert b"Content-Encoding: gzip\r\n" in lines
