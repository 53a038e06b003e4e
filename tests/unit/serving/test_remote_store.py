"""Versions out of an object store are served, followed as its aliases change, and kept while it is not reached."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from fsspec.registry import _registry

from serving.follower import Follower
from staytrue.errors import Unavailable
from staytrue.objects import Objects
from staytrue.store import Store
from tests.buckets import Bucket
from tests.unit.serving.conftest import publish
from tests.unit.serving.grpc_house import until
from tests.unit.serving.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADDRESS = "s3://models/store"
BODY = {
    "inputs": [
        {"name": "number", "datatype": "FP32", "shape": [1, 1], "data": [1.5]},
        {"name": "kind", "datatype": "BYTES", "shape": [1, 1], "data": ["b"]},
        {"name": "count", "datatype": "INT64", "shape": [1, 1], "data": [10]},
    ]
}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Where versions are made: its champion doubles its number."""
    monkeypatch.setitem(_registry, "s3", Bucket)
    made = Store(ADDRESS, cache=tmp_path / "maker")
    made.promote("tiny", publish(made, 2.0), reason="test")
    yield made
    Bucket().rm("/models", recursive=True)


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """A server of the same store on another machine."""
    made = House(Store(store.where, cache=tmp_path / "server"), tmp_path)
    yield made
    made.close()


def total(house: House, version: str = "") -> float:
    """What the server answers for 1.5, b and 10."""
    path = f"/v2/models/tiny/versions/{version}/infer" if version else "/v2/models/tiny/infer"
    return float(house.client.post(path, json=BODY).raise_for_status().json()["outputs"][0]["data"][0])


def test_a_new_champion_is_taken_up_within_a_look(house: House, store: Store) -> None:
    assert total(house) == 15.0  # 2 * 1.5 + 2 + 10
    follower = Follower(house.registry, 0.05)
    try:
        store.promote("tiny", publish(store, 4.0), reason="better")
        until(lambda: total(house) == 18.0)
        assert total(house, "1") == 15.0
        store.roll_back("tiny", reason="worse")
        until(lambda: total(house) == 15.0)
    finally:
        follower.end()


def test_what_is_loaded_goes_on_while_the_store_is_not_reached(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise Unavailable(ADDRESS, "cannot be reached")

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "names", refuse)
        patch.setattr(Store, "models", refuse)  # which may still know what it was told a second ago
        with caplog.at_level(logging.ERROR):
            follower = Follower(house.registry, 0.05)
            with pytest.raises(Unavailable):
                follower.first(lambda: False)
        assert total(house) == 15.0
        assert house.client.get("/v2/health/ready").status_code == 200
    assert total(house) == 15.0


def test_a_version_that_changed_in_the_store_is_not_served(house: House, store: Store) -> None:
    version = publish(store, 8.0)
    store.promote("tiny", version, reason="better")
    objects = Objects(ADDRESS)
    data = objects.read(f"tiny/{version}/model.onnx") or b""
    objects.write(f"tiny/{version}/model.onnx", data[:60] + bytes([data[60] ^ 255]) + data[61:])

    def refused() -> bool:
        house.registry.refresh()
        return version in house.registry.model("tiny").refused

    until(refused)
    assert total(house) == 15.0
    told = house.client.get(f"/v2/models/tiny/versions/{version}").json()
    assert "models/store" not in str(told)
    assert "SHA-256" in str(house.registry.model("tiny").refused[version])
