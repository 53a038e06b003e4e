"""Shares hold, callers stay with their version, and a share that grows takes callers from the champion alone."""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.routing import Route, place
from staytrue.errors import CorruptData
from staytrue.store import Aliases

if TYPE_CHECKING:
    from collections.abc import Iterable

CALLERS = [f"user-{number}" for number in range(4000)]
SHARES = st.floats(min_value=0.0, max_value=0.49)


def route(first: float = 0.0, second: float = 0.0, name: str = "tiny") -> Route:
    """Version 1 with a challenger 2, and 3 beside it."""
    return Route.of(name, Aliases(champion="1", challenger="2", traffic={"3": second, "2": first}))


def chosen(asked: Route, callers: Iterable[str] = CALLERS) -> list[str]:
    """Versions that callers get."""
    return [asked.choose(caller)[0] for caller in callers]


def assert_share(found: int, share: float, of: int) -> None:
    """Within five standard deviations of the binomial."""
    assert abs(found - share * of) <= 5 * math.sqrt(of * share * (1 - share)) + 1e-9


@pytest.mark.parametrize("aliases", [Aliases(champion="1"), Aliases(champion="1", challenger="2", shadow="3")])
def test_without_a_share_all_go_to_the_champion(aliases: Aliases) -> None:
    alone = Route.of("tiny", aliases)
    assert {alone.choose(caller) for caller in ["", *CALLERS[:100]]} == {("1", "champion")}


def test_without_a_canary_choosing_costs_less_than_a_microsecond() -> None:
    alone, times = Route.of("tiny", Aliases(champion="1")), []
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(1000):
            alone.choose("user-1")
        times.append(time.perf_counter() - began)
    assert min(times) < 1e-3


@given(SHARES, SHARES)
@settings(max_examples=25, deadline=None)
def test_shares_hold(first: float, second: float) -> None:
    got = chosen(route(first, second))
    assert_share(got.count("2"), first, len(got))
    assert_share(got.count("3"), second, len(got))


def test_shares_hold_without_a_key_and_each_request_is_drawn_anew() -> None:
    random.seed(7)
    got = chosen(route(0.3), [""] * 4000)
    assert_share(got.count("2"), 0.3, len(got))
    assert got[:2000] != got[2000:]


@given(st.text(min_size=1, max_size=30), SHARES, SHARES)
def test_a_caller_stays_with_its_version_while_shares_stay(caller: str, first: float, second: float) -> None:
    assert route(first, second).choose(caller) == route(first, second).choose(caller)


@given(SHARES, SHARES, SHARES, st.booleans())
@settings(max_examples=50, deadline=None)
def test_a_share_that_grows_takes_callers_from_the_champion_alone(
    one: float, other: float, beside: float, swapped: bool
) -> None:
    small, large = sorted((one, other))
    grows = "3" if swapped else "2"
    pairs = [(beside, share) if swapped else (share, beside) for share in (small, large)]
    before, after = (chosen(route(*pair), CALLERS[:500]) for pair in pairs)
    moved = {(old, new) for old, new in zip(before, after, strict=True) if old != new}
    assert moved <= {("1", grows)}


def test_an_end_of_one_canary_leaves_the_callers_of_the_other_alone() -> None:
    before, after = chosen(route(0.3, 0.3)), chosen(route(0.0, 0.3))
    moved = {(old, new) for old, new in zip(before, after, strict=True) if old != new}
    assert moved == {("2", "1")}


def test_the_role_says_why_a_version_answers() -> None:
    roles = {route(0.4).choose(caller) for caller in CALLERS[:100]}
    assert roles == {("1", "champion"), ("2", "challenger")}


def test_a_caller_lies_elsewhere_in_each_model() -> None:
    both = [a == b for a, b in zip(chosen(route(0.5)), chosen(route(0.5, name="other")), strict=True)]
    assert_share(sum(both), 0.5, len(both))


@given(st.text(max_size=20), st.text(max_size=20))
def test_every_key_has_a_place(name: str, caller: str) -> None:
    assert 0.0 <= place(name, caller) < 1.0


def test_half_characters_have_a_place_too() -> None:
    assert 0.0 <= place("tiny", "\ud800") < 1.0


def test_a_share_that_names_the_champion_is_what_is_left() -> None:
    found = Route.of("tiny", Aliases(champion="1", challenger="2", traffic={"1": 0.9, "2": 0.1}))
    assert found.challengers == ("2",)
    assert found.wanted == ("1", "2")


def test_a_version_with_several_roles_is_wanted_once() -> None:
    aliases = Aliases(champion="1", challenger="2", traffic={"2": 0.1, "3": 0.1}, shadow="3")
    assert Route.of("tiny", aliases).wanted == ("1", "2", "3")
    assert Route.of("tiny", Aliases(champion="1", shadow="1")).shadow == ""


@pytest.mark.parametrize(
    ("traffic", "said"),
    [
        ({"2": 1.0}, "traffic of version 2: expected a share from 0 to below 1, got 1"),
        ({"2": -0.1}, "got -0.1"),
        ({"2": float("nan")}, "got nan"),
        ({"2": 0.5, "3": 0.5}, "expected a sum below 1, got 1"),
    ],
)
def test_shares_written_by_hand_that_are_none_are_refused(traffic: dict[str, float], said: str) -> None:
    with pytest.raises(CorruptData) as caught:
        Route.of("tiny", Aliases(champion="1", traffic=traffic))
    assert said in str(caught.value)
