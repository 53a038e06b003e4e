"""The store: versions appear whole, aliases change in one step, the journal tells why."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import pytest

from staytrue.errors import Conflict, CorruptData, InvalidInput, NotFound
from staytrue.records import append_line, read
from staytrue.store import Aliases, Store
from tests.unit.serving.conftest import publish

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three versions, none promoted."""
    made = Store(tmp_path)
    for factor in (1.0, 2.0, 3.0):
        publish(made, factor)
    return made


def test_versions_are_numbered_and_sorted_as_numbers(store: Store) -> None:
    for factor in range(4, 12):
        publish(store, float(factor))
    assert store.versions("tiny") == [str(number) for number in range(1, 12)]


def test_a_version_that_fails_in_the_making_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.new_version("tiny") as (version, folder):
            (folder / "half").write_text("done")
            raise RuntimeError(version)

    with pytest.raises(RuntimeError):
        fail()
    assert store.versions("tiny") == ["1", "2", "3"]
    assert not list((store.root / "tiny").glob(".making-*"))


def test_promoting_tells_who_was_before_and_why(store: Store) -> None:
    store.promote("tiny", "1", reason="first")
    aliases = store.promote("tiny", "2", reason="better", figures={"difference": -1.5})
    assert (aliases.champion, aliases.revision) == ("2", 2)
    first, second = store.journal("tiny")
    assert (first.champion, first.before, first.reason) == ("1", "", "first")
    assert (second.champion, second.before, second.figures) == ("2", "1", {"difference": -1.5})


def test_rolling_back_goes_to_the_champion_before(store: Store) -> None:
    store.promote("tiny", "1", reason="first")
    with pytest.raises(NotFound, match="no champion before"):
        store.roll_back("tiny", reason="none")
    store.promote("tiny", "3", reason="better")
    assert store.roll_back("tiny", reason="worse after all").champion == "1"
    assert store.journal("tiny")[-1].action == "roll back"


@pytest.mark.parametrize("reason", ["", "  "])
def test_no_change_without_a_reason(store: Store, reason: str) -> None:
    with pytest.raises(InvalidInput, match="needs a reason"):
        store.promote("tiny", "1", reason=reason)


def test_an_unknown_model_or_version_says_which_there_are(store: Store) -> None:
    store.promote("tiny", "1", reason="first")
    with pytest.raises(NotFound, match="versions: 1, 2, 3"):
        store.promote("tiny", "9", reason="typo")
    with pytest.raises(NotFound, match="models: tiny"):
        store.aliases("tinny")
    with pytest.raises(NotFound):
        store.path("tiny", "../tiny/1")


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a b", "a\0b"])
def test_a_name_that_could_leave_the_store_is_refused(store: Store, name: str) -> None:
    with pytest.raises((InvalidInput, NotFound)):
        store.aliases(name)


def test_a_bundle_moved_to_another_name_does_not_load(store: Store) -> None:
    (store.root / "other").mkdir()
    (store.root / "tiny" / "1").rename(store.root / "other" / "1")
    with pytest.raises(CorruptData, match="expected other/1, got tiny/1"):
        store.load("other", "1")


def test_a_journal_entry_that_never_took_effect_is_not_told(store: Store) -> None:
    store.promote("tiny", "1", reason="first")
    line = {
        "revision": 2,
        "time": "2026-01-01T00:00:00.000Z",
        "action": "promote",
        "champion": "2",
        "before": "1",
        "reason": "killed between journal and aliases",
    }
    append_line(store.root / "tiny" / "journal.jsonl", line)
    assert [change.champion for change in store.journal("tiny")] == ["1"]
    store.promote("tiny", "3", reason="next")
    assert store.journal("tiny")[-1].champion == "3"
    assert store.aliases("tiny").champion == "3"


def test_a_torn_journal_line_does_not_stop_the_next_change(store: Store) -> None:
    store.promote("tiny", "1", reason="first")
    with (store.root / "tiny" / "journal.jsonl").open("a") as file:
        file.write('{"revision": 2, "ti')
    store.promote("tiny", "2", reason="second")
    assert store.aliases("tiny").champion == "2"
    assert store.journal("tiny")[-1].champion == "2"


def test_changes_at_the_same_time_all_enter_the_journal(store: Store) -> None:
    done: list[str] = []

    def change(version: str) -> None:
        with contextlib.suppress(Conflict):  # it became the champion already
            store.promote("tiny", version, reason="race")
            done.append(version)

    threads = [threading.Thread(target=change, args=(version,)) for version in ("1", "2", "3") * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    changes = store.journal("tiny")
    assert [change.revision for change in changes] == list(range(1, len(done) + 1))
    assert sorted(change.champion for change in changes) == sorted(done)
    assert changes[-1].champion == store.aliases("tiny").champion


def test_a_decision_against_another_champion_stands_no_more(store: Store) -> None:
    store.promote("tiny", "1", reason="first")
    store.promote("tiny", "2", reason="meanwhile", expected="1")
    with pytest.raises(Conflict, match="expected 1, got 2"):
        store.promote("tiny", "3", reason="too late", expected="1")
    assert store.aliases("tiny").champion == "2"


def test_a_reader_sees_the_old_aliases_or_the_new(store: Store) -> None:
    store.promote("tiny", "1", reason="first")
    path, seen, done = store.root / "tiny" / "aliases.json", set[str](), threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.add(read(Aliases, path).champion)

    thread = threading.Thread(target=look)
    thread.start()
    for version in ("2", "3") * 10:
        store.promote("tiny", version, reason="back and forth")
    done.set()
    thread.join()
    assert seen <= {"1", "2", "3"}
