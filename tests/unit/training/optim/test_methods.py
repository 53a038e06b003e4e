"""Optimisers against the formulas of their papers, written down again in numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from staytrue.optimisation import RATES
from staytrue.sections import TrainingSection
from training.optim import Optimiser

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

START = np.array([1.0, -2.0, 0.5])
GRADIENTS = np.array([[0.3, -1.0, 2.0], [0.1, 0.4, -3.0], [-0.7, 0.2, 0.0], [1.5, -0.6, 0.9]])


class Weights(torch.nn.Module):
    """One vector of weights in double precision."""

    def __init__(self, values: Vector = START) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(values))


def trained(gradients: Vector = GRADIENTS, start: Vector = START, **settings: Any) -> Vector:
    """The weights after steps with these gradients, each of which is that of a product."""
    module = Weights(start)
    given = {"averaging": 0, "schedule": "fixed", "learning_rate": 0.1, **settings}
    optimiser = Optimiser(module, TrainingSection.model_validate(given), steps=len(gradients))
    for gradient in gradients:
        optimiser.step((module.weight * torch.tensor(gradient)).sum())
    found: Vector = module.weight.detach().numpy().copy()
    return found


def sgd(weight: Vector) -> Vector:
    """Robbins and Monro."""
    for gradient in GRADIENTS:
        weight = weight - 0.1 * gradient
    return weight


def momentum(weight: Vector) -> Vector:
    """Polyak's heavy ball."""
    speed = np.zeros(3)
    for gradient in GRADIENTS:
        speed = 0.8 * speed - 0.1 * gradient
        weight = weight + speed
    return weight


def adagrad(weight: Vector) -> Vector:
    """Duchi et al., the diagonal form."""
    seen = np.zeros(3)
    for gradient in GRADIENTS:
        seen = seen + gradient**2
        weight = weight - 0.1 * gradient / (np.sqrt(seen) + 1e-3)
    return weight


def adadelta(weight: Vector) -> Vector:
    """Zeiler's algorithm 1."""
    seen, moved = np.zeros(3), np.zeros(3)
    for gradient in GRADIENTS:
        seen = 0.95 * seen + 0.05 * gradient**2
        change = -np.sqrt(moved + 1e-3) / np.sqrt(seen + 1e-3) * gradient
        moved = 0.95 * moved + 0.05 * change**2
        weight = weight + 0.1 * change
    return weight


def rmsprop(weight: Vector) -> Vector:
    """Tieleman and Hinton's lecture 6.5, with momentum."""
    seen, speed = np.zeros(3), np.zeros(3)
    for gradient in GRADIENTS:
        seen = 0.95 * seen + 0.05 * gradient**2
        speed = 0.8 * speed + gradient / (np.sqrt(seen) + 1e-3)
        weight = weight - 0.1 * speed
    return weight


def adam(weight: Vector, decay: float = 0.0) -> Vector:
    """Kingma and Ba's algorithm 1; with decay Loshchilov and Hutter's algorithm 2."""
    first, second = np.zeros(3), np.zeros(3)
    for step, gradient in enumerate(GRADIENTS, start=1):
        weight = weight - 0.1 * decay * weight
        first = 0.7 * first + 0.3 * gradient
        second = 0.95 * second + 0.05 * gradient**2
        weight = weight - 0.1 * (first / (1 - 0.7**step)) / (np.sqrt(second / (1 - 0.95**step)) + 1e-3)
    return weight


BETAS = {"beta1": 0.7, "beta2": 0.95, "epsilon": 1e-3}


@pytest.mark.parametrize(
    ("optimiser", "formula", "takes"),
    [
        ("sgd", sgd, {}),
        ("momentum", momentum, {"momentum": 0.8}),
        ("adagrad", adagrad, {"epsilon": 1e-3}),
        ("adadelta", adadelta, {"rho": 0.95, "epsilon": 1e-3}),
        ("rmsprop", rmsprop, {"rho": 0.95, "epsilon": 1e-3, "momentum": 0.8}),
        ("adam", adam, BETAS),
    ],
)
def test_four_steps_are_those_of_the_paper(
    optimiser: str, formula: Callable[[Vector], Vector], takes: dict[str, float]
) -> None:
    """In double precision, with settings that are not the defaults."""
    np.testing.assert_allclose(trained(optimiser=optimiser, optimisation=takes), formula(START), rtol=1e-12)


def test_adamw_decays_apart_from_the_gradient() -> None:
    """By the learning rate times the decay, whatever the gradient is scaled by."""
    found = trained(optimiser="adamw", weight_decay=0.5, optimisation=BETAS)
    np.testing.assert_allclose(found, adam(START, decay=0.5), rtol=1e-12)


def test_nesterov_looks_ahead() -> None:
    """Sutskever's form, whose gradient is that of where momentum leads: its points of view are our weights."""
    curvature = np.array([1.0, 4.0, 9.0])
    module = Weights()
    settings = {"optimiser": "nesterov", "averaging": 0, "schedule": "fixed", "learning_rate": 0.05}
    optimiser = Optimiser(module, TrainingSection.model_validate(settings), steps=5)
    place, speed = START, np.zeros(3)
    for _ in range(5):
        optimiser.step((torch.tensor(curvature) * module.weight**2).sum() / 2)
        speed = 0.9 * speed - 0.05 * curvature * (place + 0.9 * speed)
        place = place + speed
        np.testing.assert_allclose(module.weight.detach().numpy(), place + 0.9 * speed, rtol=1e-12)


DEFAULTS = {
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9},
    "adagrad": {"epsilon": 1e-10},
    "adadelta": {"rho": 0.9, "epsilon": 1e-6},
    "rmsprop": {"rho": 0.99, "epsilon": 1e-8},
    "adam": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    "adamw": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
}


@pytest.mark.parametrize("optimiser", DEFAULTS)
def test_what_is_unset_is_what_the_settings_say(optimiser: str) -> None:
    """The page of settings names the defaults in words."""
    unset, told = trained(optimiser=optimiser), trained(optimiser=optimiser, optimisation=DEFAULTS[optimiser])
    assert np.array_equal(unset, told)


def test_each_optimiser_has_a_learning_rate_of_its_own() -> None:
    """Unless one is set; AdamW alone decays by itself."""
    made = {name: TrainingSection.model_validate({"optimiser": name}) for name in RATES}
    assert {name: section.rate for name, section in made.items()} == RATES
    assert {name for name, section in made.items() if section.decay} == {"adamw"}
    assert TrainingSection(optimiser="sgd", learning_rate=0.5, weight_decay=0.1).rate == 0.5
    assert TrainingSection(optimiser="sgd", learning_rate=0.5, weight_decay=0.1).decay == 0.1
