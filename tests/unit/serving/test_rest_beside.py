"""Which bodies are read beside the event loop: those that take long, whatever their length is said to be."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import orjson
import pytest

from serving.rest.dialects import GLANCE_BYTES
from staytrue.asking import HEADER
from tests.unit.serving.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from serving.calls import Call
    from staytrue.store import Store

INFER = "/v2/models/tiny/infer"
LONG = 70_000


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """The usual settings."""
    made = House(store, tmp_path)
    yield made
    made.close()


@pytest.fixture
def readers(house: House, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each body that was read, whether the event loop's thread did."""
    leaves, seen = house.dataplane._leaves, list[bool]()

    def reading(call: object, loaded: object) -> bool:
        left = False
        try:
            left = leaves(call, loaded)  # type: ignore[arg-type]
        finally:
            if not left:
                seen.append(threading.get_ident() == house.rest._thread)
        return left

    monkeypatch.setattr(house.dataplane, "_leaves", reading)
    return seen


def ask(house: House, body: bytes, length: int, path: str = INFER) -> httpx.Response:
    """Send a body that begins with so much JSON."""
    return house.client.post(path, content=body, headers={HEADER: str(length)})


def head(datatype: str, size: int) -> bytes:
    """An input whose values stand behind."""
    tensor = {"name": "number", "datatype": datatype, "shape": [1, 1], "parameters": {"binary_data_size": size}}
    return orjson.dumps({"inputs": [tensor]})


@pytest.mark.parametrize("datatype", ["BYTES", "\\u0042YTES"])
def test_texts_behind_the_json_are_read_beside(house: House, readers: list[bool], datatype: str) -> None:
    said = head("BYTES", LONG).replace(b"BYTES", datatype.encode())
    assert ask(house, said + b"\1\0\0\0a" * (LONG // 5), len(said)).status_code == 400
    assert readers == [False]


def test_long_json_is_read_beside_whatever_stands_behind_it(house: House, readers: list[bool]) -> None:
    said = head("FP32", 4) + b" " * LONG
    assert ask(house, said + b"\0" * 4, len(said)).status_code == 400
    assert readers == [False]


def test_a_whole_body_that_may_be_a_text_is_read_beside(house: House, readers: list[bool]) -> None:
    assert ask(house, b"a" * LONG, 0).status_code == 400
    assert readers == [False]


@pytest.mark.parametrize("path", ["/v1/models/tiny:predict", "/predictions/tiny", "/invocations"])
def test_the_header_means_nothing_where_bodies_are_all_json(house: House, readers: list[bool], path: str) -> None:
    assert ask(house, b"[1]" + b" " * LONG, 3, path).status_code == 400
    assert readers == [False]


def test_numbers_behind_the_json_and_short_bodies_are_read_at_once(house: House, readers: list[bool]) -> None:
    said = head("FP32", LONG)
    assert ask(house, said + b"\0" * LONG, len(said)).status_code == 400
    said = head("BYTES", 5)
    assert ask(house, said + b"\1\0\0\0a", len(said)).status_code == 400
    assert readers == [True, True]


def long_json(size: int) -> bytes:
    """Numbers, more than the model takes."""
    tensor = {"name": "number", "datatype": "FP32", "shape": [size // 4, 1], "data": [0.5] * (size // 4)}
    return orjson.dumps({"inputs": [tensor]})


def test_numbers_in_long_json_are_read_at_once(house: House, readers: list[bool]) -> None:
    answer = house.client.post(INFER, content=long_json(LONG))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert 'input "kind"' in answer.json()["error"]
    assert readers == [True]
    assert [event.model for event in house.events()] == ["tiny"]


@pytest.mark.parametrize(
    "body", [long_json(LONG) + b" !", long_json(LONG).replace(b"number", b"\\u006eumber"), b"[" * LONG]
)
def test_other_long_json_is_read_beside_and_told_the_same(house: House, readers: list[bool], body: bytes) -> None:
    short = body.replace(b",0.5" * (LONG // 4 - 1), b"").replace(b"[%d,1]" % (LONG // 4), b"[1,1]")
    told = house.client.post(INFER, content=body)
    assert told.status_code == 400
    assert readers == [False]
    assert len(house.events()) == 1
    if len(short) < LONG:
        again = house.client.post(INFER, content=short)
        assert again.json()["code"] == told.json()["code"]
        assert readers == [False, True]


def test_longer_json_is_read_beside_even_where_it_is_quick_to_read(house: House, readers: list[bool]) -> None:
    assert house.client.post(INFER, content=long_json(GLANCE_BYTES + 100)).status_code == 400
    assert readers == [False]


def test_what_is_left_to_a_thread_holds_no_version_while_it_waits(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    later, held = house.dataplane._later, list[object]()

    def waiting(threads: object, work: object, call: Call) -> None:
        held.append(call.lease)
        later(threads, work, call)  # type: ignore[arg-type]

    monkeypatch.setattr(house.dataplane, "_later", waiting)
    assert house.client.post(INFER, content=long_json(LONG) + b" !").status_code == 400
    assert held == [None]


def test_a_length_of_thousands_of_digits_is_refused(house: House) -> None:
    answer = house.client.post(INFER, content=b"{}", headers={HEADER: "1" * 4400})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
