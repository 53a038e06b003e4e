"""Stores that are named with a slip, broken in one place or closed to whoever writes: told with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fsspec.registry import _registry

from staytrue import project as projects
from staytrue.command import main
from staytrue.errors import CorruptData, InvalidConfig, InvalidInput
from staytrue.fetching import fetch
from staytrue.objects import Objects
from staytrue.shelf import place
from staytrue.store import Store
from tests.buckets import Bucket
from tests.unit.serving.conftest import publish

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES = {
    "S3://Bucket/Store": "s3://Bucket/Store",
    "file://localhost/srv/a%20b": Path("/srv/a b"),
    "FILE:///srv/store": Path("/srv/store"),
    "./s3:/b": Path("s3:/b"),
    "C:/store": Path("C:/store"),
    "memory://b": "memory://b",
    "s3://b/ümp ört": "s3://b/ümp ört",
}
SLIPS = {
    "": "got an empty text",
    "s3:/bucket/store": "got an address with one slash; write ./ before it",
    "file:/srv/store": "got an address with one slash",
    "s3://": "got an address that names no bucket",
    "gs:///": "got an address that names no bucket",
    "file://host/store": 'a folder of the machine "host"; file:///host/store, three slashes',
}


@pytest.mark.parametrize(("said", "meant"), PLACES.items())
def test_a_place_is_a_folder_or_an_address(said: str, meant: Path | str) -> None:
    assert place(said) == meant


@pytest.mark.parametrize(("said", "told"), SLIPS.items())
def test_a_slip_is_neither_made_a_folder_of_nor_looked_for_elsewhere(
    said: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["models", "--store", said]) == 2
    said_of_it = capsys.readouterr().err
    assert "expected a folder, or an address such as s3://bucket/store, got " in said_of_it
    assert told in said_of_it
    with pytest.raises(InvalidConfig, match="expected a folder, or an address"):
        Store(said)
    assert not list(tmp_path.iterdir())


def test_a_slip_in_the_project_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "days.csv").write_text("day,rentals\n2020-01-01,1\n")
    text = "name: bikes\nstore: s3:/bucket/store\ndata: {path: days.csv, time: day, target: rentals, features: {}}\n"
    (tmp_path / "staytrue.yaml").write_text(text)
    with pytest.raises(InvalidConfig) as caught:
        projects.load(tmp_path / "staytrue.yaml")
    assert "staytrue.yaml:2" in str(caught.value)
    assert "got an address with one slash" in str(caught.value)


@pytest.fixture(params=["folder", "address"])
def broken(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store of two models; who answers for the first cannot be read."""
    monkeypatch.setitem(_registry, "s3", Bucket)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = Store("s3://slips/store" if request.param == "address" else tmp_path / "store")
    made.promote("tiny", publish(made, 1.0), reason="first")
    if request.param == "address":
        Objects(made.where).write("broken/revisions/00000001.json", b"{")
    else:
        (tmp_path / "store" / "broken").mkdir()
        (tmp_path / "store" / "broken" / "aliases.json").write_text("{")
    yield made
    if request.param == "address":
        Bucket().rm("/slips", recursive=True)


def test_a_model_that_cannot_be_read_is_told_among_the_others(
    broken: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "--store", broken.where]) == 1
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert first.startswith("broken: ")
    assert "record: Input data was truncated" in first
    assert second == "tiny: versions 1 (champion)"


def test_a_revision_that_cannot_be_read_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_registry, "s3", Bucket)
    store, objects = Store("s3://slips/revised", cache=tmp_path), Objects("s3://slips/revised")
    publish(store, 2.0)
    store.promote("tiny", publish(store, 1.0), reason="first")
    objects.write("tiny/revisions/00000002.json", b"{")
    with pytest.raises(CorruptData, match=r"00000002\.json: .*; put it back; or delete it, and the revision before it"):
        store.promote("tiny", "1", reason="second")
    objects.delete(["tiny/revisions/00000002.json"])
    assert store.promote("tiny", "1", reason="second").revision == 2
    Bucket().rm("/slips", recursive=True)


def test_a_version_that_lacks_a_file_is_told_where_it_lies(tmp_path: Path) -> None:
    store = Store(tmp_path / "source")
    store.promote("tiny", publish(store, 1.0), reason="first")
    (store.path("tiny", "1") / "profile.json").unlink()
    with pytest.raises(CorruptData, match=f"^{store.where}/tiny/1/profile.json: is named by the bundle and missing"):
        fetch(str(store.root), tmp_path / "target")


def test_what_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = "expected a folder to write, got .*file, which is a file"
    with pytest.raises(InvalidConfig, match=told):
        publish(Store(tmp_path / "file"), 1.0)
    source = Store(tmp_path / "source")
    source.promote("tiny", publish(source, 1.0), reason="first")
    with pytest.raises(InvalidConfig, match=told):
        fetch(str(source.root), tmp_path / "file")
    (source.root / "tiny" / ".lock").unlink()
    (source.root / "tiny" / ".lock").mkdir()
    with pytest.raises(InvalidConfig, match="cannot be written to: Is a directory; name another store"):
        publish(source, 2.0)


@pytest.mark.parametrize(
    ("name", "got"), {"größe": '"ö"', "a/b": '"/"', ".hidden": "'.' at its beginning", "": "an empty one"}.items()
)
def test_a_name_says_what_is_wrong_with_it(name: str, got: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="expected letters of ASCII, digits, ") as caught:
        Store(tmp_path).versions(name)
    assert str(caught.value).endswith(got)
