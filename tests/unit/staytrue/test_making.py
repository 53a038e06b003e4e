"""Versions in the making and changes of champion, with kills in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from staytrue.bundle import MANIFEST, PROFILE, Bundle, digest, load, load_profile, seal
from staytrue.errors import Conflict, CorruptData, InvalidInput, NotFound, Unavailable
from staytrue.profile import ReferenceProfile
from staytrue.records import read, to_json
from staytrue.store import Store
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


MAKER = """
import sys, time
from pathlib import Path
from staytrue.store import Store
with Store(Path(sys.argv[1])).new_version("tiny") as (version, folder):
    (folder / "half").write_text("done")
    print(version, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_maker_leaves_is_cleared_and_its_number_is_free(store: Store) -> None:
    maker = subprocess.Popen([sys.executable, "-c", MAKER, str(store.root)], stdout=subprocess.PIPE)
    assert maker.stdout
    assert maker.stdout.readline().strip() == b"4"
    with store.new_version("tiny") as (version, folder):  # while the other lives, its number is taken
        assert version == "5"
        (folder / "file").write_text("x")
    maker.send_signal(signal.SIGKILL)
    maker.wait()
    maker.stdout.close()
    assert len(list((store.root / "tiny").glob(".making-4-*"))) == 1
    with store.new_version("tiny") as (version, _):
        assert version == "6"
    assert not list((store.root / "tiny").glob(".making-*"))


def test_two_versions_made_at_once_get_two_numbers(store: Store) -> None:
    with store.new_version("tiny") as (first, _), store.new_version("tiny") as (second, _):
        assert (first, second) == ("4", "5")
    assert store.versions("tiny")[-2:] == ["4", "5"]


def test_one_that_is_done_while_another_looks_is_no_fault(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = store.root / "tiny" / ".making-9-1"
    gone.mkdir()
    (store.root / "tiny" / ".making-of").mkdir()  # somebody's own
    real = os.open

    def done(path: Any, *arguments: Any) -> int:
        if path == gone:
            gone.rmdir()
        return real(path, *arguments)

    monkeypatch.setattr(os, "open", done)
    with store.new_version("tiny") as (version, _):
        assert version == "4"
    assert (store.root / "tiny" / ".making-of").exists()


def test_a_version_that_cannot_be_made_whole_does_not_appear(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    def make() -> None:
        with store.new_version("tiny") as (_, folder):
            (folder / "file").write_text("x")
            monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(Unavailable, match="cannot be written to: Input/output error; look at its disk"):
        make()
    assert store.versions("tiny") == ["1", "2", "3"]


def test_going_back_twice_goes_back_two_champions(store: Store) -> None:
    for version in ("1", "2", "3"):
        store.promote("tiny", version, reason="next")
    assert store.roll_back("tiny", reason="bad").champion == "2"
    assert store.roll_back("tiny", reason="bad too").champion == "1"
    with pytest.raises(NotFound, match="no champion before"):
        store.roll_back("tiny", reason="and on")


def test_after_going_back_a_promotion_goes_on_from_there(store: Store) -> None:
    for version in ("1", "2"):
        store.promote("tiny", version, reason="next")
    store.roll_back("tiny", reason="bad")
    store.promote("tiny", "3", reason="better")
    assert store.roll_back("tiny", reason="bad").champion == "1"


def test_a_change_that_never_took_effect_is_not_told_after_the_next_either(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise SystemExit

    store.promote("tiny", "1", reason="first")
    with monkeypatch.context() as patch:
        patch.setattr("staytrue.folder.write_atomically", killed)  # journal written, aliases not
        with pytest.raises(SystemExit):
            store.promote("tiny", "2", reason="never took effect")
    assert store.aliases("tiny").champion == "1"
    store.promote("tiny", "3", reason="second")
    assert [change.reason for change in store.journal("tiny")] == ["first", "second"]
    assert store.roll_back("tiny", reason="bad").champion == "1"


def test_a_torn_line_does_not_swallow_the_next(store: Store) -> None:
    store.promote("tiny", "1", reason="first")
    with (store.root / "tiny" / "journal.jsonl").open("a") as file:
        file.write('{"revision": 2, "ti')
    store.promote("tiny", "2", reason="second")
    assert [change.reason for change in store.journal("tiny")] == ["first", "second"]


def test_the_champion_is_not_promoted_again(store: Store) -> None:
    store.promote("tiny", "1", reason="first")
    with pytest.raises(Conflict, match="version 1 is the champion already"):
        store.promote("tiny", "1", reason="again")
    assert len(store.journal("tiny")) == 1


def test_a_figure_that_json_does_not_know_is_refused_before_anything_changes(store: Store) -> None:
    with pytest.raises(InvalidInput, match='figure "low": expected a finite number, got nan'):
        store.promote("tiny", "1", reason="x", figures={"low": float("nan")})
    assert store.models() == []


def test_a_version_that_does_not_load_is_not_promoted(store: Store) -> None:
    store.promote("tiny", "1", reason="first")
    (store.path("tiny", "2") / "model.onnx").write_bytes(b"changed")
    with pytest.raises(CorruptData):
        store.promote("tiny", "2", reason="worse")
    assert store.aliases("tiny").champion == "1"


@pytest.mark.parametrize("version", ["0", "01", "²", "-1", "1\n", ""])
def test_a_version_is_a_number_as_we_write_it(store: Store, version: str) -> None:
    with pytest.raises(NotFound):
        store.path("tiny", version)


def test_folders_that_are_no_versions_are_passed_over(store: Store) -> None:
    for name in ("²", "notes", "007"):
        (store.root / "tiny" / name).mkdir()
    (store.root / "a b").mkdir()
    (store.root / "a b" / "aliases.json").write_text("{}")
    assert store.versions("tiny") == ["1", "2", "3"]
    assert store.models() == []
    assert store.versions("other") == []


def test_a_profile_is_read_as_it_was_proven_or_not_at_all(store: Store) -> None:
    folder = store.path("tiny", "1")
    path = folder / PROFILE
    path.write_bytes(to_json(ReferenceProfile(columns=[], time=[1.0], split=["train"], prediction=[2.0], truth=[3.0])))
    bundle = read(Bundle, folder / MANIFEST)
    manifest = msgspec.structs.replace(bundle, files={**bundle.files, PROFILE: digest(path)})
    (folder / MANIFEST).write_bytes(to_json(manifest))
    seal(folder)
    assert load_profile(folder).rows == 1
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(CorruptData, match="changed after it was proven"):
        load_profile(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_batch": 0}, "max_batch, expected at least 1, got 0"),
        ({"artefacts": {}}, "holds no artefact"),
        ({"files": {}}, "has no digest"),
    ],
)
def test_a_manifest_that_promises_nothing_does_not_load(store: Store, changes: dict[str, Any], said: str) -> None:
    folder = store.path("tiny", "1")
    (folder / MANIFEST).write_bytes(to_json(msgspec.structs.replace(read(Bundle, folder / MANIFEST), **changes)))
    seal(folder)
    with pytest.raises(CorruptData, match=said):
        load(folder)


def test_a_bundle_without_a_profile_says_so(store: Store) -> None:
    folder = store.path("tiny", "1")
    bundle = read(Bundle, folder / MANIFEST)
    files = {name: entry for name, entry in bundle.files.items() if name != PROFILE}
    (folder / MANIFEST).write_bytes(to_json(msgspec.structs.replace(bundle, files=files)))
    seal(folder)
    with pytest.raises(CorruptData, match=r'names no file "profile\.json"'):
        load_profile(folder)


def test_a_link_that_leads_out_of_the_bundle_is_refused(store: Store, tmp_path: Path) -> None:
    folder = store.path("tiny", "1")
    outside = tmp_path / "outside.onnx"
    (folder / "model.onnx").rename(outside)
    (folder / "model.onnx").symlink_to(outside)
    with pytest.raises(CorruptData, match=r"names a file outside the bundle: model\.onnx"):
        load(folder)
