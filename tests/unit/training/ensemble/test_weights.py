"""Weights: against the closed form of constrained least squares, and against what a mixture was drawn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from training.ensemble.comparison import Paired
from training.ensemble.losses import losses
from training.ensemble.weights import crossfitted, equal, fitted
from training.evaluate.classification import LEAST_PROBABILITY
from training.models.classifier import Classifier
from training.models.quantiles import QuantileRegressor
from training.models.regressor import Regressor, Scale
from training.tasks.classification import Classification
from training.tasks.quantiles import Quantiles
from training.tasks.regression import Regression

if TYPE_CHECKING:
    from torch import Tensor

    from training.models.model import Model
    from training.objectives import Objective
    from training.tasks.task import Task

SCALE = Scale(link="linear", location=0.0, spread=1.0)


def objective(task: Task, kind: type[Model]) -> Objective:
    """What weights are fitted by."""
    *_, last = losses(task, kind.__new__(kind)).values()
    return last


def squared() -> Objective:
    """Of a number."""
    return objective(Regression("y", SCALE), Regressor)


def drawn(count: int, seed: int = 0, rows: int = 400) -> tuple[list[Tensor], Tensor]:
    """Predictions of members with errors that hang together, and the truth."""
    draw = np.random.default_rng(seed)
    truth = draw.normal(size=(rows, 1))
    shared = draw.normal(size=(rows, 1))
    said = [truth + 0.3 * shared + (0.5 + place) * draw.normal(size=(rows, 1)) for place in range(count)]
    return [torch.from_numpy(one) for one in said], torch.from_numpy(truth)


def test_two_members_get_the_weights_of_the_closed_form() -> None:
    """The minimum of a parabola, cut to [0,1]: (t - b)·(a - b) / |a - b|²."""
    (a, b), truth = drawn(2)
    best = float(((truth - b) * (a - b)).sum() / ((a - b) ** 2).sum())
    assert 0 < best < 1
    assert fitted([a, b], truth, squared()) == pytest.approx([best, 1 - best], abs=1e-6)
    worse = [b + 20 * (b - truth), b]  # whose best weight by the parabola is below 0
    assert float(((truth - b) * (worse[0] - b)).sum() / ((worse[0] - b) ** 2).sum()) < 0
    assert fitted(worse, truth, squared()) == pytest.approx([0.0, 1.0])


def test_three_members_get_what_the_lagrange_multiplier_says() -> None:
    """Errors E: weights that add up to 1 and minimise |Ew|² are (EᵀE)⁻¹1, scaled to 1."""
    each, truth = drawn(3)
    errors = np.hstack([(one - truth).numpy() for one in each])
    solved = np.linalg.solve(errors.T @ errors, np.ones(3))
    solved /= solved.sum()
    assert (solved > 0).all()
    assert fitted(each, truth, squared()) == pytest.approx(solved.tolist(), abs=1e-6)


def test_where_a_border_is_met_no_other_weights_are_better() -> None:
    """All points of a fine grid over the simplex."""
    each, truth = drawn(3, seed=3)
    each[2] = each[0] + 0.5 * (each[0] - truth)  # nothing that the first does not say better
    weights = fitted(each, truth, squared())
    assert weights[2] == 0.0
    errors = np.hstack([(one - truth).numpy() for one in each])
    steps = np.linspace(0, 1, 101)
    grid = [(a, b, 1 - a - b) for a in steps for b in steps if a + b <= 1 + 1e-9]
    least = min(float(((errors @ np.array(point)) ** 2).mean()) for point in grid)
    assert float(((errors @ np.array(weights)) ** 2).mean()) <= least + 1e-9


def test_probabilities_get_the_shares_of_the_mixture_they_were_drawn_from() -> None:
    """By the log loss, whose minimum the expectation-maximisation of a mixture's shares finds too."""
    draw = np.random.default_rng(1)
    first, second = (draw.dirichlet([0.5] * 3, size=4000) for _ in range(2))
    which = np.where(draw.random(4000)[:, None] < 0.7, first, second)
    truth = np.array([draw.choice(3, p=row) for row in which])
    each = [torch.from_numpy(first), torch.from_numpy(second)]
    by = objective(Classification("y", ("a", "b", "c")), Classifier)
    weights = fitted(each, torch.from_numpy(truth).unsqueeze(1), by)
    likely = np.stack([first[np.arange(4000), truth], second[np.arange(4000), truth]])
    shares = np.array([0.5, 0.5])
    for _ in range(2000):
        told = shares[:, None] * likely
        shares = (told / told.sum(axis=0)).mean(axis=1)
    assert weights == pytest.approx(shares.tolist(), abs=1e-4)
    assert weights[0] == pytest.approx(0.7, abs=0.05)


def test_quantiles_are_weighed_by_the_pinball_loss() -> None:
    """One member has the right ones, one is off: nearly all goes to the first, and more is not better."""
    draw = np.random.default_rng(2)
    truth = torch.from_numpy(draw.normal(size=(2000, 1)))
    right = torch.tensor([[-1.2816, 0.0, 1.2816]], dtype=torch.float64).repeat(2000, 1)
    off = right + torch.from_numpy(draw.normal(size=(2000, 1)))
    by = objective(Quantiles("y", SCALE, (0.1, 0.5, 0.9)), QuantileRegressor)
    first, second = fitted([right, off], truth, by)
    assert first > 0.95
    steps = np.linspace(0, 1, 201)
    least = min(float(by(right * step + off * (1 - step), truth).mean()) for step in steps)
    assert float(by(right * first + off * second, truth).mean()) <= least + 1e-4


def test_what_was_thought_impossible_has_a_large_and_finite_loss() -> None:
    """And a slope that leads away from it."""
    said = [torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]])]
    by = objective(Classification("y", ("a", "b")), Classifier)
    truth = torch.tensor([[1]])
    assert float(by(said[0].double(), truth)) == pytest.approx(-np.log(LEAST_PROBABILITY))
    assert fitted(said, truth, by) == pytest.approx([0.0, 1.0], abs=1e-6)


def test_figures_of_a_day_are_of_weights_that_it_did_not_choose() -> None:
    """The first half has one member right, the second the other: each half gets the wrong one."""
    truth = torch.zeros(40, 1, dtype=torch.float64)
    noise = torch.ones(20, 1, dtype=torch.float64)
    a, b = torch.cat([0 * noise, noise]), torch.cat([noise, 0 * noise])
    days = np.repeat(np.arange(2), 20)
    made = crossfitted([a, b], truth, squared(), days)
    assert made is not None
    assert made == pytest.approx(torch.ones(40, 1).numpy(), abs=1e-6)
    assert crossfitted([a, b], truth, squared(), np.zeros(40, dtype=np.int64)) is None
    assert equal(4) == [0.25] * 4


def test_a_difference_without_an_interval_is_not_shown_to_be_better() -> None:
    """As of rows of one day, of which all draws are alike."""
    assert Paired(best="a", difference=-2.0, low=-2.0, high=-2.0, bare=True).verdict == "not shown to be better"
    assert Paired(best="a", difference=-2.0, low=-2.0, high=-2.0).verdict == "better"  # by as much on each day
    assert Paired(best="a", difference=-2.0, low=-3.0, high=-1.0).verdict == "better"
