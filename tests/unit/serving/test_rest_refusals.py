"""What comes back with every refusal, also of what was never read: the caller's id and trace, and what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from serving.keyring import Key, digest_of, write
from serving.model import Model
from tests.unit.serving.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.store import Store

INFER = "/v2/models/tiny/infer"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MINE = {"X-Request-Id": "mine", "traceparent": TRACE}


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """The usual settings, small limits."""
    made = House(store, tmp_path, max_body_bytes=10_000)
    yield made
    made.close()


REFUSED: list[tuple[str, str, str, dict[str, Any], int]] = [
    ("large", "POST", INFER, {"content": b"x" * 20_000}, 413),
    ("timeout", "POST", INFER, {"content": b"{}", "headers": {"Request-Timeout": "soon"}}, 400),
    ("method", "GET", INFER, {}, 405),
    ("address", "GET", "/nowhere", {}, 404),
    ("model", "GET", "/v2/models/tinny", {}, 404),
    ("body", "POST", INFER, {"content": b"{"}, 400),
]


@pytest.mark.parametrize(("method", "path", "how", "status"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_a_refusal_carries_the_callers_id_and_trace(
    house: House, method: str, path: str, how: dict[str, Any], status: int
) -> None:
    told = house.client.request(method, path, **{**how, "headers": MINE | how.get("headers", {})})
    assert told.status_code == status
    assert told.headers.get_list("x-request-id") == ["mine"]
    assert told.headers.get_list("traceparent") == [TRACE]


def test_what_is_no_id_and_no_trace_does_not_come_back(house: House) -> None:
    told = house.client.post(INFER, content=b"{}", headers={"X-Request-Id": "a b", "traceparent": "none"})
    assert (told.status_code, "X-Request-Id" in told.json()["error"]) == (400, True)
    assert {"x-request-id", "traceparent"}.isdisjoint(told.headers)


def test_who_lacks_a_key_or_asks_too_often_is_told_with_its_id(store: Store, tmp_path: Path) -> None:
    some = Key(name="some", digest=digest_of("st_some"), scopes=frozenset({"metrics"}), limit=None)
    write(tmp_path / "keys.yaml", (some,))
    house = House(store, tmp_path, keys=tmp_path / "keys.yaml")
    cases: list[tuple[dict[str, str], int]] = [({}, 401), ({"X-Api-Key": "st_some"}, 403)]
    told = [house.client.post(INFER, content=b"{}", headers=MINE | headers) for headers, _ in cases]
    house.close()
    assert [one.status_code for one in told] == [status for _, status in cases]
    assert [one.headers.get("x-request-id") for one in told] == ["mine"] * 2


def test_another_method_is_told_which_are_allowed(house: House) -> None:
    cases: list[tuple[str, str, str | None]] = [
        ("GET", INFER, "POST"),
        ("PUT", "/v2", "GET, HEAD"),
        ("PUT", INFER, "POST"),
        ("GET", "/predictions/tiny", "POST"),
        ("GET", "/nowhere", None),
    ]
    cases += [("POST", "/v1/models/tiny:classify", ""), ("POST", "/v2/repository/models/tiny/load", "")]
    told = [house.client.request(method, path).headers.get("allow") for method, path, _ in cases]
    assert told == [allowed for *_, allowed in cases]


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/v2/models", "POST /v2/repository/index"),
        ("/v1/models/", "POST /v2/repository/index"),
        ("/metrics", "staytrue monitor"),
        ("/v2/health", "/v2/health/ready"),
        ("/nowhere", "/docs tells of all"),
    ],
)
def test_an_address_that_others_have_is_told_where_it_is_here(house: House, path: str, hint: str) -> None:
    told = house.client.get(path)
    assert (told.status_code, hint in told.json()["error"]) == (404, True)


def test_a_server_that_is_not_ready_says_why(house: House) -> None:
    assert house.client.get("/v2/health/ready").json() == {"ready": True}
    house.registry.unload("tiny")
    assert house.client.get("/v2/health/ready").status_code == 200  # as somebody wished
    house.registry.load("tiny")
    with mock.patch.object(Model, "ready", return_value=False):
        told = house.client.get("/v2/health/ready")
    assert told.status_code == 503
    assert told.json() == {
        "ready": False,
        "reason": "1 of 1 models cannot answer: POST /v2/repository/index tells which, and why",
    }
    house.dataplane.draining = True
    assert house.client.get("/v2/health/ready").json()["reason"] == "the server is shutting down"
