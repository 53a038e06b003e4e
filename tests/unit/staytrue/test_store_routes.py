"""Canaries and shadows: who takes a share, who is asked unseen, and what a change of champion makes of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from staytrue.errors import Conflict, CorruptData, InvalidInput, NotFound
from staytrue.store import Store
from tests.unit.serving.conftest import publish

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Five versions, the first promoted."""
    made = Store(tmp_path)
    for factor in range(1, 6):
        publish(made, float(factor))
    made.promote("tiny", "1", reason="first")
    return made


def test_a_canary_takes_its_share_and_the_journal_says_why(store: Store) -> None:
    aliases = store.set_canary("tiny", "2", 0.1, reason="look at it", figures={"difference": -1.0})
    assert (aliases.champion, aliases.challenger, aliases.traffic) == ("1", "2", {"2": 0.1})
    assert store.aliases("tiny") == aliases
    change = store.journal("tiny")[-1]
    assert (change.action, change.version, change.share, change.reason) == ("canary", "2", 0.1, "look at it")
    assert (change.champion, change.before, change.figures) == ("1", "1", {"difference": -1.0})


def test_a_share_can_grow_and_shrink_while_the_others_keep_their_place(store: Store) -> None:
    store.set_canary("tiny", "2", 0.1, reason="begin")
    store.set_canary("tiny", "3", 0.2, reason="another")
    grown = store.set_canary("tiny", "2", 0.5, reason="good so far")
    assert (grown.challenger, grown.traffic) == ("2", {"2": 0.5, "3": 0.2})
    assert store.clear_canary("tiny", "2", reason="enough").traffic == {"3": 0.2}
    left = store.set_canary("tiny", "3", 0.4, reason="on with it")
    assert left.challenger == ""  # its callers would change with its place
    assert store.set_canary("tiny", "4", 0.1, reason="next").challenger == "4"


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 7.0, float("nan")])
def test_a_share_is_above_0_and_below_1(store: Store, share: float) -> None:
    with pytest.raises(InvalidInput, match="share of a canary: expected above 0 and below 1"):
        store.set_canary("tiny", "2", share, reason="typo")
    assert store.aliases("tiny").traffic == {}


CHANGES: list[tuple[Callable[[Store], Any], type[Exception], str]] = [
    (
        lambda store: store.set_canary("tiny", "3", 0.5, reason="r"),
        InvalidInput,
        "sum below 1, got 1; to give version 3",
    ),
    (lambda store: store.set_canary("tiny", "1", 0.1, reason="r"), Conflict, "version 1 is the champion; name another"),
    (
        lambda store: store.set_canary("tiny", "2", 0.5, reason="r"),
        Conflict,
        "version 2 takes 0.5 of the traffic already",
    ),
    (lambda store: store.set_canary("tiny", "9", 0.1, reason="r"), NotFound, "versions: 1, 2, 3, 4, 5"),
    (lambda store: store.set_canary("tinny", "1", 0.1, reason="r"), NotFound, "models: tiny"),
    (lambda store: store.set_canary("tiny", "3", 0.1, reason=" "), InvalidInput, "needs a reason"),
    (lambda store: store.set_canary("tiny", "3", 0.1, reason="r", expected="7"), Conflict, "expected 7, got 1"),
    (lambda store: store.clear_canary("tiny", "3", reason="r"), Conflict, "version 3 is no canary; canaries: 2"),
    (lambda store: store.clear_canary("tinny", reason="r"), NotFound, "models: tiny"),
    (lambda store: store.set_shadow("tiny", "1", reason="r"), Conflict, "version 1 is the champion"),
    (lambda store: store.set_shadow("tiny", "9", reason="r"), NotFound, "versions: 1, 2, 3, 4, 5"),
    (lambda store: store.set_shadow("tiny", "3", reason=""), InvalidInput, "needs a reason"),
    (lambda store: store.clear_shadow("tiny", reason="r"), Conflict, "has no shadow"),
]


@pytest.mark.parametrize(("change", "kind", "said"), CHANGES)
def test_what_cannot_be_is_explained_and_changes_nothing(
    store: Store, change: Callable[[Store], Any], kind: type[Exception], said: str
) -> None:
    before = store.set_canary("tiny", "2", 0.5, reason="half of it")
    with pytest.raises(kind) as caught:
        change(store)
    assert said in str(caught.value)
    assert store.aliases("tiny") == before
    assert len(store.journal("tiny")) == 2


def test_a_third_canary_is_told_to_wait_for_the_end_of_another(store: Store) -> None:
    store.set_canary("tiny", "2", 0.1, reason="one")
    store.set_canary("tiny", "3", 0.1, reason="two")
    with pytest.raises(Conflict, match="at most 2, got 2, 3; end one of them"):
        store.set_canary("tiny", "4", 0.1, reason="three")


def test_a_version_that_does_not_load_gets_no_traffic(store: Store) -> None:
    (store.path("tiny", "2") / "model.onnx").write_bytes(b"other")
    with pytest.raises(CorruptData):
        store.set_canary("tiny", "2", 0.1, reason="r")
    with pytest.raises(CorruptData):
        store.set_shadow("tiny", "2", reason="r")
    assert store.aliases("tiny").revision == 1


def test_there_is_no_canary_before_there_is_a_champion(tmp_path: Path) -> None:
    store = Store(tmp_path / "empty")
    publish(store, 1.0)
    with pytest.raises(Conflict, match="has no champion; first: staytrue promote tiny 1"):
        store.set_canary("tiny", "1", 0.1, reason="r")
    with pytest.raises(NotFound):
        store.clear_shadow("tiny", reason="r")


def test_all_canaries_end_at_once_where_none_is_named(store: Store) -> None:
    store.set_canary("tiny", "2", 0.1, reason="one")
    store.set_canary("tiny", "3", 0.1, reason="two")
    ended = store.clear_canary("tiny", reason="enough")
    assert (ended.challenger, ended.traffic) == ("", {})
    change = store.journal("tiny")[-1]
    assert (change.action, change.version, change.share) == ("end canary", "2, 3", 0.0)
    with pytest.raises(Conflict, match="has no canary"):
        store.clear_canary("tiny", reason="once more")


def test_a_shadow_is_set_up_replaced_and_ended(store: Store) -> None:
    assert store.set_shadow("tiny", "2", reason="listen").shadow == "2"
    with pytest.raises(Conflict, match="is the shadow already"):
        store.set_shadow("tiny", "2", reason="listen")
    assert store.set_shadow("tiny", "3", reason="rather").shadow == "3"
    assert store.clear_shadow("tiny", reason="heard enough").shadow == ""
    told = [(change.action, change.version, change.champion) for change in store.journal("tiny")[1:]]
    assert told == [("shadow", "2", "1"), ("shadow", "3", "1"), ("end shadow", "3", "1")]


def test_promoting_the_challenger_ends_its_canary_and_no_other(store: Store) -> None:
    store.set_canary("tiny", "2", 0.1, reason="one")
    store.set_canary("tiny", "3", 0.2, reason="two")
    store.set_shadow("tiny", "4", reason="listen")
    aliases = store.promote("tiny", "2", reason="better")
    assert (aliases.champion, aliases.challenger, aliases.traffic, aliases.shadow) == ("2", "", {"3": 0.2}, "4")


def test_a_shadow_that_is_promoted_is_shadow_no_more_and_the_canary_stays(store: Store) -> None:
    store.set_canary("tiny", "2", 0.1, reason="one")
    store.set_shadow("tiny", "4", reason="listen")
    aliases = store.promote("tiny", "4", reason="better")
    assert (aliases.champion, aliases.challenger, aliases.traffic, aliases.shadow) == ("4", "2", {"2": 0.1}, "")


def test_rolling_back_ends_canary_and_shadow_and_steps_over_them(store: Store) -> None:
    store.set_canary("tiny", "2", 0.1, reason="try")
    store.promote("tiny", "2", reason="better")
    store.set_shadow("tiny", "3", reason="listen")
    store.set_canary("tiny", "4", 0.3, reason="try")
    store.clear_canary("tiny", reason="no")
    store.set_canary("tiny", "5", 0.3, reason="try")
    aliases = store.roll_back("tiny", reason="worse")
    assert (aliases.champion, aliases.challenger, aliases.traffic, aliases.shadow) == ("1", "", {}, "")
    with pytest.raises(NotFound, match="no champion before"):
        store.roll_back("tiny", reason="and on")


def test_a_journal_of_before_there_were_canaries_is_read(store: Store) -> None:
    path = store.root / "tiny" / "journal.jsonl"
    line = json.loads(path.read_text(encoding="utf-8"))
    del line["version"], line["share"]
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    (change,) = store.journal("tiny")
    assert (change.champion, change.about, change.share) == ("1", "1", 0.0)
