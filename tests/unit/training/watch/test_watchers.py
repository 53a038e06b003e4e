"""Watchers: who is asked for, and what happens when one of them fails."""

from __future__ import annotations

import importlib.util
import math
from typing import TYPE_CHECKING, Any

import pytest

from staytrue.errors import InvalidConfig
from staytrue.project import Project
from tests.trainings import FACTS, LINES, Told
from training.watch.mlflow import place
from training.watch.watcher import Watcher
from training.watch.watchers import Watchers, facts, watchers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def project(**training: Any) -> Project:
    """One with these settings of its training."""
    data = {"source": "d.csv", "time": "t", "target": "y", "features": {"a": {"kind": "numeric"}}}
    return Project.model_validate({"name": "toy", "data": data, "training": training})


class Diary(Watcher):
    """Writes down what it is told; breaks at one of the steps or epochs."""

    def __init__(self, breaks: str = "") -> None:
        self.breaks, self.told = breaks, list[str]()

    def _note(self, what: str) -> None:
        self.told.append(what)
        if what == self.breaks:
            raise OSError("the disk is full")

    def stepped(self, step: int, loss: float, rate: float) -> None:
        """Note it."""
        self._note(f"step {step} {loss:g} {rate:g}")

    def epoch_ended(self, line: Mapping[str, float]) -> None:
        """Note it."""
        self._note(f"epoch {line['epoch']}")

    def closed(self, error: BaseException | None) -> None:
        """Note it."""
        self._note(f"closed by {error}")


@pytest.mark.parametrize("where", ["step 2 9 0.25", "epoch 1"])
def test_one_that_fails_is_told_once_and_left_while_the_training_goes_on(where: str, go: Callable[..., None]) -> None:
    said: list[str] = []
    broken, whole, vital = Diary(where), Diary(), Diary()
    with Watchers([vital], [broken, whole], said.append) as all_of_them:
        go(all_of_them)
    assert said == ["Diary watches this training no more: OSError: the disk is full"]
    assert all_of_them.dropped == {"Diary": "OSError: the disk is full"}
    assert broken.told[-2:] == [where, "closed by the disk is full"]
    assert len(whole.told) == 4 * 5 + 4 + 1
    assert [note for note in vital.told if not note.startswith("step")][-1] == "closed by None"


def test_a_vital_one_that_fails_ends_the_training_and_all_are_closed(go: Callable[..., None]) -> None:
    """The journal: an epoch that it does not hold would be lost."""
    other = Diary()
    with pytest.raises(OSError, match="full"), Watchers([Diary("epoch 2")], [other]) as all_of_them:
        go(all_of_them)
    assert other.told[-1] == "closed by the disk is full"
    assert "epoch 2" not in other.told


def test_the_settings_say_who_watches(tmp_path: Path, go: Callable[..., None]) -> None:
    """By default the journal alone leaves a file."""
    with watchers(project(), tmp_path) as found:
        found.began(FACTS)
        go(found)
        found.ended(Told())
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]
    said: list[str] = []
    with watchers(project(loggers=["tensorboard"], metrics_port=0), tmp_path / "all", say=said.append) as found:
        (tmp_path / "all").mkdir()
        found.began(FACTS)
    assert {path.name for path in (tmp_path / "all").iterdir()} == {"metrics.jsonl", "tensorboard"}
    assert said[0].startswith("training metrics: http://127.0.0.1:")


def test_of_several_processes_one_is_watched(tmp_path: Path, go: Callable[..., None]) -> None:
    with watchers(project(metrics_port=0), tmp_path, first=False) as found:
        found.began(FACTS)
        go(found)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"loggers": ["mlflow"]},
            r"training\.loggers: needs mlflow, which is not installed; pip install .*\[loggers\]",
        ),
        ({"loggers": ["tensorboard"]}, "needs tensorboard"),
        ({"metrics_port": 0}, r"training\.metrics_port: needs prometheus_client"),
    ],
)
def test_what_is_not_installed_is_named_before_the_training(
    settings: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InvalidConfig, match=said):
        watchers(project(**settings), tmp_path)


def test_mlflow_writes_where_it_is_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is the project's, MLflow's own variable counts where nothing is set, a database needs all of MLflow."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert place(None, tmp_path) == (tmp_path / "mlruns").as_uri()
    assert place("logs", tmp_path) == (tmp_path / "logs").as_uri()
    assert place("http://mlflow:5000", tmp_path) == "http://mlflow:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://other:5000")
    assert place(None, tmp_path) == "http://other:5000"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InvalidConfig, match="sqlite needs the whole of MLflow; pip install mlflow"):
        place("sqlite:///runs.db", tmp_path)


def test_a_password_in_an_address_is_refused() -> None:
    with pytest.raises(ValueError, match="MLFLOW_TRACKING_PASSWORD"):
        project(watching={"mlflow_tracking": "http://me:secret@mlflow"})


def test_the_facts_are_those_of_the_project_and_of_what_is_behind_it(tmp_path: Path) -> None:
    made = facts(project(epochs=7), tmp_path, Told(epochs=LINES[:3]), steps=5, rows=99)
    assert (made.model, made.run, made.target, made.epochs, made.done) == ("toy", tmp_path.name, "y", 7, 3)
    assert made.settings["training"]["epochs"] == 7
    assert made.better(1.0, 2.0) > made.better(2.0, 1.0)
    assert made.better(1.0, math.nan)


def test_who_watches_is_no_part_of_what_is_trained() -> None:
    """The fingerprint of a project stays."""
    watched = project(loggers=["mlflow"], metrics_port=9, explosion=None, watching={"metrics_host": "::1"})
    assert watched.fingerprint() == project().fingerprint() != project(seed=1).fingerprint()
