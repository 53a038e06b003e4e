"""Rates: where the loss falls fastest and where it blows up, against theory and on real data."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import yaml
from sklearn.datasets import load_diabetes

from staytrue.command import main
from staytrue.sections import TrainingSection
from training.data.chapters import Chapter
from training.prepare import prepare
from training.rates import trial
from training.rates.report import chapter
from training.rates.sweep import Sweep, judged, sweep

if TYPE_CHECKING:
    from staytrue.project import Project


def swept(**options: Any) -> tuple[Sweep, float]:
    """Plain descent on the diabetes data, and the rate from which theory says that it diverges: 2 / curvature."""
    x, y = load_diabetes(return_X_y=True)
    x = np.hstack([x * len(x) ** 0.5, np.ones((len(x), 1))])
    curvature = np.linalg.eigvalsh(x.T @ x / len(x)).max()
    inputs, truth = torch.tensor(x), torch.tensor((y - y.mean()) / y.std())
    torch.manual_seed(0)
    module = torch.nn.Linear(11, 1, bias=False).double()

    def loss(step: int) -> torch.Tensor:
        which = torch.randint(0, len(x), (64,), generator=torch.Generator().manual_seed(step))
        errors: torch.Tensor = module(inputs[which]).squeeze(1) - truth[which]
        return (errors**2).mean() / 2

    training = TrainingSection(optimiser="sgd", averaging=0)
    return sweep(module, training, loss, **{"lowest": 1e-6, "highest": 10.0, "steps": 200, **options}), 2 / curvature


def test_a_quadratic_blows_up_where_theory_says() -> None:
    """Soon after 2 / curvature, as it takes steps to grow; the proposal is far below, and lowers the loss."""
    found, limit = swept()
    assert found.blow_up is not None
    assert found.proposed is not None
    assert limit < found.blow_up < 5 * limit
    assert limit / 200 < found.proposed < limit / 2
    assert found.proposed <= found.blow_up / 10
    assert found.rates[-1] < 10  # it stopped there


def test_the_same_seed_proposes_the_same() -> None:
    """Nothing is drawn that is not seeded."""
    assert swept()[0] == swept()[0]


def test_rates_that_are_all_too_low_propose_nothing() -> None:
    """The loss does not fall beyond its noise: a reason to look, not to go on."""
    found, _ = swept(highest=1e-5, steps=60)
    assert (found.steepest, found.blow_up, found.proposed) == (None, None, None)
    assert "no learning rate lowered the loss" in chapter(found).warnings[0]


def curve(logs: np.ndarray) -> np.ndarray:
    """A loss that falls steepest at 1e-3 and rises past its start at 10 times as much and more."""
    losses: np.ndarray = 2 - 1.5 / (1 + np.exp(-6 * (logs + 3))) + np.exp(8 * logs)
    return losses


def test_the_steepest_place_and_the_blow_up_of_a_known_curve() -> None:
    """With noise of 0.05: both within a step of smoothing, the proposal two digits and no larger."""
    logs = np.linspace(-6, 1, 200)
    noisy = curve(logs) + np.random.default_rng(0).normal(0, 0.05, 200)
    found = judged(10**logs, noisy, 200, "sgd")
    assert found.steepest is not None
    assert found.blow_up is not None
    assert np.log10(found.steepest) == pytest.approx(-3, abs=0.2)
    assert np.log10(found.blow_up) == pytest.approx(np.log10(1.5) / 8 / np.log10(np.e), abs=0.25)
    assert found.proposed is not None
    assert 0.9 * found.steepest <= found.proposed <= found.steepest


@pytest.mark.parametrize(
    ("steepest", "blow_up", "proposed"),
    [(0.0347, None, 0.034), (0.0347, 0.5, 0.034), (0.0347, 0.1, 0.01), (3e-5, None, 3e-5), (1.0, 5.0, 0.5)],
)
def test_a_proposal_is_a_tenth_of_the_blow_up_at_most(steepest: float, blow_up: float | None, proposed: float) -> None:
    """Two digits, rounded down."""
    made = Sweep(optimiser="sgd", rates=[1], losses=[1], smoothed=[1], steepest=steepest, blow_up=blow_up)
    assert made.proposed == pytest.approx(proposed, rel=1e-9)


def test_a_loss_that_is_no_number_ends_the_sweep() -> None:
    """There the loss has blown up."""
    logs = np.linspace(-6, 1, 200)
    losses = np.minimum(curve(logs), 1.9)[:150]
    losses[-1] = np.nan
    assert judged(10 ** logs[:150], losses, 200, "sgd").blow_up == pytest.approx(10 ** logs[149])


def test_the_command_prints_a_line_that_a_project_takes(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """On the training rows of a project; table and picture are written."""
    folder = project.folder
    arguments = ["rate", "--project", str(folder / "staytrue.yaml"), "--output", str(folder / "out")]
    assert main([*arguments, "--steps", "100"]) == 0
    told = capsys.readouterr().out
    assert "With adamw the loss falls fastest at" in told
    pasted = yaml.safe_load(told[told.index("\ntraining:") :])
    assert 1e-4 < TrainingSection.model_validate(pasted["training"]).rate < 1
    lines = list(csv.DictReader((folder / "out/rates.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(line["learning_rate"]) for line in lines[:2]] == pytest.approx([1e-6, 1e-6 * 1e7 ** (1 / 99)])
    assert (folder / "out/rates.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_exits_with_one_where_nothing_is_proposed(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that a script does not go on."""
    folder = project.folder
    arguments = ["--project", str(folder / "staytrue.yaml"), "--output", str(folder / "out")]
    assert main(["rate", *arguments, "--lowest", "1e-12", "--highest", "1e-9", "--steps", "40"]) == 1
    assert "no learning rate lowered the loss" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--lowest", "0"], ["--lowest", "20"], ["--highest", "inf"], ["--steps", "3"]])
def test_the_command_refuses_a_range_that_is_none(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Before it reads anything."""
    assert main(["rate", *wrong]) == 2
    assert "expected 0 < --lowest < --highest and at least 20 --steps" in capsys.readouterr().err


def test_a_trial_sees_rows_to_train_on_alone(project: Project) -> None:
    """Neither validation nor test rows decide on a rate; of many rows it takes as many as its steps need."""
    training = prepare(project).training
    _, _, batch = trial._fresh(project, 10**6)
    assert sorted(batch.truth.flatten().tolist()) == sorted(training.target.astype(np.float32).tolist())
    assert len(trial._fresh(project, 100)[2]) == 100


def test_the_chapter_tells_rates_and_losses() -> None:
    """A few of them; the file has all."""
    told = chapter(swept()[0])
    assert isinstance(told, Chapter)
    assert len(told.tables[0].rows) <= 12
    assert "is proposed" in told.summary
    assert told.warnings == []
