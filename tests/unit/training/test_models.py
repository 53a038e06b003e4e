"""Models: the body, the scale, the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from staytrue.errors import InvalidConfig, NotFound
from staytrue.sections import ModelSection, TrainingSection
from training.models.architectures import build
from training.models.regressor import Head, Scale
from training.objectives import objective
from training.optim import Optimiser


@pytest.mark.parametrize(("depth", "layers"), [(1, 2), (3, 4)])
def test_an_mlp_has_the_depth_and_width_asked_for(depth: int, layers: int) -> None:
    """Hidden layers, then one number a row."""
    body = build("mlp", 5, {"width": 7, "depth": depth, "dropout": 0.1})
    linear = [m for m in body.modules() if isinstance(m, torch.nn.Linear)]
    assert [m.out_features for m in linear] == [7] * (layers - 1) + [1]
    assert body(torch.zeros(3, 5)).shape == (3, 1)


def test_an_unknown_architecture_says_which_there_are() -> None:
    """Not a KeyError."""
    with pytest.raises(NotFound, match='architecture "cnn": is not known; there are mlp'):
        build("cnn", 5, {})


def test_a_linear_scale_is_mean_and_deviation_by_weight() -> None:
    """Closed form: of 0 and 4 with weights 3 and 1, mean 1 and variance 3."""
    scale = Scale.of(np.array([0.0, 4]), np.array([3.0, 1]), "linear")
    assert [scale.location, scale.spread] == pytest.approx([1, np.sqrt(3)])


def test_a_scale_of_a_target_that_is_always_zero_is_one() -> None:
    """Nothing is divided by zero."""
    zero = np.zeros(3)
    assert Scale.of(zero, zero + 1, "positive").spread == Scale.of(zero, zero + 1, "linear").spread == 1


def test_a_positive_head_never_predicts_below_zero() -> None:
    """Softplus in the graph."""
    head = Head(torch.nn.Identity(), Scale(link="positive", location=0, spread=100))
    assert head(torch.tensor([[-50.0], [0.0], [3.0]])).min() >= 0


@pytest.mark.parametrize(
    ("loss", "expected"),
    [("mse", 4.0), ("mae", 2.0), ("huber", 1.5), ("poisson", (3.0 - 7 * np.log(3.0)) / 2)],
)
def test_losses_against_their_formulas(loss: str, expected: float) -> None:
    """Prediction 3, truth 7, one unit of error 2: two units off."""
    training = TrainingSection.model_validate({"loss": loss})
    row = objective(training, ModelSection(output="positive"), 2.0)(torch.tensor([[3.0]]), torch.tensor([[7.0]]))
    assert row.item() == pytest.approx(expected, rel=1e-5)


def test_a_poisson_loss_needs_a_positive_output() -> None:
    """The logarithm of a negative prediction is none."""
    with pytest.raises(InvalidConfig, match="positive with poisson, got linear"):
        objective(TrainingSection(loss="poisson"), ModelSection(), 1.0)


def test_averaging_keeps_the_moving_average_of_the_weights() -> None:
    """Closed form of two steps: the first sets the average, the second moves it by 1 - decay."""
    module = torch.nn.Linear(1, 1, bias=False)
    optimiser = Optimiser(module, TrainingSection(averaging=0.9, weight_decay=0, schedule="fixed"), steps=10)
    seen = []
    for _ in range(2):
        optimiser.step(module(torch.ones(1, 1)).sum())
        seen.append(module.weight.item())
    assert next(optimiser.kept.parameters()).item() == pytest.approx(0.9 * seen[0] + 0.1 * seen[1], rel=1e-6)


def test_without_averaging_the_module_itself_is_kept() -> None:
    """And a cosine schedule ends at zero."""
    module = torch.nn.Linear(1, 1)
    optimiser = Optimiser(module, TrainingSection(averaging=0, learning_rate=0.5), steps=4)
    assert (optimiser.kept, optimiser.learning_rate) == (module, 0.5)
    for _ in range(4):
        optimiser.step(module(torch.ones(1, 1)).sum())
    assert optimiser.learning_rate == pytest.approx(0)
