"""Requests refused for their key leave a count and few lines, over both protocols, and never a word of a key."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from serving import app
from serving.denials import LINE_SECONDS, Denials
from serving.grpc.server import SERVICE
from serving.heartbeat import Pulse
from serving.keyring import Key, Limit, digest_of, write
from serving.keys import new_secret
from staytrue.errors import Overloaded, PermissionDenied, Unauthenticated
from tests.unit.serving import grpc_house, house

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.store import Store

SLOW, WATCHER = new_secret(), new_secret()
INFER = "/v2/models/tiny/infer"
STRANGER = Unauthenticated("header Authorization", expected="Bearer KEY", got="nothing")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """One that may ask once a minute, and one that may not predict."""
    slow = Limit(requests_per_second=1 / 60, burst=1)
    entries = (
        Key(name="slow", digest=digest_of(SLOW), scopes=frozenset({"predict"}), limit=slow),
        Key(name="watcher", digest=digest_of(WATCHER), scopes=frozenset({"metrics"})),
    )
    write(tmp_path / "keys.yaml", entries)
    return tmp_path / "keys.yaml"


@pytest.fixture
def rest(store: Store, tmp_path: Path, keys: Path) -> Iterator[house.House]:
    """A server over REST."""
    made = house.House(store, tmp_path, keys=keys)
    yield made
    made.close()


@pytest.fixture
def rpc(store: Store, tmp_path: Path, keys: Path) -> Iterator[grpc_house.House]:
    """A server over gRPC."""
    made = grpc_house.House(store, tmp_path, keys=keys)
    yield made
    made.close()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says of refused callers."""
    return [record.getMessage() for record in caplog.records if record.name == "serving.denials"]


def test_over_rest_each_refusal_is_counted_and_told_with_reason_name_and_peer(
    rest: house.House, caplog: pytest.LogCaptureFixture
) -> None:
    guess = "st_" + "guess" * 5
    for headers in ({}, {"X-Api-Key": guess}, {"X-Api-Key": WATCHER}, {"X-Api-Key": SLOW}, {"X-Api-Key": SLOW}):
        rest.client.post(INFER, headers=headers, content=b"{")
    expected = {"rest": {"unauthenticated": 2, "permission_denied": 1, "overloaded": 1}}
    assert Pulse(rest.dataplane, "w", rest.access.denials).beat().callers_refused == expected
    told = lines(caplog)
    assert len(told) == 3
    assert all("protocol=rest" in line and "peer='127.0.0.1:" in line for line in told)
    assert "status=unauthenticated" in told[0]
    assert "got nothing" in told[0]
    assert 'key "watcher": expected scope predict, got metrics' in told[1]
    assert 'key "slow": expected at most' in told[2]
    for secret in (guess, WATCHER, SLOW):
        assert secret[:12] not in caplog.text
    assert [event.status for event in rest.events()] == ["invalid_input"]  # of the one that was let in


def test_over_grpc_each_refusal_is_counted_and_told_with_reason_name_and_peer(
    rpc: grpc_house.House, caplog: pytest.LogCaptureFixture
) -> None:
    guess = "st_" + "guess" * 5
    infer, stats = (rpc.method(f"/{SERVICE}/{name}") for name in ("ModelInfer", "ModelStatistics"))
    data = grpc_house.request().SerializeToString()
    statuses = []
    for call, secret in ((infer, None), (infer, guess), (infer, WATCHER), (infer, SLOW), (infer, SLOW), (stats, guess)):
        metadata = (("x-api-key", secret),) if secret else ()
        try:
            call(data if call is infer else b"", metadata=metadata, timeout=20)
        except grpc.RpcError as error:
            statuses.append(error.code())
    expected = [grpc.StatusCode.UNAUTHENTICATED] * 2
    expected += [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert statuses == [*expected, grpc.StatusCode.UNAUTHENTICATED]
    counts = rpc.server._guard._access.denials.counts()
    assert counts == {"grpc": {"unauthenticated": 3, "permission_denied": 1, "overloaded": 1}}
    told = lines(caplog)
    assert all("protocol=grpc" in line and "peer='ipv4:127.0.0.1:" in line for line in told)
    assert [line.split("status=")[1].split()[0] for line in told[:3]] == [
        "unauthenticated",
        "permission_denied",
        "overloaded",
    ]
    assert 'key "watcher": expected scope predict' in told[1]
    assert 'key "slow": expected at most' in told[2]
    for secret in (guess, WATCHER, SLOW):
        assert secret[:12] not in caplog.text


def test_over_grpc_a_refused_stream_is_counted(rpc: grpc_house.House) -> None:
    stub: Any = rpc.stub
    calls = stub.ModelStreamInfer(iter(()), metadata=[("x-api-key", WATCHER)], timeout=20)
    assert grpc_house.fails(lambda: list(calls))
    assert rpc.server._guard._access.denials.counts() == {"grpc": {"permission_denied": 1}}


def test_of_a_thousand_refusals_one_has_a_line_and_the_next_line_counts_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    denials = Denials(lambda: now[0])
    for _ in range(1000):
        denials.note("rest", STRANGER, "1.2.3.4:5")
    assert len(lines(caplog)) == 1
    assert "untold=0" in lines(caplog)[0]
    denials.note("grpc", PermissionDenied('key "shop"', expected="scope admin", got="predict"), "")
    assert len(lines(caplog)) == 2  # another reason has its own
    now[0] = LINE_SECONDS
    denials.note("grpc", STRANGER, "ipv6:%5B::1%5D:5")
    assert len(lines(caplog)) == 3
    assert "protocol=grpc status=unauthenticated peer='ipv6:[::1]:5' untold=999: header" in lines(caplog)[2]
    assert denials.counts() == {
        "rest": {"unauthenticated": 1000},
        "grpc": {"permission_denied": 1, "unauthenticated": 1},
    }


def test_what_had_no_line_is_told_of_though_nothing_follows(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    denials = Denials(lambda: now[0])
    for _ in range(5):
        denials.note("rest", Overloaded('key "shop"', expected="less", got="more"), "1.2.3.4:5")
    denials.tell()
    assert len(lines(caplog)) == 1
    now[0] = LINE_SECONDS
    denials.tell()
    denials.tell()
    assert lines(caplog)[1:] == ["callers refused status=overloaded untold=4"]
    denials.note("rest", Overloaded('key "shop"', expected="less", got="more"), "1.2.3.4:5")
    assert len(lines(caplog)) == 2  # these lines are bounded too
    assert denials.counts() == {"rest": {"overloaded": 6}}


def test_a_peer_takes_no_more_of_a_line_than_an_address_needs(caplog: pytest.LogCaptureFixture) -> None:
    Denials(lambda: 0.0).note("rest", STRANGER, "x\n" * 10_000)
    assert len(lines(caplog)[0]) < 400
    assert "\n" not in lines(caplog)[0]


def test_each_heartbeat_tells_of_what_had_no_line(rest: house.House, caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    denials = Denials(lambda: now[0])
    for _ in range(3):
        denials.note("rest", STRANGER, "")
    now[0] = LINE_SECONDS

    async def last() -> None:
        drained = asyncio.Event()
        drained.set()
        await app._beat(rest.dataplane, Pulse(rest.dataplane, "w", denials), denials, drained)

    with caplog.at_level(logging.INFO):
        asyncio.run(last())
    assert lines(caplog)[1:] == ["callers refused status=unauthenticated untold=2"]
