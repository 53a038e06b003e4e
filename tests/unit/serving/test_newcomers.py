"""Models that come to a store and leave it while a server runs: the others' callers do not suffer for it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from serving.registry import Registry
from serving.runtimes.fake import FakeMaker
from staytrue.bundle import MANIFEST, seal
from staytrue.errors import NotFound, Unavailable
from staytrue.records import to_json
from staytrue.store import Aliases
from tests.unit.serving.test_holdings import Rig, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staytrue.store import Store


@pytest.fixture
def rig(store: Store) -> Iterator[Rig]:
    """One model, which answers."""
    made = Rig(store)
    made.registry.refresh()
    yield made
    made.registry.close()


def come(store: Store, name: str, champion: str) -> None:
    """A model comes to the store: the bundle of ``tiny`` under another name."""
    folder = store.root / name / "1"
    shutil.copytree(store.root / "tiny" / "1", folder)
    manifest = folder / MANIFEST
    manifest.write_bytes(manifest.read_bytes().replace(b'"name": "tiny"', f'"name": "{name}"'.encode()))
    seal(folder)
    (store.root / name / "aliases.json").write_bytes(to_json(Aliases(revision=1, champion=champion)))


def test_a_new_model_that_does_not_load_is_told_and_leaves_the_server_ready(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    come(rig.store, "late", "7")
    rig.registry.refresh()
    assert rig.registry.ready()
    with pytest.raises(Unavailable, match=r"has no version that loads; .*7"):
        rig.registry.lease("late", None)
    told = {(entry.name, entry.version): (entry.state, entry.reason) for entry in rig.registry.index()}
    assert told["late", "7"][0] == "UNAVAILABLE"
    assert "7" in told["late", "7"][1]
    assert told["tiny", "1"] == ("READY", "")
    assert "late version 7 does not load" in caplog.text


def test_a_new_model_is_waited_for_once_it_has_answered(rig: Rig) -> None:
    (rig.store.root / "late").mkdir()
    (rig.store.root / "late" / "aliases.json").write_text("{")
    rig.registry.refresh()
    assert rig.registry.ready()
    shutil.rmtree(rig.store.root / "late")
    come(rig.store, "late", "1")
    rig.registry.refresh()
    assert rig.registry.model("late").answering == "1"
    assert rig.registry.ready()
    _, runtime = rig.made[-1]
    runtime.well = False
    lane = next(iter(rig.registry.model("late").everything())).lane
    lane.well = False  # type: ignore[union-attr]
    assert not rig.registry.ready()


def test_models_there_at_the_start_are_all_waited_for(rig: Rig) -> None:
    come(rig.store, "late", "7")
    registry = Registry(rig.store, [], FakeMaker(rig._make))
    registry.refresh()
    assert registry.model("tiny").answering == "1"
    assert not registry.ready()
    shutil.rmtree(rig.store.root / "late")
    registry.refresh()
    registry.refresh()
    assert registry.ready()
    registry.close()


def test_a_model_that_is_named_is_waited_for_whenever_it_comes(rig: Rig) -> None:
    registry = Registry(rig.store, ["tiny", "late"], FakeMaker(rig._make))
    registry.refresh()
    come(rig.store, "late", "7")
    registry.refresh()
    assert not registry.ready()
    registry.close()


def test_an_empty_server_is_not_ready_with_a_first_model_that_does_not_load(rig: Rig, store: Store) -> None:
    registry = Registry(type(store)(store.root / "elsewhere"), [], FakeMaker(rig._make))
    registry.refresh()
    (store.root / "elsewhere" / "late").mkdir(parents=True)
    (store.root / "elsewhere" / "late" / "aliases.json").write_bytes(to_json(Aliases(revision=1, champion="7")))
    registry.refresh()
    assert registry.names() == ["late"]
    assert not registry.ready()
    registry.close()


def test_a_model_that_left_the_store_is_forgotten_and_freed_after_its_last_call(rig: Rig) -> None:
    come(rig.store, "late", "1")
    rig.registry.refresh()
    lease = rig.registry.lease("late", None)
    assert lease is not None
    shutil.rmtree(rig.store.root / "late")
    rig.registry.refresh()
    assert rig.registry.names() == ["late", "tiny"]  # its folder may be being replaced
    rig.registry.refresh()
    assert rig.registry.names() == ["tiny"]
    with pytest.raises(NotFound, match='model "late": is not served here; models: tiny'):
        rig.registry.lease("late", None)
    assert rig.order == []
    rig.registry.release([lease])
    until(lambda: rig.order == ["lane 1", "runtime 1"])
    assert rig.registry.ready()
    assert {entry.name for entry in rig.registry.index()} == {"tiny"}


def test_a_folder_that_is_replaced_between_two_looks_costs_nobody_an_answer(rig: Rig) -> None:
    come(rig.store, "late", "1")
    rig.registry.refresh()
    for _ in range(3):
        (rig.store.root / "late").rename(rig.store.root / ".late")
        rig.registry.refresh()
        (rig.store.root / ".late").rename(rig.store.root / "late")
        rig.registry.refresh()
    assert rig.registry.model("late").answering == "1"
    assert len(rig.made) == 2


def test_a_store_that_is_gone_all_at_once_takes_no_answers_away(rig: Rig) -> None:
    rig.store.root.rename(rig.store.root.with_name("away"))
    rig.registry.refresh()
    rig.registry.refresh()
    rig.store.root.mkdir()
    rig.registry.refresh()
    rig.registry.refresh()
    assert rig.registry.model("tiny").answering == "1"
