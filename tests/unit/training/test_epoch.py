"""Epoch: how many steps, and what is refused before any data are read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from staytrue.command import main
from staytrue.errors import InvalidConfig, InvalidInput
from staytrue.project import Project
from staytrue.sections import TrainingSection
from tests.unit.training.conftest import write_project
from training.checkpoint import load
from training.epoch import steps_of
from training.prepare import check
from training.run import train
from training.sampling import order
from training.transfer.freezing import freeze

if TYPE_CHECKING:
    from pathlib import Path

NORMED = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
PLAIN = torch.nn.Linear(3, 1)


@given(
    rows=st.integers(1, 500),
    batch=st.integers(1, 64),
    processes=st.integers(1, 4),
    module=st.sampled_from([NORMED, PLAIN]),
)
def test_every_process_has_enough_rows_of_every_step(
    rows: int, batch: int, processes: int, module: torch.nn.Module
) -> None:
    """A row, or two for a batch norm; steps are as many as of ``batch`` rows at most wherever that is enough."""
    least = 2 if module is NORMED else 1
    try:
        steps = steps_of(rows, batch, module, processes)
    except InvalidConfig:
        assert batch < least * processes
        return
    except InvalidInput:
        assert rows < least * processes
        return
    sizes = [len(part) for part in torch.tensor_split(order(rows, 0, 0), steps)]
    assert sum(sizes) == rows
    assert min(sizes) // processes >= least
    usual = math.ceil(rows / batch)
    assert steps == usual or rows // usual < least * processes


def test_a_last_row_alone_joins_another_step() -> None:
    """Of five rows, two a step: three and two."""
    assert steps_of(5, 2, NORMED, 1) == 2
    assert steps_of(5, 2, PLAIN, 1) == 3


def test_a_norm_that_is_frozen_needs_no_other_rows() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    freeze(module, ["1.*"])
    assert steps_of(5, 1, module, 1) == 5


def test_batch_norm_trains_on_an_odd_number_of_rows_two_a_step(tmp_path: Path) -> None:
    """A step of one row has no deviation."""
    project = write_project(tmp_path)
    with_ = {"batch_size": 2, "epochs": 1}
    project = project.model_copy(
        update={
            "training": project.training.model_copy(update=with_),
            "model": project.model.model_copy(update={"normalisation": "batch"}),
            "split": project.split.model_copy(update={"method": "random"}),
            "data": project.data.model_copy(update={"query": "SELECT * FROM (FROM source LIMIT 90)"}),
        }
    )
    folder = train(project, opening="skip")
    checkpoint = load(folder)[0]
    assert checkpoint.lineage.trained_rows % 2 == 1
    assert np.isfinite(checkpoint.evaluation["validation"]["mae"].value)


def unread(training: dict[str, Any], model: dict[str, Any]) -> Project:
    """A project whose data are not there."""
    data = {"source": "none.csv", "time": "t", "target": "y", "features": {"x": {"kind": "numeric"}}}
    return Project.model_validate({"name": "p", "data": data, "model": model, "training": training})


@pytest.mark.parametrize(
    ("training", "model", "told"),
    [
        (
            {"batch_size": 1},
            {"normalisation": "batch"},
            r"training\.batch_size: expected at least 2: 2 rows that batch norm compares, got 1; .*: layer",
        ),
        ({"batch_size": 3, "processes": 4}, {}, r"expected at least 4: a row for each process, got 3; raise it$"),
        ({"loss": "cross_entropy"}, {}, r"training\.loss: expected mse, mae, huber or poisson for regression"),
        ({"loss": "mse"}, {"task": "classification"}, "expected cross_entropy for classification, got mse"),
        ({"loss": "mse"}, {"quantiles": [0.1, 0.5]}, r"expected pinball for model\.quantiles, got mse"),
        (
            {},
            {"task": "generation", "architecture": "training.models.mlp:MLP"},
            "one image alone for task generation, got num",
        ),
        (
            {},
            {"architecture": "transformer", "positions": "sinusoidal"},
            r"model\.positions: expected a feature of kind image or sequence or text, got features .* numeric alone",
        ),
        (
            {},
            {"architecture": "transformer", "patch": 9},
            r"model\.patch: expected a feature of kind image, got .*; remove",
        ),
        ({"loss": "poisson"}, {}, r"expected model\.output: positive with poisson, got model\.output: linear"),
    ],
)
def test_what_does_not_go_together_is_refused_before_data_are_read(
    training: dict[str, Any], model: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidConfig, match=told):
        check(unread(training, model))


def test_a_loss_of_labels_for_numbers_is_refused_before_data_are_read() -> None:
    project = unread({"loss": "mse"}, {"task": "multilabel"})
    project = project.model_copy(update={"data": project.data.model_copy(update={"target": ["a", "b"]})})
    with pytest.raises(InvalidConfig, match="expected binary_cross_entropy for multilabel, got mse"):
        check(project)


@pytest.mark.parametrize("training", [{"loss": "cross_entropy"}, {"precision": "fp16", "device": "cpu"}])
def test_several_processes_do_not_begin_with_what_each_would_refuse(
    training: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told once, with its line, and nothing is started."""
    write_project(tmp_path)
    file = tmp_path / "staytrue.yaml"
    values = yaml.safe_load(file.read_text())
    values["training"] |= {"processes": 2, **training}
    file.write_text(yaml.safe_dump(values))
    monkeypatch.setattr("training.processes.subprocess.run", lambda *_, **__: pytest.fail("processes were started"))
    assert main(["train", "--project", str(file)]) == 2
    said = capsys.readouterr().err
    assert said.count("staytrue.yaml:") == said.count("\n") == 1


@pytest.mark.parametrize(("plateau_epochs", "patience"), [(None, 6), (3, 4)])
def test_a_patience_that_ends_before_the_plateau_lowers_the_rate_is_refused(
    plateau_epochs: int | None, patience: int
) -> None:
    """One epoch more than that would be trained with the rate lowered."""
    settings = {"schedule": "plateau", "patience": patience, "optimisation": {"plateau_epochs": plateau_epochs}}
    least = patience + 1
    with pytest.raises(ValueError, match=rf"patience {patience} stops before .* set patience to at least {least}, or"):
        TrainingSection.model_validate(settings)
    assert TrainingSection.model_validate({**settings, "patience": least}).patience == least
