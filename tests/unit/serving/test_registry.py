"""The registry follows aliases without dropping a call, and a version that does not load changes nothing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from serving.registry import PINNED_KEPT, RETRY_SECONDS, Registry
from serving.runtimes.fake import FakeMaker, FakeRuntime
from serving.runtimes.onnx import OnnxRuntime
from staytrue.errors import CorruptData, NotFound, Overloaded, Unavailable
from staytrue.records import read, to_json
from staytrue.store import Aliases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from serving.runtimes.base import Runtime
    from staytrue.signature import Signature
    from staytrue.store import Store


@pytest.fixture
def registry(store: Store) -> Iterator[Registry]:
    """A registry that has loaded the champion."""
    made = Registry(store, [])
    made.refresh()
    yield made
    made.close()


def total(registry: Registry, row: dict[str, Any], version: str | None = None) -> float:
    """The answer to a row."""
    with registry.version("tiny", version) as loaded:
        return float(loaded.runtime.run(row)["total"][0, 0])


def point_at(store: Store, version: str) -> None:
    """Name a champion by hand, as a damaged disk or a careless hand would: without the store's checks."""
    path = store.root / "tiny" / "aliases.json"
    old = read(Aliases, path)
    path.write_bytes(to_json(Aliases(revision=old.revision + 1, champion=version)))


def damage(path: Path) -> None:
    """Change one byte."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_new_champion_answers_after_a_refresh(
    registry: Registry, store: Store, publishing: Callable[..., str], row: dict[str, Any]
) -> None:
    assert total(registry, row) == 15.0
    store.promote("tiny", publishing(3.0), reason="test")
    registry.refresh()
    assert total(registry, row) == 16.5


def test_a_call_in_flight_keeps_the_version_it_began_with(
    registry: Registry, store: Store, publishing: Callable[..., str], row: dict[str, Any]
) -> None:
    with registry.version("tiny", None) as old:
        store.promote("tiny", publishing(3.0), reason="test")
        registry.refresh()
        assert float(old.runtime.run(row)["total"][0, 0]) == 15.0
    assert old.retired
    assert old.calls == 0


@pytest.mark.parametrize("file", ["model.onnx", "bundle.json", "profile.json", "MODEL_CARD.md", "bundle.sha256"])
def test_one_changed_byte_in_any_file_leaves_the_old_version_serving(
    registry: Registry, store: Store, publishing: Callable[..., str], row: dict[str, Any], file: str
) -> None:
    version = publishing(3.0)
    damage(store.path("tiny", version) / file)
    point_at(store, version)
    registry.refresh()
    assert total(registry, row) == 15.0
    assert registry.ready()
    assert version in registry.model("tiny").refused


def test_a_bundle_without_proof_leaves_the_old_version_serving(
    registry: Registry, store: Store, publishing: Callable[..., str], row: dict[str, Any]
) -> None:
    version = publishing(3.0, proven=False)
    point_at(store, version)
    registry.refresh()
    assert total(registry, row) == 15.0
    assert "parity proof at batch 16" in registry.model("tiny").refused[version]


def test_a_bundle_without_proof_cannot_be_promoted(store: Store, publishing: Callable[..., str]) -> None:
    with pytest.raises(CorruptData, match="unproven"):
        store.promote("tiny", publishing(3.0, proven=False), reason="test")


def test_a_good_version_after_a_bad_one_is_taken(
    registry: Registry, store: Store, publishing: Callable[..., str], row: dict[str, Any]
) -> None:
    point_at(store, publishing(3.0, proven=False))
    registry.refresh()
    store.promote("tiny", publishing(4.0), reason="test")
    registry.refresh()
    assert total(registry, row) == 18.0
    assert not registry.model("tiny").refused


def test_a_champion_that_was_repaired_is_taken_without_a_new_promotion(
    store: Store, publishing: Callable[..., str], row: dict[str, Any]
) -> None:
    now = 100.0
    registry = Registry(store, [], clock=lambda: now)
    registry.refresh()
    version = publishing(3.0)
    path = store.path("tiny", version) / "model.onnx"
    whole = path.read_bytes()
    damage(path)
    point_at(store, version)
    registry.refresh()
    path.write_bytes(whole)
    registry.refresh()
    assert total(registry, row) == 15.0  # not at every look: loading costs
    now += RETRY_SECONDS
    registry.refresh()
    assert total(registry, row) == 16.5
    registry.close()


@pytest.mark.parametrize("fault", [RuntimeError("out of memory"), KeyError("total")])
def test_a_version_that_fails_its_first_run_in_any_way_leaves_the_old_one_serving(
    store: Store, publishing: Callable[..., str], row: dict[str, Any], fault: Exception
) -> None:
    made: list[FakeRuntime] = []

    def make(path: Path, signature: Signature) -> Runtime:
        if path.parent.name == "1":
            return OnnxRuntime(path, signature)

        def fail(_: object) -> Any:
            raise fault

        made.append(FakeRuntime(fail))
        return made[-1]

    registry = Registry(store, [], FakeMaker(make))
    registry.refresh()
    store.promote("tiny", publishing(3.0), reason="test")
    for _ in range(3):
        registry.refresh()
    assert total(registry, row) == 15.0
    assert "fails its first run" in registry.model("tiny").refused["2"]
    assert [fake.closed for fake in made] == [True]  # tried once, not at every look
    registry.close()


def test_versions_are_told_in_the_order_in_which_they_were_published(
    registry: Registry, store: Store, publishing: Callable[..., str], row: dict[str, Any]
) -> None:
    for factor in range(2, 11):
        publishing(float(factor))
    store.promote("tiny", "10", reason="test")
    registry.refresh()
    total(registry, row, "2")
    assert registry.versions() == {"tiny": ["2", "10"]}


def test_an_older_version_answers_when_it_is_named(
    registry: Registry, store: Store, publishing: Callable[..., str], row: dict[str, Any]
) -> None:
    store.promote("tiny", publishing(3.0), reason="test")
    registry.refresh()
    assert total(registry, row, "1") == 15.0


def test_the_champion_answers_while_a_named_version_is_being_loaded(
    store: Store, publishing: Callable[..., str], row: dict[str, Any]
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(path: Path, signature: Signature) -> Runtime:
        if path.parent.name == "1":
            begun.set()
            assert go_on.wait(10)
        return OnnxRuntime(path, signature)

    store.promote("tiny", publishing(3.0), reason="test")
    registry = Registry(store, [], FakeMaker(slowly))
    registry.refresh()
    named = threading.Thread(target=total, args=(registry, row, "1"))
    named.start()
    assert begun.wait(10)
    assert total(registry, row) == 16.5
    for version in ("1", "3"):  # nobody else waits for it, whichever version they name
        with pytest.raises(Overloaded, match="is being loaded; try again"), registry.version("tiny", version):
            pass
    go_on.set()
    named.join()
    assert "1" in registry.model("tiny").pinned
    registry.close()


def test_only_a_few_named_versions_stay_loaded(
    registry: Registry, store: Store, publishing: Callable[..., str], row: dict[str, Any]
) -> None:
    for factor in range(3, 9):
        store.promote("tiny", publishing(float(factor)), reason="test")
    registry.refresh()
    for version in ("2", "3", "4", "5", "6"):
        total(registry, row, version)
    assert len(registry.model("tiny").pinned) == PINNED_KEPT


def test_ready_ends_when_what_runs_the_champion_is_gone_and_comes_back_with_it(
    store: Store, row: dict[str, Any]
) -> None:
    fake = FakeRuntime(lambda inputs: {"total": inputs["number"]})
    registry = Registry(store, [], FakeMaker(lambda *_: fake))
    registry.refresh()
    assert registry.ready()
    fake.well = False
    assert not registry.ready()
    assert total(registry, row) == 1.5  # its own error says more than ours would
    fake.well = True
    assert registry.ready()


def test_a_bundle_without_the_artefact_that_is_needed_says_how_to_export_it(store: Store) -> None:
    registry = Registry(store, [], FakeMaker(lambda *_: FakeRuntime(dict), "mar"))
    registry.refresh()
    assert not registry.ready()
    with pytest.raises(Unavailable) as caught, registry.version("tiny", None):
        pass
    assert "version 1: has no artefact mar" in str(caught.value)
    assert "export.formats: [onnx, mar]" in str(caught.value)


def test_unknown_model_and_version_say_what_there_is(registry: Registry) -> None:
    with pytest.raises(NotFound, match="models: tiny"), registry.version("other", None):
        pass
    with pytest.raises(NotFound, match="versions: 1"), registry.version("tiny", "9"):
        pass


def test_a_model_whose_first_version_does_not_load_is_unavailable_and_not_ready(store: Store) -> None:
    damage(store.path("tiny", "1") / "model.onnx")
    registry = Registry(store, [])
    registry.refresh()
    assert not registry.ready()
    with pytest.raises(Unavailable, match="has no version that loads"), registry.version("tiny", None):
        pass


def test_an_empty_store_is_not_ready_and_picks_up_its_first_model(tmp_path: Path, store: Store) -> None:
    registry = Registry(store, ["later"])
    registry.refresh()
    assert not registry.ready()
    (store.root / "tiny").rename(store.root / "tiny-away")
    empty = Registry(type(store)(tmp_path / "nothing"), [])
    empty.refresh()
    assert not empty.ready()
