"""A clearing that is killed at any of its steps leaves a store in which all that is listed is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fsspec.registry import _registry

from staytrue.clearing import clear
from staytrue.command import main
from staytrue.fetching import fetch
from staytrue.objects import Objects
from staytrue.store import Store
from tests.buckets import Bucket
from tests.unit.serving.conftest import publish

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADDRESS = "s3://killed/store"


class Killed(BaseException):
    """Ends a process where a kill would."""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Four versions, the third the champion: 1 and 2 go."""
    monkeypatch.setitem(_registry, "s3", Bucket)
    made = Store(ADDRESS, cache=tmp_path / "cache")
    for factor in (1.0, 2.0, 3.0, 4.0):
        publish(made, factor)
    made.promote("tiny", "3", reason="first")
    yield made
    Bucket().rm("/killed", recursive=True)


def kill_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """Let so many deletions of objects happen, and no more."""
    done, remove = [0], Bucket.rm_file

    def rm_file(self: Bucket, path: str) -> None:
        if "/.try-" not in path:  # of whoever looks whether conditions are heeded, before anything is told
            if done[0] == step:
                raise Killed
            done[0] += 1
        remove(self, path)

    patch.setattr(Bucket, "rm_file", rm_file)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("meanwhile", [False, True], ids=["next", "after a promotion"])
def test_what_is_listed_is_whole_wherever_it_was_killed_and_the_next_one_finishes(
    meanwhile: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two versions of five objects each and their claims: each of these deletions may be the first that is not done."""
    before, step, killed = {key: bytes(file.getvalue()) for key, file in Bucket.store.items()}, 0, True
    while killed:
        with monkeypatch.context() as patch:
            kill_at(step, patch)
            try:
                clear(Store(ADDRESS, cache=tmp_path / f"dead{step}"), "tiny", keep=1)
                killed = False
            except Killed:
                pass
        seen = Store(ADDRESS, cache=tmp_path / f"seen{step}")
        assert seen.versions("tiny") == ["3", "4"]
        if step in (1, 4, 9):  # what was loaded is read whole: a few of them tell the rest
            assert [seen.load("tiny", version, anew=True).version for version in seen.versions("tiny")] == ["3", "4"]
            assert fetch(ADDRESS, tmp_path / f"fetched{step}") == {"tiny": ["3", "4"]}
        if meanwhile:
            seen.promote("tiny", "4", reason="meanwhile")
        clear(seen, "tiny", keep=2)
        assert {path.partition("/")[0] for path in Objects(ADDRESS).sizes("tiny")} == {"3", "4", "revisions"}
        Bucket().rm("/killed", recursive=True)
        for key, data in before.items():
            Bucket().pipe_file(key, data)
        step += 1
    assert step > 10


def test_verify_and_models_do_not_tell_of_what_is_leaving(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        kill_at(0, patch)
        with pytest.raises(Killed):
            clear(store, "tiny", keep=1)
    assert main(["verify", "tiny", "--store", ADDRESS]) == 0
    assert main(["models", "--store", ADDRESS]) == 0
    said = capsys.readouterr().out
    assert "tiny: versions 3 (champion), 4\n" in said
    assert "tiny 1" not in said
    assert main(["gc", "tiny", "--dry-run", "--store", ADDRESS]) == 0
    assert "tiny 1: would go" in capsys.readouterr().out
    assert main(["gc", "tiny", "--store", ADDRESS]) == 0
    assert "tiny 2: gone" in capsys.readouterr().out


def test_a_dry_run_in_a_folder_leaves_what_a_killed_one_left(tmp_path: Path) -> None:
    made = Store(tmp_path)
    publish(made, 1.0)
    (tmp_path / "tiny" / ".leaving-7").mkdir()
    clear(made, "tiny", keep=1, dry=True)
    assert (tmp_path / "tiny" / ".leaving-7").exists()
    clear(made, "tiny", keep=1)
    assert not (tmp_path / "tiny" / ".leaving-7").exists()
