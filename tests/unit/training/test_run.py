"""Run: a project to a finished run, and back to its module."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
import yaml

from staytrue.checkpoint import CHECKPOINT, CONFIGURATION, WEIGHTS
from staytrue.errors import CorruptData, InvalidInput, NotFound
from staytrue.evaluation import EVALUATION
from tests.unit.training.conftest import write_project
from training import checkpoint as checkpoints
from training import curve
from training.models.regressor import Regressor
from training.prepare import prepare
from training.reference import sample
from training.report import PAGE
from training.run import train
from training.watch.progress import Progress

if TYPE_CHECKING:
    from staytrue.project import Project


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Path]:
    """A project with a finished run: to be read alone."""
    made = write_project(tmp_path_factory.mktemp("trained"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.run.draw", curve.draw)  # as it is outside of tests
        return made, train(made, opening="once")


@pytest.fixture
def run(trained: tuple[Project, Path], tmp_path: Path) -> Path:
    """The same run, to be changed."""
    return Path(shutil.copytree(trained[1], tmp_path / "run"))


@pytest.fixture
def brief(project: Project) -> Project:
    """The project, trained for few epochs: what it learns is not looked at."""
    return changed(project, "training", epochs=2)


def changed(project: Project, section: str, **values: object) -> Project:
    """The project with settings of a section changed."""
    return project.model_copy(update={section: getattr(project, section).model_copy(update=values)})


def test_a_run_learns_the_law_and_leaves_all_its_records(trained: tuple[Project, Path]) -> None:
    """The noise has deviation 0.3; the held-out rows say that the model found what else there is."""
    project, folder = trained
    checkpoint, reference, _ = checkpoints.load(folder)
    assert set(checkpoint.evaluation) == {"train", "validation", "test"}
    assert checkpoint.evaluation["test"]["r2"].value > 0.95
    assert checkpoint.epochs == len((folder / checkpoints.METRICS).read_text().splitlines())
    assert {path.name for path in folder.iterdir()} == {
        *(CHECKPOINT, WEIGHTS, CONFIGURATION, checkpoints.METRICS),
        *(checkpoints.CURVE, checkpoints.SPLIT, checkpoints.SEALED, checkpoints.DATA, "profile.json", EVALUATION, PAGE),
    }
    assert json.loads((folder / checkpoints.DATA).read_text())["fingerprint"]["rows"] == 960
    assert yaml.safe_load((folder / CONFIGURATION).read_text())["training"]["patience"] == 10
    assert checkpoint.environment is not None
    assert (checkpoint.environment.seed, checkpoint.environment.threads) == (0, 1)
    assert reference.rows == 960 - len(prepare(project).split.parts["test"])


def test_the_module_built_again_predicts_the_same(trained: tuple[Project, Path]) -> None:
    """Its predictions are those of the profile, row by row."""
    project, folder = trained
    _, reference, model = checkpoints.load(folder)
    rows = sample(
        reference, checkpoints.load(checkpoints.newest_run(project.retraining.runs, "toy"))[0].signature, 10**6
    )
    assert isinstance(model, Regressor)
    again = model.predict({name: column[:, 0] for name, column in rows.items()})
    np.testing.assert_allclose(again, np.array(reference.prediction, dtype=np.float64), rtol=1e-6)


def test_two_runs_of_one_seed_have_the_same_weights(brief: Project) -> None:
    """To the bit; another seed has others."""
    digests = [checkpoints.load(train(p))[0].weights_sha256 for p in (brief, brief)]
    other = checkpoints.load(train(changed(brief, "training", seed=1)))[0].weights_sha256
    assert digests[0] == digests[1] != other


def test_the_test_split_opens_for_the_first_run_alone(brief: Project) -> None:
    """Later runs are judged by validation, unless the opening is forced, which the record says."""
    said: list[str] = []
    first, second = train(brief, opening="once"), train(brief, opening="once", say=said.append)
    forced = train(brief, opening="force")
    records = [checkpoints.load(folder)[0] for folder in (first, second, forced)]
    assert ["test" in record.evaluation for record in records] == [True, False, True]
    assert [record.lineage.test_openings for record in records] == [1, 1, 2]
    assert any(first.name in line for line in said)  # how far it is may be told too


def test_a_skipped_test_split_stays_sealed(brief: Project) -> None:
    """No metrics, no line in the ledger."""
    record = checkpoints.load(train(brief, opening="skip"))[0]
    assert ("test" in record.evaluation, record.lineage.test_openings) == (False, 0)


def test_the_profile_holds_no_row_of_the_test_split(trained: tuple[Project, Path]) -> None:
    """Neither drift nor quality may lean on sealed rows."""
    project, folder = trained
    prepared = prepare(project)
    sealed = set(prepared.rows.time[prepared.split.parts["test"]])
    assert sealed
    assert not sealed & set(checkpoints.load(folder)[1].time)


def test_a_run_without_its_record_is_not_finished(brief: Project) -> None:
    """As one that was killed; the newest finished one is found instead."""
    finished = train(brief)
    (train(brief) / CHECKPOINT).unlink()
    assert checkpoints.newest_run(brief.retraining.runs, "toy") == finished
    with pytest.raises(NotFound, match="no finished run"):
        checkpoints.newest_run(brief.retraining.runs, "other")
    with pytest.raises(NotFound, match="no finished run"):
        checkpoints.load(brief.retraining.runs / "none")


def test_changed_weights_do_not_load(run: Path) -> None:
    """One byte is enough."""
    data = bytearray((run / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (run / WEIGHTS).write_bytes(data)
    with pytest.raises(CorruptData, match="expected SHA-256"):
        checkpoints.load(run)


def test_weights_that_do_not_fit_the_architecture_do_not_load(run: Path) -> None:
    """Not a RuntimeError of torch."""
    record = msgspec.json.decode((run / CHECKPOINT).read_bytes())
    record["model"]["body"]["width"] = 3
    (run / CHECKPOINT).write_bytes(msgspec.json.encode(record))
    with pytest.raises(CorruptData, match="does not describe a module"):
        checkpoints.load(run)
    assert hashlib.sha256((run / WEIGHTS).read_bytes()).hexdigest() == record["weights_sha256"]


def test_a_run_away_loss_says_so(project: Project) -> None:
    """A learning rate far too large ends the run with advice."""
    wild = changed(project, "training", learning_rate=1e30, averaging=0.0)
    with pytest.raises(InvalidInput, match=r"training, epoch \d+: expected a finite loss.*learning_rate"):
        train(wild)


def test_a_step_is_told_with_the_rate_that_it_was_taken_by(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linear: the first has the whole rate, and the last of n steps an n-th of it, not nothing."""
    told: list[float] = []
    monkeypatch.setattr(Progress, "stepped", lambda *given: told.append(given[-1]))
    train(changed(project, "training", epochs=1, schedule="linear"))
    assert told == pytest.approx([0.02 * (1 - step / len(told)) for step in range(len(told))])


def test_training_stops_when_validation_no_longer_gets_better(project: Project) -> None:
    """And keeps the best epoch."""
    record = checkpoints.load(train(changed(project, "training", epochs=200, patience=3)))[0]
    assert record.epochs == record.best_epoch + 3 < 200
