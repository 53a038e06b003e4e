"""Copies of what lies at an address: in a folder that nobody else writes to, and nothing left of who was killed."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest
from fsspec.registry import _registry

from staytrue.copies import LEFT_SECONDS
from staytrue.errors import InvalidConfig, NotFound, StaytrueError, Unavailable
from staytrue.objects import Objects
from staytrue.store import Store
from tests.buckets import Bucket
from tests.unit.serving.conftest import publish
from tests.unit.staytrue.test_remote import together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ADDRESS = "s3://copied/store"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """One version, as another machine published it."""
    monkeypatch.setitem(_registry, "s3", Bucket)
    made = Store(ADDRESS, cache=tmp_path / "maker")
    publish(made, 2.0)
    yield made
    Bucket().rm("/copied", recursive=True)


def link(cache: Path) -> None:
    """Lead into a folder that is ours and closed: a look through the link would find nothing wrong."""
    (cache.parent / "ours").mkdir(mode=0o700)
    cache.symlink_to(cache.parent / "ours")


def world(cache: Path) -> None:
    """As somebody makes it who has permissions in the way."""
    cache.mkdir()
    cache.chmod(0o777)


def group(cache: Path) -> None:
    """For colleagues."""
    cache.mkdir()
    cache.chmod(0o770)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link": (link, "got a symbolic link"),
    "a file": (lambda cache: cache.write_text(""), "got a file"),
    "for all": (world, "got one that others may write to, mode 0777"),
    "for a group": (group, "got one that others may write to, mode 0770"),
    "below a file": (lambda cache: cache.parent.joinpath("file").touch(), "cannot be made: Not a directory"),
}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(("make", "told"), WRONG.values(), ids=WRONG)
def test_a_folder_that_others_could_fill_is_refused(make: Callable[[Path], object], told: str, tmp_path: Path) -> None:
    cache = tmp_path / "file" / "cache" if "made" in told else tmp_path / "cache"
    make(tmp_path / "cache")
    with pytest.raises(InvalidConfig, match=f"store_cache {cache}") as caught:
        Store(ADDRESS, cache=cache).load("tiny", "1")
    assert told in str(caught.value)
    assert "set store_cache to another" in str(caught.value)
    assert not list(tmp_path.glob("ours/*"))


def test_somebody_elses_folder_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = os.getuid()
    monkeypatch.setattr("os.getuid", lambda: 4242)
    with pytest.raises(
        InvalidConfig, match=f"expected a folder that user 4242 alone may write to, got one of user {owner}"
    ):
        store.load("tiny", "1")


@pytest.mark.usefixtures("store")
def test_what_is_made_is_closed_to_others(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = Store(ADDRESS, cache=tmp_path / "above" / "cache").path("tiny", "1")
    finally:
        os.umask(before)
    made = [folder for folder in (path, *path.parents) if folder.is_relative_to(tmp_path / "above")]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in made] == [0o700] * 5
    assert Store(ADDRESS, cache=tmp_path / "above" / "cache").load("tiny", "1").version == "1"


@pytest.mark.usefixtures("store")
def test_what_others_left_that_were_killed_goes(tmp_path: Path) -> None:
    there = Store(ADDRESS, cache=tmp_path / "cache")
    folder = there.path("tiny", "1").parent
    for name in (".fetching-dead", ".leaving-dead", ".making-dead", ".making-alive"):
        (folder / name).mkdir()
        (folder / name / "model.onnx").write_bytes(b"half")
    long_ago = (folder / ".making-dead").stat().st_mtime - LEFT_SECONDS - 1
    os.utime(folder / ".making-dead", (long_ago, long_ago))
    there.load("tiny", "1", anew=True)
    assert sorted(path.name for path in folder.iterdir()) == [".lock", ".making-alive", "1"]


@pytest.mark.usefixtures("store")
def test_what_a_publisher_deletes_while_it_is_looked_at_is_no_fault(tmp_path: Path) -> None:
    """A link that leads nowhere is as a folder that goes between its name and its age."""
    there = Store(ADDRESS, cache=tmp_path / "cache")
    folder = there.path("tiny", "1").parent
    (folder / ".making-gone").symlink_to(folder / "nowhere")
    assert there.load("tiny", "1", anew=True).version == "1"


@pytest.mark.usefixtures("store")
def test_a_full_disk_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Bucket, "get_file", full)
    with pytest.raises(Unavailable, match="No space left on device; make room where store_cache lies") as caught:
        Store(ADDRESS, cache=tmp_path / "cache").load("tiny", "1")
    assert isinstance(caught.value, StaytrueError)
    assert not list((tmp_path / "cache").rglob(".fetching-*"))


def test_marks_of_writers_are_not_copied_and_what_is_gone_is_told(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark may be gone before it is read; a file that is gone makes no version."""
    Objects(ADDRESS).write("tiny/1/.mark-bundle.sha256-1-dead", b"1")
    there = Store(ADDRESS, cache=tmp_path / "cache")
    assert not list(there.path("tiny", "1").glob(".*"))
    download = Objects.download

    def gone(self: Objects, path: str, file: Path) -> bool:
        return not path.endswith("profile.json") and download(self, path, file)

    monkeypatch.setattr(Objects, "download", gone)
    with pytest.raises(NotFound, match="version 1 is being deleted"):
        there.load("tiny", "1", anew=True)
    assert store.present("tiny")
    assert not store.present("other")


@pytest.mark.usefixtures("store")
def test_who_reads_the_same_version_at_once_finds_one_copy_that_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one copies, the others wait for it: locks are of open files, so threads stand for processes."""
    download, taken = Objects.download, list[str]()

    def counted(self: Objects, path: str, file: Path) -> bool:
        taken.append(path)
        return download(self, path, file)

    monkeypatch.setattr(Objects, "download", counted)
    read = together(lambda _: Store(ADDRESS, cache=tmp_path / "cache").load("tiny", "1").version, 4)
    assert (read, len(taken)) == (["1"] * 4, 5)
    assert len(set(taken)) == 5


def test_a_client_that_fails_before_it_is_asked_anything_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise RuntimeError("no credentials file of this kind")

    monkeypatch.setattr("fsspec.core.url_to_fs", fail)
    with pytest.raises(Unavailable, match=f"{ADDRESS}: cannot be reached: RuntimeError: no credentials file"):
        Store(ADDRESS).models()
