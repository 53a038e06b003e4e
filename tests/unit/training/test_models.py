"""Models: the body, the scale, the whole."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest
import torch

from staytrue import modelling
from staytrue.errors import InvalidConfig, InvalidInput, NotFound
from staytrue.project import Project
from staytrue.sections import TrainingSection
from training.data.rows import TrainingRows
from training.models.architectures import ARCHITECTURES, arguments_of, build
from training.models.classifier import Classifier
from training.models.layout import Layout, Piece
from training.models.regressor import Head, Scale
from training.models.resnet import Block
from training.objectives import classification_loss, cross_entropy, regression_loss
from training.optim import Optimiser


@pytest.mark.parametrize(("depth", "layers"), [(1, 2), (3, 4)])
def test_an_mlp_has_the_depth_and_width_asked_for(depth: int, layers: int) -> None:
    """Hidden layers, then one number a row."""
    body = build("mlp", Layout.numbers(5), {"width": 7, "depth": depth, "dropout": 0.1})
    linear = [m for m in body.modules() if isinstance(m, torch.nn.Linear)]
    assert [m.out_features for m in linear] == [7] * (layers - 1) + [1]
    assert body(torch.zeros(3, 5)).shape == (3, 1)


def test_an_unknown_architecture_says_which_there_are() -> None:
    """Not a KeyError."""
    with pytest.raises(NotFound, match='architecture "cnn": is not known; there are mlp'):
        build("cnn", Layout.numbers(5), {})


def of_targets(target: np.ndarray) -> TrainingRows:
    """Rows that train, of a target alone."""
    return TrainingRows(np.arange(float(len(target))), {}, target)


def test_a_linear_scale_is_mean_and_deviation_by_weight() -> None:
    """Closed form: of 0 and 4 with weights 3 and 1, mean 1 and variance 3."""
    scale = Scale.of(of_targets(np.array([0.0, 4])), np.array([3.0, 1]), "linear")
    assert [scale.location, scale.spread] == pytest.approx([1, np.sqrt(3)])


def test_a_scale_of_a_target_that_is_always_zero_is_one() -> None:
    """Nothing is divided by zero."""
    zero, weight = of_targets(np.zeros(3)), np.ones(3)
    assert Scale.of(zero, weight, "positive").spread == Scale.of(zero, weight, "linear").spread == 1


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
    loss_of = regression_loss(training, Scale(link="positive", location=0, spread=2.0))
    row = loss_of(torch.tensor([[3.0]]), torch.tensor([[7.0]]))
    assert row.item() == pytest.approx(expected, rel=1e-5)


def test_a_poisson_loss_needs_a_positive_output() -> None:
    """The logarithm of a negative prediction is none."""
    with pytest.raises(InvalidConfig, match=r"positive with poisson, got model.output: linear"):
        regression_loss(TrainingSection(loss="poisson"), Scale(link="linear", location=0, spread=1.0))


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


def pictures(**model: Any) -> Project:
    """A project of pictures."""
    data = {"source": "d", "time": "t", "target": "y", "features": {"p": {"kind": "image", "shape": [3, 9, 7]}}}
    return Project.model_validate({"name": "p", "data": data, "model": {"architecture": "resnet", **model}})


def of_pictures(shape: list[int]) -> Layout:
    """Pictures and nothing else."""
    return Layout([Piece(name="p", kind="image", begin=0, end=int(np.prod(shape)), shape=shape)])


@pytest.mark.parametrize("shape", [[1, 1, 1], [1, 3, 2], [1, 8, 8], [3, 28, 30], [3, 64, 70], [1, 130, 128]], ids=str)
@pytest.mark.parametrize("depth", [1, 2])
def test_a_resnet_takes_pictures_of_any_size(shape: list[int], depth: int) -> None:
    """One row of numbers a picture in, one number an output out."""
    body = build("resnet", of_pictures(shape), {"width": 2, "depth": depth}, outputs=5)
    assert body.eval()(torch.zeros(2, int(np.prod(shape)))).shape == (2, 5)


def test_a_resnet_has_the_stages_blocks_and_channels_asked_for() -> None:
    """Twice the channels and half the size from stage to stage."""
    body = build("resnet", of_pictures([3, 20, 20]), {"width": 4, "depth": 2}, outputs=2)
    blocks = [module for module in body.modules() if isinstance(module, Block)]
    sizes = [20, 20, 10, 10, 5, 5]
    out = torch.zeros(1, 4, 20, 20)
    for block, size, channels in zip(blocks, sizes, [4, 4, 8, 8, 16, 16], strict=True):
        out = block.eval()(out)
        assert out.shape == (1, channels, size, size)


def test_a_block_that_learnt_nothing_passes_what_came_in() -> None:
    """The shortcut: with weights of zero, a rectified input comes out."""
    block = Block(2, 2, stride=1).eval()
    for parameter in block.inner.parameters():
        torch.nn.init.zeros_(parameter)
    values = torch.randn(3, 2, 4, 4)
    assert torch.equal(block(values), values.relu())


def test_a_resnet_of_other_encoded_rows_is_refused() -> None:
    """As when a checkpoint was changed."""
    with pytest.raises(InvalidInput, match=r"expected one image alone, got numbers \(numbers\)"):
        build("resnet", Layout.numbers(5), {"width": 2, "depth": 1})


def test_a_resnet_takes_one_image_and_nothing_else() -> None:
    """Says what there is instead."""
    assert arguments_of(pictures(width=4, depth=1)) == {"width": 4, "depth": 1}
    data = {"source": "d", "time": "t", "target": "y", "features": {"x": {"kind": "numeric"}}}
    table = Project.model_validate({"name": "p", "data": data, "model": {"architecture": "resnet"}})
    with pytest.raises(InvalidConfig, match=r"one image alone for architecture resnet, got x \(numeric\)"):
        arguments_of(table)


def test_cross_entropy_against_its_formula() -> None:
    """Minus the logarithm of the softmax at the true place."""
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, 0.0, 0.0]])
    expected = [-np.log(np.exp(2) / np.exp([1, 2, 0.5]).sum()), np.log(3)]
    loss = cross_entropy(logits, torch.tensor([[1], [2]]))
    assert loss.shape == (2, 1)
    assert loss.squeeze(1).tolist() == pytest.approx(expected)


def test_a_loss_of_another_task_is_refused() -> None:
    """Says which there are."""
    with pytest.raises(InvalidConfig, match="expected cross_entropy for classification, got mse"):
        classification_loss(TrainingSection(loss="mse"))
    with pytest.raises(InvalidConfig, match="expected mse, mae, huber or poisson for regression, got cross_entropy"):
        regression_loss(TrainingSection(loss="cross_entropy"), Scale(link="linear", location=0, spread=1.0))


def test_a_setting_that_an_architecture_does_not_take_is_refused() -> None:
    """Names it, and those that there are."""
    project = pictures(options={"width": 3})
    with pytest.raises(InvalidConfig, match=r"model\.options: is no setting of resnet; it takes width, depth, dropout"):
        arguments_of(project)


def plugged(layout: Layout, outputs: int, *, bias: bool) -> torch.nn.Module:
    """An architecture of somebody's own."""
    return torch.nn.Linear(layout.width, outputs, bias=bias)


def test_a_factory_of_ones_own_is_built_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of its module and its own."""
    monkeypatch.setitem(sys.modules, "mine", types.SimpleNamespace(plugged=plugged))
    project = pictures(architecture="mine:plugged", options={"bias": False})
    body = build("mine:plugged", Layout.numbers(3), arguments_of(project), outputs=2)
    assert [tuple(weights.shape) for weights in body.parameters()] == [(2, 3)]


def test_the_settings_know_every_architecture_by_name() -> None:
    """And refuse any other before data are read."""
    assert list(ARCHITECTURES) == list(modelling.ARCHITECTURES)
    with pytest.raises(ValueError, match=r"expected mlp, .*, or package\.module:factory of your own"):
        pictures(architecture="resnt")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nowhere:plugged", "nowhere cannot be imported: ModuleNotFoundError: .*; install it, or set PYTHONPATH"),
        ("mine:plugd", "mine has no plugd; did you mean 'plugged'"),
        ("mine:number", "expected mine:number to be a function, got int"),
    ],
)
def test_a_factory_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, told: str) -> None:
    """Before any data are read."""
    monkeypatch.setitem(sys.modules, "mine", types.SimpleNamespace(plugged=plugged, number=3))
    with pytest.raises(InvalidConfig, match=rf"model\.architecture: {told}"):
        arguments_of(pictures(architecture=name))


def test_settings_beside_a_factory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mine", types.SimpleNamespace(plugged=plugged))
    with pytest.raises(InvalidConfig, match=r"model\.width: is no setting of an architecture of your own; name it"):
        arguments_of(pictures(architecture="mine:plugged", width=8))


class Flat(torch.nn.Linear):
    """Gives one axis."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,3] → [N]."""
        return super().forward(values)[:, 0]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda *_: None, r"expected mine:made to return a torch\.nn\.Module, got NoneType"),
        (lambda *_: torch.nn.Identity(), "expected mine:made to return a module with weights to learn"),
        (lambda *_: torch.nn.Linear(3, 5), r"expected mine:made to give \[N,2\], for 2 rows \[2,2\], got \[2, 5\]"),
        (lambda *_: Flat(3, 2), r"for 2 rows \[2,2\], got \[2\]; the second argument"),
        (lambda *_: torch.nn.GRU(3, 2), r"for 2 rows \[2,2\], got tuple"),
        (
            lambda *_: torch.nn.Linear(4, 2),
            r"mine:made fails on rows of 3 numbers, \[2,3\]: RuntimeError",
        ),
        (lambda _: None, r"mine:made fails: TypeError: .*; it is called with the layout of an encoded row"),
        (lambda *_: int("x"), "mine:made fails: ValueError: invalid literal for int"),
    ],
)
def test_what_is_no_body_is_told_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch, made: Any, told: str
) -> None:
    monkeypatch.setitem(sys.modules, "mine", types.SimpleNamespace(made=made))
    with pytest.raises(InvalidConfig, match=rf"model\.architecture: .*{told}"):
        build("mine:made", Layout.numbers(3), {}, outputs=2)


def test_a_classifier_gives_codes_from_one_and_probabilities_that_add_up() -> None:
    """The code of a class is 1 + its place, as of a text that goes in."""

    class Given(torch.nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return values

    model = Classifier(Given(), Given(), ("a", "b"))  # type: ignore[arg-type]
    codes, likely = model(torch.tensor([[0.0, np.log(3.0)], [5.0, 0.0]]))
    assert codes.tolist() == [[2], [1]]
    assert likely[0].tolist() == pytest.approx([0.25, 0.75])
    assert model.named(likely.numpy()).tolist() == ["b", "a"]
