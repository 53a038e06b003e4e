"""Penalties, clipping and decay: by hand, and by the solutions that others find."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Lasso, Ridge

from staytrue.sections import TrainingSection
from training.optim import Optimiser

PLAIN = {"optimiser": "sgd", "averaging": 0, "schedule": "fixed", "learning_rate": 0.5}


def step(gradient: list[float], weight: list[float], **regularisation: Any) -> list[float]:
    """Weights after one step of plain descent at a rate of 0.5."""
    module = torch.nn.Linear(len(weight), 1, bias=False).double()
    module.weight.data = torch.tensor([weight], dtype=torch.float64)
    decay = regularisation.pop("weight_decay", None)
    settings = {**PLAIN, "weight_decay": decay, "regularisation": regularisation}
    optimiser = Optimiser(module, TrainingSection.model_validate(settings), steps=1)
    optimiser.step((module.weight * torch.tensor(gradient, dtype=torch.float64)).sum())
    found: list[float] = module.weight.detach()[0].tolist()
    return found


@pytest.mark.parametrize(
    ("regularisation", "expected"),
    [
        ({}, [1 - 1.5, -2 + 2]),
        ({"l1": 0.2}, [1 - 0.5 * (3 + 0.2), -2 - 0.5 * (-4 - 0.2)]),
        ({"l2": 0.2}, [1 - 0.5 * (3 + 0.2 * 1), -2 - 0.5 * (-4 + 0.2 * -2)]),
        ({"weight_decay": 0.2}, [0.9 * 1 - 0.5 * 3, 0.9 * -2 - 0.5 * -4]),
        ({"clip_norm": 1}, [1 - 0.5 * 0.6, -2 + 0.5 * 0.8]),
        ({"clip_norm": 50}, [1 - 1.5, -2 + 2]),
        ({"clip_value": 3.5}, [1 - 0.5 * 3, -2 + 0.5 * 3.5]),
        ({"clip_norm": 1, "l1": 0.2, "l2": 0.1}, [1 - 0.5 * (0.6 + 0.2 + 0.1), -2 - 0.5 * (-0.8 - 0.2 - 0.2)]),
    ],
    ids=str,
)
def test_one_step_by_hand(regularisation: dict[str, float], expected: list[float]) -> None:
    """Gradient 3 and -4, of norm 5, at the weights 1 and -2; penalties are added to what was clipped."""
    assert step([3, -4], [1, -2], **regularisation) == pytest.approx(expected, abs=1e-6)


def test_a_penalty_of_the_absolute_value_leaves_zero_alone() -> None:
    """The sign of zero is zero."""
    assert step([0, 0], [0, 4], l1=1) == [0, 3.5]


def test_decay_may_leave_biases_and_norms_alone() -> None:
    """What has one axis keeps its value where there is no gradient; by default all shrink."""

    def after(decayed: str, **extra: Any) -> dict[str, float]:
        torch.manual_seed(0)
        module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
        for weight in module.parameters():
            torch.nn.init.ones_(weight)
        settings = {**PLAIN, "regularisation": {"decayed": decayed, **extra.pop("regularisation", {})}, **extra}
        optimiser = Optimiser(module, TrainingSection.model_validate(settings), steps=1)
        optimiser.step(torch.stack([0 * weight.sum() for weight in module.parameters()]).sum())
        return {name: round(weight.flatten()[0].item(), 6) for name, weight in module.named_parameters()}

    thin = ("0.bias", "1.weight", "1.bias")
    for extra in ({"weight_decay": 0.1}, {"regularisation": {"l2": 0.1}}, {"regularisation": {"l1": 0.1}}):
        assert after("all", **dict(extra)) == {"0.weight": 0.95} | dict.fromkeys(thin, 0.95)
        assert after("weights", **dict(extra)) == {"0.weight": 0.95} | dict.fromkeys(thin, 1.0)
    decoupled = after("weights", optimiser="adamw", weight_decay=0.1)
    assert decoupled == {"0.weight": 0.95} | dict.fromkeys(thin, 1.0)


def fitted(**regularisation: float) -> np.ndarray:
    """A linear regression of the diabetes data by whole-batch descent; half the mean squared error is minimised."""
    x, y = (torch.tensor(part) for part in load_diabetes(return_X_y=True))
    x, y = x * len(x) ** 0.5, (y - y.mean()) / y.std(correction=0)
    module = torch.nn.Linear(10, 1, bias=False).double()
    torch.nn.init.zeros_(module.weight)
    settings = {**PLAIN, "optimiser": "nesterov", "schedule": "exponential", "learning_rate": 0.1}
    training = TrainingSection.model_validate({**settings, "regularisation": regularisation})
    optimiser = Optimiser(module, training, steps=400)
    for _ in range(400):
        optimiser.step(((module(x).squeeze(1) - y) ** 2).mean() / 2)
    found: np.ndarray = module.weight.detach().numpy()[0]
    return found


def test_penalties_lead_where_ridge_and_lasso_do() -> None:
    """On real data, to what scikit-learn solves for: L2 of the same strength, L1 with the same weights at zero."""
    x, y = load_diabetes(return_X_y=True)
    x, y = x * len(x) ** 0.5, (y - y.mean()) / y.std()
    ridge = Ridge(alpha=0.3 * len(x), fit_intercept=False).fit(x, y)
    np.testing.assert_allclose(fitted(l2=0.3), ridge.coef_, atol=1e-4)
    lasso = Lasso(alpha=0.1, fit_intercept=False).fit(x, y)
    found = fitted(l1=0.1)
    assert np.array_equal(np.abs(found) < 0.01, lasso.coef_ == 0)
    np.testing.assert_allclose(found, lasso.coef_, atol=0.01)


def test_frozen_weights_are_neither_clipped_nor_shrunk() -> None:
    """They have no gradient."""
    module = torch.nn.Linear(2, 2)
    module.weight.requires_grad = False
    before = module.weight.clone()
    settings = {**PLAIN, "weight_decay": 0.5, "regularisation": {"l1": 1, "l2": 1, "clip_norm": 1, "clip_value": 1}}
    optimiser = Optimiser(module, TrainingSection.model_validate(settings), steps=1)
    optimiser.step(module(torch.ones(1, 2)).sum())
    assert torch.equal(module.weight, before)
    assert not torch.equal(module.bias, torch.zeros(2))
