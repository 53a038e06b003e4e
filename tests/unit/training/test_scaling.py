"""Scaling: gradients of a loss made large are what they would have been, or are not stepped by."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

from staytrue.errors import InvalidConfig
from staytrue.sections import TrainingSection
from training.devices import devices
from training.optim import Optimiser
from training.scaling import Scaler

ROWS = torch.linspace(-1, 1, 12).reshape(4, 3)
CPU = torch.device("cpu")


def module() -> nn.Linear:
    """Weights that no chance decides."""
    made = nn.Linear(3, 2)
    with torch.no_grad():
        made.weight.copy_(torch.arange(6.0).reshape(2, 3) / 10)
        made.bias.zero_()
    return made


def stepped(scaler: Scaler | None, factors: list[float], **settings: Any) -> nn.Linear:
    """A step for each factor of the loss."""
    made = module()
    given = {"learning_rate": 0.1, "schedule": "fixed", "averaging": 0, **settings}
    optimiser = Optimiser(made, TrainingSection.model_validate(given), len(factors))
    for factor in factors:
        optimiser.step(made(ROWS).square().mean() * factor, scaler)
    return made


@pytest.mark.parametrize(
    "settings",
    [
        {"optimiser": "sgd"},
        {"optimiser": "sgd", "regularisation": {"clip_norm": 0.01}},
        {"optimiser": "sgd", "regularisation": {"clip_value": 0.01, "l1": 0.1, "l2": 0.1}},
        {"optimiser": "adamw", "weight_decay": 0.1},
    ],
)
def test_limits_and_penalties_see_the_gradient_as_it_is(settings: dict[str, Any]) -> None:
    """A power of two changes no digit."""
    plain, scaled = stepped(None, [1.0, 3.0], **settings), stepped(Scaler(CPU), [1.0, 3.0], **settings)
    torch.testing.assert_close(scaled.weight, plain.weight, rtol=1e-6, atol=0)
    assert not torch.equal(plain.weight, module().weight)


@pytest.mark.parametrize("settings", [{"optimiser": "sgd", "weight_decay": 0.5}, {"optimiser": "adamw"}])
def test_a_gradient_that_overflows_leaves_the_weights_and_halves_the_factor(settings: dict[str, Any]) -> None:
    scaler = Scaler(CPU, first=1024.0)
    assert torch.equal(stepped(scaler, [math.inf], **settings).weight, module().weight)
    assert scaler.factor == 512.0
    once = stepped(Scaler(CPU), [1.0], **settings)
    torch.testing.assert_close(stepped(scaler, [math.inf, 1.0], **settings).weight, once.weight)


def test_the_average_begins_with_the_first_step_that_is_taken() -> None:
    made = module()
    settings = TrainingSection(optimiser="sgd", learning_rate=0.1, schedule="fixed", averaging=0.9)
    optimiser, scaler = Optimiser(made, settings, 2), Scaler(CPU)
    for factor in (math.inf, 1.0):
        optimiser.step(made(ROWS).square().mean() * factor, scaler)
    assert isinstance(optimiser.kept, nn.Linear)
    assert torch.equal(optimiser.kept.weight, made.weight)
    assert not torch.equal(made.weight, module().weight)


def test_it_goes_on_where_it_was() -> None:
    """Factor, and steps since it last changed: the 2,000th after an overflow doubles it, resumed or not."""
    scaler = Scaler(CPU, first=1024.0)
    weight = nn.Parameter(torch.ones(1))
    optimiser = torch.optim.SGD([weight], lr=0.0)

    def steps(scaler: Scaler, count: int) -> None:
        for _ in range(count):
            optimiser.zero_grad()
            scaler.backward(weight.sum())
            scaler.ready(optimiser)

    steps(scaler, 1999)
    other = Scaler(CPU)
    other.restore(copy.deepcopy(scaler.state()))
    assert (scaler.factor, other.factor) == (1024.0, 1024.0)
    steps(scaler, 1)
    steps(other, 1)
    assert (scaler.factor, other.factor) == (2048.0, 2048.0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_another_precision_is_asked_for() -> None:
    with pytest.raises(
        InvalidConfig, match=r"training\.precision: expected full or bf16 without a GPU, got fp16; bf16"
    ):
        devices(TrainingSection(precision="fp16"))
