"""Schedules against formulas and against PyTorch's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from staytrue.sections import TrainingSection
from training.optim import Optimiser
from training.optim.schedule import table

STEPS, EPOCHS = 60, 12


def section(schedule: str, **optimisation: Any) -> TrainingSection:
    """Twelve epochs at a rate of 0.4."""
    given = {"schedule": schedule, "learning_rate": 0.4, "epochs": EPOCHS, "optimisation": optimisation}
    return TrainingSection.model_validate(given)


def rates(schedule: str, **optimisation: Any) -> np.ndarray:
    """Of sixty steps, five an epoch, and of the one after."""
    return table(section(schedule, **optimisation), STEPS)


def pytorch(kind: Any, **arguments: Any) -> np.ndarray:
    """What a scheduler of PyTorch gives, asked after each step."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    scheduler, found = kind(optimiser, **arguments), []
    for _ in range(STEPS + 1):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if len(found) <= STEPS:
            scheduler.step()
    return np.array(found)


def test_cosine_is_pytorchs_to_the_bit() -> None:
    """Models that were trained before come out the same again."""
    for end in (0.0, 0.1):
        expected = pytorch(lr_scheduler.CosineAnnealingLR, T_max=STEPS, eta_min=0.4 * end)
        assert np.array_equal(rates("cosine", end=end), expected)


@pytest.mark.parametrize(
    ("schedule", "optimisation", "kind", "arguments"),
    [
        ("fixed", {}, lr_scheduler.ConstantLR, {"factor": 1}),
        ("step", {"step_epochs": 3, "factor": 0.5}, lr_scheduler.StepLR, {"step_size": 15, "gamma": 0.5}),
        ("step", {}, lr_scheduler.MultiStepLR, {"milestones": [20, 40, 60], "gamma": 0.1}),
        ("linear", {"end": 0.2}, lr_scheduler.LinearLR, {"start_factor": 1, "end_factor": 0.2, "total_iters": STEPS}),
        ("linear", {}, lr_scheduler.LinearLR, {"start_factor": 1, "end_factor": 0, "total_iters": STEPS}),
        ("exponential", {}, lr_scheduler.ExponentialLR, {"gamma": 0.01 ** (1 / STEPS)}),
        ("polynomial", {}, lr_scheduler.PolynomialLR, {"power": 2, "total_iters": STEPS}),
        ("polynomial", {"power": 0.9}, lr_scheduler.PolynomialLR, {"power": 0.9, "total_iters": STEPS}),
    ],
)
def test_each_falls_as_pytorchs_does(schedule: str, optimisation: Any, kind: Any, arguments: Any) -> None:
    """In double precision, up to how it is rounded."""
    np.testing.assert_allclose(rates(schedule, **optimisation), pytorch(kind, **arguments), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("settings", [{}, {"start": 0.1, "peak": 0.5, "end": 0.001}])
def test_one_cycle_rises_and_falls_as_pytorchs_does(settings: dict[str, float]) -> None:
    """PyTorch counts the peak in steps from one; ours lies at the share that is set."""
    start, peak, end = (settings.get(name, usual) for name, usual in (("start", 0.04), ("peak", 0.3), ("end", 4e-6)))
    shape = {"div_factor": 1 / start, "final_div_factor": start / end, "cycle_momentum": False, "max_lr": 0.4}
    share = (peak * STEPS + 1) / (STEPS + 1)
    expected = pytorch(lr_scheduler.OneCycleLR, total_steps=STEPS + 1, pct_start=share, **shape)
    np.testing.assert_allclose(rates("one_cycle", **settings), expected, rtol=1e-9)


@pytest.mark.parametrize("schedule", ["fixed", "step", "linear", "exponential", "polynomial", "cosine", "one_cycle"])
def test_a_warm_up_stands_in_front_of_any_schedule(schedule: str) -> None:
    """Eleven equal parts up to the schedule's first rate; then the schedule, of the steps that remain."""
    warm = rates(schedule, warmup=10)
    first = 0.4 * (0.04 if schedule == "one_cycle" else 1)
    np.testing.assert_allclose(warm[:11], first * np.arange(1, 12) / 11)
    assert len(warm) == STEPS + 1
    assert np.array_equal(rates(schedule, warmup=10 / STEPS), warm)
    if schedule in {"linear", "polynomial", "exponential", "cosine", "one_cycle"}:  # those that shrink with the steps
        np.testing.assert_allclose(warm[10:], table(section(schedule), STEPS - 10))


def test_a_warm_up_leaves_one_step_at_least() -> None:
    """However many steps are asked for."""
    assert rates("fixed", warmup=1e6)[-2:].tolist() == [0.4, 0.4]
    assert table(section("cosine", warmup=5), 1).tolist() == [0.4, 0]


def test_plateau_falls_as_pytorchs_does() -> None:
    """On errors that fall, stay, rise and fall again; the floor holds."""
    errors = [1.0, 0.9, 0.90001, 0.95, 0.9, 0.91, 0.5, 0.51, 0.52, 0.53, 0.54, 0.49999, *[0.6] * 12]
    reference = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    scheduler = lr_scheduler.ReduceLROnPlateau(reference, factor=0.5, patience=2, min_lr=0.02)
    optimiser = Optimiser(
        torch.nn.Linear(1, 1), section("plateau", factor=0.5, plateau_epochs=2, end=0.05), steps=STEPS
    )
    found, expected = [], []
    for error in errors:
        optimiser.epoch_ended(error)
        scheduler.step(error)
        found.append(optimiser.learning_rate)
        expected.append(reference.param_groups[0]["lr"])
    assert found == pytest.approx(expected)
    assert len(set(found)) > 3


def test_errors_below_zero_must_fall_as_well() -> None:
    """A bound on a likelihood may be negative: the same again is no improvement."""
    optimiser = Optimiser(torch.nn.Linear(1, 1), section("plateau", plateau_epochs=1), steps=STEPS)
    for error in (-5.0, -5.0, -4.9999):
        optimiser.epoch_ended(error)
    assert optimiser.learning_rate == pytest.approx(0.04)


def test_only_plateau_listens_to_errors() -> None:
    """Others know their rates from the start."""
    optimiser = Optimiser(torch.nn.Linear(1, 1), section("cosine"), steps=STEPS)
    for _ in range(50):
        optimiser.epoch_ended(1.0)
    assert optimiser.learning_rate == 0.4
