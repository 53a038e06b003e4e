"""Guard: trainings that really diverge are stopped with what happened, and those that only shake are not."""

from __future__ import annotations

import functools
import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from staytrue.errors import InvalidInput
from staytrue.sections import TrainingSection
from training.divergence import Scene, by_column
from training.guard import IN_A_ROW, Guard

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

ROWS = 64


def squared(outputs: Tensor, truth: Tensor) -> Tensor:
    """Of each row. Shapes: [n,1], [n,1] → [n,1]."""
    return (outputs - truth).square()


class Loop:
    """The few lines of a training: SGD over batches of 16 rows of two columns, the guard before each step."""

    def __init__(
        self, module: nn.Module, rate: float = 0.01, loss: Callable[[Tensor, Tensor], Tensor] = squared
    ) -> None:
        generator = torch.Generator().manual_seed(0)
        self.inputs = torch.randn(ROWS, 2, generator=generator)
        self.truth = self.inputs.sum(1, keepdim=True)
        self.module, self.rate, self.loss = module, rate, loss
        self.guard = Guard(TrainingSection())

    def run(self, epochs: int = 50) -> str:
        """What it was stopped with."""
        with pytest.raises(InvalidInput) as stopped:
            self._train(epochs)
        return str(stopped.value)

    def _train(self, epochs: int) -> None:
        descent = torch.optim.SGD(self.module.parameters(), self.rate)
        for step in range(epochs * 4):
            which = torch.arange(16) + step % 4 * 16
            losses = self.losses(which)
            loss, look = losses.mean(), functools.partial(self.scene, which)
            self.guard.check(step + 1, step // 4 + 1, loss.item(), look)
            descent.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            descent.step()

    def scene(self, which: Tensor) -> Scene:
        """The batch once more."""
        columns = by_column(["temp", "wind"], [1, 1], self.inputs[which])
        return Scene(self.module, lambda: self.losses(which), which.tolist(), columns, self.rate)

    def losses(self, which: Tensor) -> Tensor:
        """Of each row."""
        return self.loss(self.module(self.inputs[which]), self.truth[which])


def network(seed: int = 0) -> nn.Sequential:
    """Two layers."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))


class Logarithm(nn.Module):
    """Has no value below zero."""

    def forward(self, values: Tensor) -> Tensor:
        """Shapes: [n,k] → [n,k]."""
        return values.log()


def test_a_rate_that_is_far_too_large_is_told_with_a_smaller_one() -> None:
    """Weights leap from side to side, ever further, until squares are infinite: the loss is above the limit before."""
    said = Loop(network(), rate=50.0).run()
    assert said.startswith("training, epoch ")
    assert "expected a finite loss, got " in said
    assert " at step " in said
    assert "lower training.learning_rate from 50 to 0.01" in said


def test_a_loss_that_grows_slowly_is_stopped_long_before_it_is_infinite() -> None:
    """Of one weight and x = 1: it becomes 1 - 2·rate = -1.2 of itself a step.

    So the loss is (1.2²)^n, which passes 100 after 13 steps; 20 in a row are waited for.
    """
    linear = nn.Linear(1, 1, bias=False)
    linear.weight.data.fill_(1.0)
    loop = Loop(linear, rate=1.1, loss=squared)
    loop.inputs, loop.truth = torch.ones(ROWS, 1), torch.zeros(ROWS, 1)
    loop.scene = lambda which: Scene(  # type: ignore[method-assign]
        linear, lambda: loop.losses(which), which.tolist(), {"temp": loop.inputs[which]}, loop.rate
    )
    said = loop.run()
    steps = math.ceil(math.log(100) / math.log(1.2**2)) + IN_A_ROW
    assert f"training, epoch {math.ceil(steps / 4)}: expected a loss below 100, 100 times the first, got " in said
    assert f" at step {steps}, the 20th above it in a row: the steepest gradient is that of weight (norm " in said
    assert said.endswith(
        "lower training.learning_rate from 1.1 to 0.01; or clip the gradient (training.regularisation.clip_norm)"
    )


def test_a_layer_without_a_value_for_its_inputs_is_named() -> None:
    said = Loop(nn.Sequential(nn.Linear(2, 4), Logarithm(), nn.Linear(4, 1))).run()
    assert (
        'training, epoch 1: expected a finite loss, got nan at step 1: layer "1" (Logarithm) made nan of finite '
        in said
    )
    assert "inputs (-" in said
    assert "; keep what that layer is given where it has a value; or lower training.learning_rate" in said


def test_one_corrupted_layer_is_named_with_its_weights() -> None:
    """Its first weight is NaN; what comes behind it is not blamed."""
    module = network()
    with torch.no_grad():
        next(module.parameters())[0, 0] = math.nan
    said = Loop(module).run()
    assert 'the weights 0.weight are not finite, layer "0" (Linear) made nan of finite inputs' in said
    assert "keep what that layer" not in said


def test_an_overflow_of_half_precision_advises_full_precision() -> None:
    """300² is beyond 65504, the largest float16."""

    class Half(nn.Module):
        def forward(self, values: Tensor) -> Tensor:
            return (values.half().clamp(1.0, 2.0) * 300).square().float()

    said = Loop(nn.Sequential(Half(), nn.Linear(2, 1))).run()
    assert 'got nan at step 1: layer "0" (Half) made nan' not in said
    assert "train in float32" not in said, "the module's own output is float32 already"

    class Square(nn.Module):
        def forward(self, values: Tensor) -> Tensor:
            return values.half().abs().add(300).square()

    class Widen(nn.Module):
        def forward(self, values: Tensor) -> Tensor:
            return values.float()

    said = Loop(nn.Sequential(Square(), Widen(), nn.Linear(2, 1))).run()
    assert 'layer "0" (Square) made infinity of finite inputs' in said
    assert "train in float32: float16 overflowed" in said


def test_rows_whose_inputs_are_no_numbers_are_named_with_their_column() -> None:
    """And nothing else is advised: no rate would help."""
    loop = Loop(network())
    loop.inputs[[17, 21], 1] = math.inf
    said = loop.run()
    assert 'got nan at step 2: "wind" of training rows 17, 21 hold no finite numbers' in said
    assert said.endswith('; repair or leave out "wind" (docs/cleaning.md)')


def test_an_outlier_is_named_with_its_row_and_column() -> None:
    loop = Loop(network())
    loop.inputs[40, 0] = -1e25
    said = loop.run()
    assert "got inf at step 3: the model's outputs are finite" in said
    assert '"temp" of training row 40 hold numbers far from the others, training row 40 with no finite loss' in said
    assert (
        '; look for outliers in "temp" (cleaning.outliers); or lower training.learning_rate from 0.01 to 0.001' in said
    )


def test_a_loss_that_has_no_value_is_told_from_a_layer() -> None:
    """The logarithm of outputs that may be negative."""
    said = Loop(network(), loss=lambda outputs, truth: outputs.log() - truth).run()
    assert "got nan at step 1: the model's outputs are finite (-" in said
    assert "choose a training.loss that has a value there, or model.output: positive" in said


def test_a_gradient_that_is_no_number_is_found_in_the_next_step() -> None:
    """The root of zero is zero, its slope is infinite, and the chain rule multiplies it by zero."""
    said = Loop(network(), loss=lambda outputs, truth: (outputs * 0).abs().sqrt() + 0 * truth).run()
    assert (
        "got nan at step 2: the weights 0.weight, 0.bias, 2.weight, 2.bias are not finite, the gradient of 0.weight"
        in said
    )
    assert "clip the gradient" in said


def test_recurrent_layers_give_tuples_and_are_looked_into() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells = nn.GRU(2, 3, batch_first=True)
            self.head = nn.Linear(3, 1)

        def forward(self, values: Tensor) -> Tensor:
            made: Tensor = self.head(self.cells(values.unsqueeze(1))[0][:, 0])
            return made

    module = Recurrent()
    with torch.no_grad():
        next(module.cells.parameters())[0, 0] = math.nan
    assert 'layer "cells" (GRU) made nan of finite inputs' in Loop(module).run()


def passes(losses: object, **settings: object) -> bool:
    """Whether a guard lets all of them pass."""
    guard = Guard(TrainingSection.model_validate(settings))
    try:
        for step, loss in enumerate(np.asarray(losses, dtype=float), 1):
            guard.check(step, 1, float(loss), lambda: None)
    except InvalidInput:
        return False
    return True


def test_noise_and_schedules_do_not_stop_a_training() -> None:
    """Heavy tails (squares of Cauchy numbers: no mean at all), single rows, and the bump of a one-cycle."""
    random = np.random.default_rng(0)
    assert passes(random.standard_cauchy(20_000) ** 2)
    assert all(passes(random.standard_normal(1000) ** 2) for _ in range(200)), "batches of one row"
    steps = np.arange(1000)
    assert passes(np.exp(-steps / 100) * (1 + 80 * np.exp(-(((steps - 300) / 100) ** 2)))), (
        "a bump as high as the start"
    )
    assert passes([1e-9, *[3.0] * 500]), "a model that began well and fell back"
    assert passes(-np.arange(1.0, 5000.0)), "a likelihood of densities"


@pytest.mark.parametrize("spike", [IN_A_ROW - 1, IN_A_ROW])
def test_onlylosses_in_a_row_count(spike: int) -> None:
    assert passes([1.0, *[1e6] * spike, 1.0, *[1e6] * (IN_A_ROW - 1)]) == (spike < IN_A_ROW)


def test_the_limit_is_a_setting() -> None:
    grown = [1.0, *[50.0] * 100]
    assert passes(grown)
    assert not passes(grown, explosion=40)
    assert passes([1.0, *[1e300] * 100], explosion=None)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_stops_at_once_whatever_is_set(loss: float) -> None:
    assert not passes([loss])
    assert not passes([1.0, loss], explosion=None)


def test_a_resumed_training_is_stopped_where_it_would_have_been() -> None:
    """Its state is JSON."""
    guard = Guard(TrainingSection())
    assert json.loads(json.dumps(guard.state())) == {"limit": None, "above": 0}
    for step in range(IN_A_ROW):
        guard.check(step + 1, 1, 1e4 if step else 1.0, lambda: None)
    again = Guard(TrainingSection())
    again.restore(json.loads(json.dumps(guard.state())))
    with pytest.raises(InvalidInput, match=r"at step 21, the 20th above it in a row; lower training.learning_rate"):
        again.check(IN_A_ROW + 1, 1, 1e4, lambda: None)


def test_looking_leaves_no_hook_behind() -> None:
    module = network()
    loop = Loop(module, rate=50.0)
    loop.run()
    assert [part._forward_hooks for part in module.modules()] == [{}] * 4


def test_a_batch_that_cannot_be_run_again_does_not_hide_the_loss() -> None:
    def broken() -> Tensor:
        raise RuntimeError("the file is gone")

    scene = Scene(network(), broken, [0], {}, 0.1)
    with pytest.raises(InvalidInput, match=r"got nan at step 7: running the batch again failed \(the file is gone\)"):
        Guard(TrainingSection()).check(7, 1, math.nan, lambda: scene)


def test_all_processes_end_with_what_the_one_knows_whose_rows_went_wrong() -> None:
    """Rows 17 and 21 are the second process's; a third knows as much and is not heard, the first is fine."""
    fine, spoilt = Loop(network()), Loop(network())
    spoilt.inputs[[17, 21], 1] = math.inf
    which, told = torch.arange(16) + 16, list[str]()

    def noted(words: str) -> list[str]:
        told.append(words)
        return [words]

    def ends(loop: Loop, shared: Callable[[str], list[str]]) -> str:
        guard = Guard(TrainingSection(), shared)
        with pytest.raises(InvalidInput) as stopped:
            guard.check(2, 1, math.nan, functools.partial(loop.scene, which))
        return str(stopped.value)

    alone = ends(fine, noted)
    knows = ends(spoilt, noted)
    assert '"wind" of training rows 17, 21 hold no finite numbers' not in alone
    told.append(told[1].replace("17, 21", "33"))
    assert {ends(loop, lambda _: told) for loop in (fine, spoilt)} == {knows}
    assert '"wind" of training rows 17, 21 hold no finite numbers' in knows
    assert knows.endswith('; repair or leave out "wind" (docs/cleaning.md)')


def test_a_process_without_such_rows_leaves_it_to_another() -> None:
    """Rows held out are looked through by the process that has them."""
    told, loop = list[str](), Loop(network())
    loop.inputs[3, 0] = math.nan
    which = torch.arange(16)

    def noted(words: str) -> list[str]:
        told.append(words)
        return [*told]

    knows = Guard(TrainingSection(), noted).judged(4, 1, math.nan, functools.partial(loop.scene, which))
    told.insert(0, json.dumps({"knows": -1, "told": [], "hint": "lower training.learning_rate"}))
    said = Guard(TrainingSection(), lambda words: [words, told[1]]).judged(4, 1, math.nan, lambda: None)
    assert str(said) == str(knows)
    assert '"temp" of training row 3 hold no finite numbers' in str(said)
