"""Which servers are measured under which load."""

from __future__ import annotations

import pytest

from benchmarks.loads import LOADS, Load


def concerned(server: str) -> list[str]:
    """The names of the loads that a server is measured under."""
    return [f"{kind} {load.name}" for kind, loads in LOADS.items() for load in loads if load.concerns(server)]


@pytest.mark.parametrize("server", ["keyed", "floor"])
def test_a_server_that_tells_enough_under_one_load_is_measured_once(server: str) -> None:
    assert concerned(server) == ["T json 32"]


def test_ids_of_their_own_are_sent_to_staytrue_and_to_every_peer_alike() -> None:
    assert concerned("staytrue") == concerned("fastapi") == concerned("kserve")
    assert "T json 32 ids" in concerned("staytrue")
    assert "T json 32 ids" not in concerned("unlogged")


def test_a_load_says_what_it_is() -> None:
    assert Load("json", 1).title == "json, 1 connection"
    assert Load("json", 32, ids=True).title == "json, 32 connections, each request with ids of its own"
