"""Requests with keys whose heads came before: let in as ever, and no key is kept for it."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest

from serving.access import LOOK_SECONDS
from serving.keyring import Key, Limit, digest_of, write
from tests.unit.serving.house import House
from tests.unit.serving.test_known_heads import Told, whole
from tests.unit.serving.test_turns import brief

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.store import Store

SHOP, ROBOT, WATCHER = "st_shop_secret", "st_robot_secret", "st_watcher_secret"


def key(secret: str, *, scope: Any = "predict", limit: Limit | None = None) -> Key:
    """Of a caller that is named as its secret says."""
    return Key(name=secret.split("_")[1], digest=digest_of(secret), scopes=frozenset({scope}), limit=limit)


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """A server that wants keys."""
    limited = key(ROBOT, limit=Limit(requests_per_second=0.001, burst=3))
    write(tmp_path / "keys.yaml", (key(SHOP), limited, key(WATCHER, scope="metrics")))
    made = House(store, tmp_path, keys=tmp_path / "keys.yaml")
    brief(made)
    yield made
    made.close()


def ask(house: House, secret: str | None, header: str = "Authorization") -> Told:
    """A request with a key."""
    scheme = "Bearer " if header == "Authorization" else ""
    return whole(house, "" if secret is None else f"{header}: {scheme}{secret}\r\n")


def known(house: House) -> int:
    """Heads with keys that need no reading."""
    return sum(head.prepared is not None for head in house.server.known.others.values())


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key"])
def test_a_head_with_a_key_is_read_once_and_each_request_let_in(house: House, header: str) -> None:
    followed: list[Any] = []
    follow = house.rest._routes.follow
    house.rest._routes.follow = lambda exchange: (followed.append(exchange), follow(exchange))[1]  # type: ignore[method-assign, func-returns-value]
    assert [ask(house, SHOP, header).status for _ in range(4)] == [200] * 4
    assert (len(followed), known(house)) == (1, 1)
    assert len(house.events()) == 4


def test_every_caller_is_let_in_for_itself(house: House) -> None:
    for _ in range(3):
        told = {secret: ask(house, secret).status for secret in (SHOP, WATCHER, "st_unknown", None)}
        assert told == {SHOP: 200, WATCHER: 403, "st_unknown": 401, None: 401}
    assert known(house) == 1
    assert house.access.denials.counts() == {"rest": {"permission_denied": 3, "unauthenticated": 6}}


def test_what_a_key_may_ask_in_a_time_holds_for_known_heads_too(house: House) -> None:
    assert [ask(house, ROBOT).status for _ in range(5)] == [200, 200, 200, 429, 429]
    refused = ask(house, ROBOT)
    assert int(refused.head.partition("retry-after: ")[2].split()[0]) > 1
    assert 'key "robot"' in refused.body["error"]
    assert ask(house, SHOP).status == 200


def test_a_key_that_was_taken_away_opens_nothing_though_its_head_is_known(house: House, tmp_path: Path) -> None:
    assert [ask(house, SHOP).status for _ in range(2)] == [200, 200]
    write(tmp_path / "keys.yaml", (key(WATCHER, scope="metrics"),))
    house.access._next_look -= LOOK_SECONDS
    house.access.refresh()
    refused = ask(house, SHOP)
    assert (refused.status, refused.body["code"]) == (401, "unauthenticated")
    assert known(house) == 1
    write(tmp_path / "keys.yaml", (key(SHOP, scope="metrics"),))
    house.access._next_look -= LOOK_SECONDS
    house.access.refresh()
    assert ask(house, SHOP).status == 403


def test_no_key_is_kept(house: House) -> None:
    for _ in range(3):
        assert ask(house, SHOP).status == 200
    held = threading.Event()
    house.loop.call_soon_threadsafe(held.set)
    assert held.wait(20)
    gc.collect()
    seen = [*house.server.known.known, *house.server.known.others]
    for head in [*house.server.known.known.values(), *house.server.known.others.values()]:
        seen += [head.path, head.query, *head.headers, *head.headers.values(), head.prepared.carried]
        seen += [head.holder]
    assert seen
    assert not any(SHOP.encode() in bytes(each) for each in seen)
