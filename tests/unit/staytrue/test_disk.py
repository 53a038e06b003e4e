"""A store or a cache on a disk that refuses: told with where and what to do, and nothing that is there is hidden."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fsspec.registry import _registry

from staytrue.clearing import clear
from staytrue.command import main
from staytrue.errors import CorruptData, InvalidConfig, InvalidInput, Unavailable
from staytrue.store import Store
from tests.buckets import Bucket
from tests.unit.serving.conftest import publish

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two versions, the first the champion."""
    made = Store(tmp_path / "store")
    for factor in (1.0, 2.0):
        publish(made, factor)
    made.promote("tiny", "1", reason="first")
    return made


def closed(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let nobody look into a folder; root may look into any."""
    stat, listdir = os.stat, os.listdir

    def refuse(path: Any) -> None:
        if isinstance(path, (str, Path)) and Path(path).is_relative_to(folder):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    def looking(path: Any, **how: Any) -> os.stat_result:
        if str(path) != str(folder):
            refuse(path)
        return stat(path, **how)

    def listing(path: Any = ".") -> list[str]:
        refuse(path)
        return listdir(path)

    patch.setattr(os, "stat", looking)
    patch.setattr(os, "listdir", listing)


LOOKS: dict[str, Callable[[Store], object]] = {
    "models": lambda store: store.models(),
    "versions": lambda store: store.versions("tiny"),
    "aliases": lambda store: store.standing("tiny"),
    "a version": lambda store: store.path("tiny", "1"),
    "journal": lambda store: store.journal("tiny"),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_store_that_may_not_be_read_is_told_and_is_not_an_empty_one(
    look: Callable[[Store], object], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        closed(store.root, patch)
        with pytest.raises(Unavailable, match=rf"^{store.root}\S*: cannot be read: Permission denied; look at who may"):
            look(store)


def test_a_model_that_may_not_be_read_hides_no_other(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (store.root / "closed").mkdir()
    with monkeypatch.context() as patch:
        closed(store.root / "closed", patch)
        assert main(["models", "--store", store.where]) == 1
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert first.startswith(f"closed: {store.where}/closed/aliases.json: cannot be read: Permission denied; ")
    assert second == "tiny: versions 1 (champion), 2"


@pytest.mark.parametrize("command", ["show", "gc", "verify"])
def test_a_file_in_the_place_of_a_model_is_none(command: str, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    (store.root / "filed").touch()
    assert main([command, "filed", "--store", store.where]) == 1
    assert 'model "filed": is not in the store' in capsys.readouterr().err


def test_a_name_that_no_folder_can_have_is_told(store: Store) -> None:
    with pytest.raises(InvalidInput, match=r'^model name "a{80}…": expected at most 255 letters, got 256$'):
        store.versions("a" * 256)
    assert store.versions("a" * 255) == []


REFUSED = {
    errno.ENOSPC: (Unavailable, "No space left on device; make room there"),
    errno.EIO: (Unavailable, "Input/output error; look at its disk"),
    errno.EROFS: (InvalidConfig, "Read-only file system; name another store, or write as whom it belongs to"),
}


@pytest.mark.parametrize(("number", "told"), REFUSED.items(), ids=lambda each: errno.errorcode.get(each, ""))
def test_a_disk_that_takes_nothing_more_is_told_and_changes_nothing(
    number: int, told: tuple[type[Exception], str], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    kind, said = told
    with monkeypatch.context() as patch:
        patch.setattr("staytrue.folder.append_line", refuse)
        with pytest.raises(kind, match=f"cannot be written to: {said}"):
            store.promote("tiny", "2", reason="next")
    with monkeypatch.context() as patch:
        patch.setattr("staytrue.making.Making.appear", refuse)
        with pytest.raises(kind, match=f"cannot be written to: {said}"):
            publish(store, 3.0)
    assert (store.versions("tiny"), store.aliases("tiny").champion) == (["1", "2"], "1")


def test_what_would_go_is_told_of_a_store_that_may_not_be_written(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(store, 3.0)
    (store.root / "tiny" / ".lock").unlink()
    (store.root / "tiny" / ".lock").mkdir()  # nobody can open it to write, root neither
    assert main(["gc", "tiny", "--keep", "1", "--dry-run", "--store", store.where]) == 0
    assert "tiny 2: would go" in capsys.readouterr().out
    with pytest.raises(InvalidConfig, match="cannot be written to"):
        clear(store, "tiny", keep=1)
    assert store.versions("tiny") == ["1", "2", "3"]


def test_a_cache_that_may_not_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_registry, "s3", Bucket)
    made = Store("s3://refusing/store", cache=tmp_path)
    publish(made, 1.0)
    (made.root / "tiny" / ".lock").unlink()
    (made.root / "tiny" / ".lock").mkdir()
    with pytest.raises(InvalidConfig, match=rf"store_cache {tmp_path}: cannot be written to: .*set store_cache to"):
        made.load("tiny", "1")
    Bucket().rm("/refusing", recursive=True)


def test_a_changed_byte_in_a_text_of_the_aliases_is_told_as_any_other(store: Store) -> None:
    """Python's own error of bytes that are no UTF-8 is none of JSON's."""
    path = store.root / "tiny" / "aliases.json"
    data = bytearray(path.read_bytes())
    data[data.index(b'"1"') + 1] ^= 0x80
    path.write_bytes(data)
    with pytest.raises(CorruptData, match=r"aliases\.json: is no Aliases record: 'utf-8' codec"):
        store.aliases("tiny")
    path.write_bytes(b'{"of another": ' + b"[" * 100000 + b"]" * 100000 + b"}")
    with pytest.raises(CorruptData, match=r"aliases\.json: is no Aliases record: maximum recursion"):
        store.aliases("tiny")


def test_a_changed_byte_in_a_text_of_the_journal_costs_its_line_alone(store: Store) -> None:
    store.promote("tiny", "2", reason="second")
    path = store.root / "tiny" / "journal.jsonl"
    data = bytearray(path.read_bytes())
    data[data.index(b"first")] ^= 0x80
    path.write_bytes(data)
    assert [change.reason for change in store.journal("tiny")] == ["second"]
