"""Which address leads where: what is remembered of it, what its escapes mean, what it says it allows."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import orjson
import pytest

from serving.rest import routes
from tests.unit.serving.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.store import Store

INFER = "/v2/models/tiny/infer"
BODY = orjson.dumps(
    {
        "inputs": [
            {"name": "number", "datatype": "FP32", "shape": [1, 1], "data": [1.5]},
            {"name": "kind", "datatype": "BYTES", "shape": [1, 1], "data": ["b"]},
            {"name": "count", "datatype": "INT64", "shape": [1, 1], "data": [10]},
        ]
    }
)


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """A server whose second port is open too."""
    made = House(store, tmp_path, admin=True)
    yield made
    made.close()


def test_an_address_without_a_name_asks_no_model_once_there_are_two(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = orjson.dumps({"dataframe_records": [{"number": 1.5, "kind": "b", "count": 10}]})
    assert [house.client.post("/invocations", content=rows).status_code for _ in range(3)] == [200] * 3
    monkeypatch.setattr(house.registry, "names", lambda: ["other", "tiny"])
    told = house.client.post("/invocations", content=rows)
    assert (told.status_code, "name the model" in told.json()["error"]) == (400, True)


def test_addresses_are_remembered_anew_once_too_many_are(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MOST_KNOWN", 2)
    paths = [INFER.replace("tiny", name) for name in ("tiny", "%74iny", "t%69ny", "ti%6ey")]
    for path in paths:
        assert house.client.post(path, content=BODY).status_code == 200
    assert list(house.rest._routes._known) == [path.encode() for path in paths[2:]]


@pytest.mark.parametrize("escaped", ["tiny%2Fversions%2f1", "tiny%2fversions/1", "..%2Ftiny"])
def test_an_escaped_slash_leads_to_no_other_address(house: House, escaped: str) -> None:
    assert house.client.post(f"/v2/models/{escaped}/infer", content=BODY).status_code == 404
    assert house.client.get(f"/v2/models/{escaped}").status_code == 404
    assert house.client.post("/v2/models/t%69ny/versions/%31/infer", content=BODY).status_code == 200


def test_one_model_is_loaded_at_a_time_and_another_caller_told_to_come_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, free, told = threading.Event(), threading.Event(), list[int]()

    def load(_: str) -> None:
        begun.set()
        assert free.wait(20)

    monkeypatch.setattr(house.registry, "load", load)
    path = "/v2/repository/models/tiny/load"
    first = threading.Thread(target=lambda: told.append(house.client.post(path).status_code))
    first.start()
    assert begun.wait(10)
    second = house.client.post(path.replace("/load", "/unload"))
    free.set()
    first.join(20)
    assert (second.status_code, second.headers.get("retry-after"), told) == (429, "1", [200])
    assert house.client.post(path).status_code == 200
