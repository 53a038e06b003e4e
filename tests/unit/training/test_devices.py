"""Devices: several processes and other precisions train to what one process at full precision does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from staytrue.command import main
from staytrue.errors import InvalidConfig
from staytrue.sections import TrainingSection
from training import checkpoint as checkpoints
from training.checkpoint import METRICS
from training.devices import Accelerated, Processor, devices
from training.prepare import prepare
from training.run import train

if TYPE_CHECKING:
    from staytrue.project import Project


def losses(runs: Path) -> list[tuple[float, float]]:
    """Loss and measure of each epoch of the newest run."""
    folder = max(path for path in runs.iterdir() if path.is_dir())
    lines = [json.loads(line) for line in (folder / METRICS).read_text(encoding="utf-8").splitlines()]
    return [(line["loss"], line["validation_mae"]) for line in lines]


@pytest.fixture
def brief(project: Project) -> Project:
    """Three epochs, without averaging, which would hide a wrong step."""
    training = project.training.model_copy(update={"epochs": 3, "averaging": 0.0})
    return project.model_copy(update={"training": training})


def test_two_processes_give_the_loss_of_one_at_the_same_batch(
    brief: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same command, started twice by itself; only one of the two writes a run."""
    train(brief, opening="skip")
    alone = losses(brief.retraining.runs)
    file = brief.retraining.runs.parent / "staytrue.yaml"
    text = file.read_text(encoding="utf-8").replace("epochs: 30", "epochs: 3, processes: 2")
    file.write_text(text.replace("averaging: 0.9", "averaging: 0"), encoding="utf-8")
    monkeypatch.chdir(Path(__file__).parents[3])  # where Python finds the package
    code = main(["train", "--project", str(file), "--test", "skip"])
    said = capfd.readouterr()
    assert code == 0, said.err
    assert said.out.count("trained toy") == 1
    assert len(list(brief.retraining.runs.iterdir())) == 2
    np.testing.assert_allclose(losses(brief.retraining.runs), alone, rtol=1e-4)


def test_half_precision_learns_the_same_law(brief: Project) -> None:
    """To what sixteen bits can tell, and the weights that are kept have thirty-two."""
    train(brief, opening="skip")
    full = losses(brief.retraining.runs)
    training = brief.training.model_copy(update={"precision": "bf16"})
    train(brief.model_copy(update={"training": training}), opening="skip")
    half = losses(brief.retraining.runs)
    assert half != full
    np.testing.assert_allclose(half, full, rtol=0.05)


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_half_precision_judges_the_model_that_is_saved(brief: Project, averaging: float) -> None:
    """Figures of the journal and of the checkpoint are those of the saved weights at full precision."""
    training = brief.training.model_copy(update={"precision": "bf16", "averaging": averaging})
    project = brief.model_copy(update={"training": training})
    prepared = prepare(project)
    held = prepared.validation.only(project.data.features)
    saved, _, model = checkpoints.load(train(project, opening="skip"))
    error = np.abs(model.answers(held.columns)[0].ravel() - held.target.astype(float).ravel()).mean()
    assert saved.evaluation["validation"]["mae"].value == pytest.approx(error, rel=1e-6)
    assert losses(project.retraining.runs)[saved.best_epoch - 1][1] == pytest.approx(error, rel=1e-5)


def test_one_process_on_the_processor_does_without_accelerate() -> None:
    """Which takes seconds to import."""
    assert isinstance(devices(TrainingSection(device="cpu")), Processor)
    assert isinstance(devices(TrainingSection(device="cpu", precision="bf16")), Accelerated)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told() -> None:
    """Nobody waits a night for the processor."""
    with pytest.raises(InvalidConfig, match=r"training\.device: expected a CUDA device.*, got none; auto takes"):
        devices(TrainingSection(device="cuda"))
