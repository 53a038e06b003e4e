"""The optimiser as the loop sees it: groups, averages, and going on from a state to the bit."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any, get_args

import pytest
import safetensors.torch
import torch
from sklearn.datasets import load_digits
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from staytrue.errors import CorruptData
from staytrue.optimisation import OptimiserName, ScheduleName
from staytrue.sections import TrainingSection
from training.models.layout import Layout, Piece
from training.models.resnet import ResNet
from training.optim import Optimiser
from training.sampling import order

EVERYTHING = list(itertools.product(get_args(OptimiserName), get_args(ScheduleName)))
STEPS = 8


def network(seed: int = 0) -> torch.nn.Sequential:
    """Weights of every kind: a table, matrices, a norm with its buffers."""
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Embedding(5, 3), torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU(), torch.nn.Linear(4, 2)
    )


def settings(**given: Any) -> TrainingSection:
    """With all that has a state."""
    regularisation = {"l1": 1e-3, "l2": 1e-3, "clip_norm": 1, "decayed": "weights"}
    base = {"epochs": STEPS // 2, "averaging": 0.7, "regularisation": regularisation, "optimisation": {"warmup": 2}}
    return TrainingSection.model_validate(base | given)


def optimiser_of(module: torch.nn.Sequential, training: TrainingSection) -> Optimiser:
    """The last layer learns at half the rate."""
    return Optimiser(module, training, STEPS, groups=[(module[4].parameters(), 0.5)])


def run(module: torch.nn.Sequential, optimiser: Optimiser, begin: int, end: int) -> None:
    """Steps on batches of their own; an epoch is two of them and never any better than the first."""
    for step in range(begin, end):
        drawn = torch.Generator().manual_seed(step)
        places = torch.randint(0, 5, (6,), generator=drawn)
        optimiser.step(torch.nn.functional.cross_entropy(module(places), places % 2))
        if step % 2:
            optimiser.epoch_ended(1.0)


def everything(module: torch.nn.Module, optimiser: Optimiser) -> dict[str, torch.Tensor]:
    """Weights and buffers, the averaged ones too, and what the optimiser remembers."""
    kept = {f"kept.{name}": value for name, value in optimiser.kept.state_dict().items()}
    return {**module.state_dict(), **kept, **optimiser.state()[0]}


@pytest.mark.parametrize(("name", "schedule"), EVERYTHING, ids=map("-".join, EVERYTHING))
def test_a_training_that_goes_on_ends_at_the_same_bits(name: str, schedule: str) -> None:
    """Cut after three steps, inside an epoch; state and weights go through safetensors and JSON."""
    waits = {"warmup": 2, **({"plateau_epochs": 1} if schedule == "plateau" else {})}
    training = settings(optimiser=name, schedule=schedule, optimisation=waits)
    module = network()
    optimiser = optimiser_of(module, training)
    run(module, optimiser, 0, 3)
    tensors, values = optimiser.state()
    written, text = safetensors.torch.save(tensors), json.dumps(values, allow_nan=False)
    weights = copy.deepcopy(module.state_dict())
    run(module, optimiser, 3, STEPS)
    again = network(seed=1)
    again.load_state_dict(weights)
    resumed = optimiser_of(again, training)
    resumed.restore(safetensors.torch.load(written), json.loads(text))
    run(again, resumed, 3, STEPS)
    expected, found = everything(module, optimiser), everything(again, resumed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert resumed.learning_rate == optimiser.learning_rate
    assert resumed.state()[1] == optimiser.state()[1]


def test_a_state_does_not_change_when_training_goes_on() -> None:
    """It may be written while the next step is taken."""
    module = network()
    optimiser = optimiser_of(module, settings())
    run(module, optimiser, 0, 2)
    tensors, _ = optimiser.state()
    before = {name: value.clone() for name, value in tensors.items()}
    run(module, optimiser, 2, 4)
    assert all(torch.equal(before[name], value) for name, value in tensors.items())


def test_a_state_of_another_training_is_refused() -> None:
    """Of another optimiser, another shape, other names."""
    module = network()
    optimiser = optimiser_of(module, settings())
    run(module, optimiser, 0, 1)
    tensors, values = optimiser.state()
    with pytest.raises(CorruptData, match="expected sgd, got adamw"):
        optimiser_of(network(), settings(optimiser="sgd")).restore(tensors, values)
    with pytest.raises(CorruptData, match="the schedule's state: expected plateau, got cosine"):
        optimiser_of(network(), settings(schedule="plateau")).restore(tensors, values)
    other = torch.nn.Sequential(*list(network())[:4], torch.nn.Linear(4, 3))
    with pytest.raises(
        CorruptData, match=r"expected step of 4\.weight|exp_avg of 4\.weight, got \[2, 4\], where \[3, 4\]"
    ):
        optimiser_of(other, settings()).restore(tensors, values)
    strange = {"optimiser.exp_avg.5.weight": torch.zeros(1)}
    with pytest.raises(CorruptData, match=r"expected exp_avg of 5\.weight, got no such parameter"):
        optimiser_of(network(), settings(averaging=0)).restore(strange, values)
    with pytest.raises(CorruptData, match="the averaged weights: are another module's"):
        optimiser_of(network(), settings()).restore({}, values)


def test_groups_have_their_share_of_the_learning_rate() -> None:
    """Plain descent on a sum: each weight moves by its own rate; a factor of 0 holds still."""
    module = torch.nn.Sequential(*(torch.nn.Linear(1, 1, bias=False) for _ in range(3))).double()
    for weight in module.parameters():
        torch.nn.init.zeros_(weight)
    training = TrainingSection(optimiser="sgd", learning_rate=0.5, schedule="linear", averaging=0, epochs=1)
    optimiser = Optimiser(module, training, 4, groups=[(module[0].parameters(), 0.1), (module[1].parameters(), 0.0)])
    for _ in range(2):
        optimiser.step(torch.stack([weight.sum() for weight in module.parameters()]).sum())
    moved = [weight.item() for weight in module.parameters()]
    assert moved == pytest.approx([-0.1 * (0.5 + 0.375), 0, -(0.5 + 0.375)])


def test_somebody_else_may_compute_the_gradient() -> None:
    """As Accelerate does, which scales or spreads it."""
    module = torch.nn.Linear(1, 1, bias=False)
    before = module.weight.item()
    training = TrainingSection(optimiser="sgd", learning_rate=0.5, schedule="fixed", averaging=0)
    optimiser = Optimiser(module, training, 2)

    class Twice:
        """Twice the gradient, stepped by the first time alone."""

        asked = 0

        def backward(self, loss: torch.Tensor) -> None:
            """Add it."""
            torch.autograd.backward(2 * loss)

        def ready(self, optimiser: torch.optim.Optimizer) -> bool:
            """As is said above."""
            self.asked += len(optimiser.param_groups)
            return self.asked == 1

    machine = Twice()
    for _ in range(2):
        optimiser.step(module(torch.ones(1, 1)).sum(), machine)
    assert module.weight.item() == pytest.approx(before - 1)
    assert machine.asked == 2


def test_the_average_is_pytorchs_to_the_bit() -> None:
    """Of a network with norms: weights averaged, their running statistics those of the newest step."""
    torch.manual_seed(0)
    pictures = Layout([Piece(name="p", kind="image", begin=0, end=36, shape=[1, 6, 6])])
    module = ResNet(pictures, 2, width=4, depth=1)
    optimiser = Optimiser(module, TrainingSection(averaging=0.9), steps=6)
    average = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.9))  # type: ignore[no-untyped-call]
    for step in range(6):
        rows = torch.randn(8, 36, generator=torch.Generator().manual_seed(step))
        optimiser.step(module(rows).square().mean())
        average.update_parameters(module)
    expected, found = average.module.state_dict(), optimiser.kept.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert not torch.equal(module.last.weight, found["last.weight"])


@pytest.mark.parametrize("name", get_args(OptimiserName))
def test_each_optimiser_learns_digits_at_its_own_rate(name: OptimiserName) -> None:
    """1,200 real pictures to learn from and 597 by other hands to be judged by; nothing is set but the optimiser."""
    pixels, digits = load_digits(return_X_y=True)
    x, y = torch.tensor((pixels - 4.9) / 6.0, dtype=torch.float32), torch.tensor(digits)
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    epochs, steps = 10, 19
    training = TrainingSection(optimiser=name, epochs=epochs, averaging=0.9)
    optimiser = Optimiser(module, training, steps * epochs)
    for epoch in range(epochs):
        for which in torch.tensor_split(order(1200, epoch, seed=0), steps):
            optimiser.step(torch.nn.functional.cross_entropy(module(x[which]), y[which]))
    with torch.no_grad():
        right = (optimiser.kept(x[1200:]).argmax(1) == y[1200:]).float().mean().item()
    assert right > 0.88, right
