"""The module: means and votes by hand, inputs that members share, and codes of categories that they know apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from staytrue.errors import Conflict
from training.data.encode.categories import CategoryState
from training.data.encode.encoder import Encoder
from training.data.encode.numbers import NumericState
from training.models.classifier import Classifier
from training.models.ensemble import Ensemble, united
from training.models.labels import Labeller
from training.models.quantiles import QuantileRegressor
from training.models.regressor import Regressor
from training.models.targets import TargetsRegressor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.data.encode.encoder import ColumnState
    from training.models.model import Model


def number(name: str) -> NumericState:
    """A number as it is."""
    return NumericState(name=name, datatype="FP32", unit="", fill=0.0, mean=0.0, deviation=1.0)


def category(name: str, *values: str, **given: Any) -> CategoryState:
    """A column of zeros and a one."""
    shares = [1 / len(values)] * len(values)
    return CategoryState(name=name, datatype="BYTES", unit="", values=list(values), frequencies=shares, **given)


def linear(states: Sequence[ColumnState], *weight: float, bias: float = 0.0) -> Regressor:
    """weight·encoded + bias."""
    body = nn.Linear(len(weight), 1)
    with torch.no_grad():
        body.weight[:] = torch.tensor([weight])
        body.bias[:] = bias
    return Regressor(Encoder(states), body)  # a head without a scale


class Said(nn.Module):
    """Gives the same whatever it is asked. Shapes: → [N,M]."""

    def __init__(self, *rows: Sequence[float]) -> None:
        super().__init__()
        self.rows = torch.tensor(rows)

    def forward(self, matrix: torch.Tensor) -> torch.Tensor:
        """The rows."""
        return self.rows[: len(matrix)]


def asked(members: Sequence[Model], weights: Sequence[float], rows: int, *, vote: bool = False) -> list[np.ndarray]:
    """The answers to rows of zeros."""
    model = Ensemble(members, united(members), weights, vote=vote)
    return model.answers({"x": np.zeros(rows, dtype=np.float32)})


def test_the_mean_of_two_linear_models_is_the_linear_model_of_their_means() -> None:
    """Also where they take their inputs in another order, or not all of them."""
    x, z = number("x"), number("z")
    members = [linear([x, z], 2.0, -1.0, bias=1.0), linear([z, x], 3.0, 4.0, bias=-5.0), linear([z], 8.0)]
    model = Ensemble(members, united(members), [0.5, 0.25, 0.25])
    assert [spec.name for spec in model.inputs()] == ["x", "z"]
    draw = np.random.default_rng(0)
    columns = {name: draw.normal(size=50).astype(np.float32) for name in "xz"}
    (made,) = model.answers(columns)
    expected = (1.0 + 1.0) * columns["x"] + (-0.5 + 0.75 + 2.0) * columns["z"] + 0.5 - 1.25
    assert made[:, 0] == pytest.approx(expected, abs=1e-5)


def test_probabilities_are_averaged_and_not_logits() -> None:
    """The likeliest by the mean is answered."""
    x = number("x")
    first = Classifier(Encoder([x]), Said([np.log(0.9), np.log(0.1)]), ["a", "b"])
    second = Classifier(Encoder([x]), Said([np.log(0.2), np.log(0.8)]), ["a", "b"])
    codes, likely = asked([first, second], [0.25, 0.75], 1)
    assert likely[0] == pytest.approx([0.25 * 0.9 + 0.75 * 0.2, 0.25 * 0.1 + 0.75 * 0.8])
    assert codes.tolist() == [[2]]


def test_each_class_gets_its_votes_and_a_tie_goes_to_the_likelier() -> None:
    """(votes + mean / 2) / (members + 1/2); of equal ones the first."""
    x = number("x")
    said = [
        [[0.6, 0.4, 0.0], [0.5, 0.1, 0.4], [0.5, 0.5, 0.0]],
        [[0.1, 0.9, 0.0], [0.5, 0.1, 0.4], [0.2, 0.8, 0.0]],
        [[0.6, 0.4, 0.0], [0.0, 0.1, 0.9], [0.3, 0.3, 0.4]],
        [[0.4, 0.6, 0.0], [0.0, 0.1, 0.9], [0.3, 0.3, 0.4]],
    ]
    members = [
        Classifier(Encoder([x]), Said(*(np.log(np.maximum(row, 1e-30)).tolist() for row in one)), ["a", "b", "c"])
        for one in said
    ]
    codes, shares = asked(members, [0.25] * 4, 3, vote=True)
    assert codes.ravel().tolist() == [2, 3, 3]  # 2:2, b is likelier; 2:2, c is likelier; 1:1:2
    mean = np.mean(said, axis=0)
    votes = np.array([[2, 2, 0], [2, 0, 2], [1, 1, 2]])
    assert shares == pytest.approx((votes + mean / 2) / 4.5, abs=1e-6)
    assert shares.sum(axis=1) == pytest.approx(1.0)
    one = Classifier(Encoder([x]), Said([0.0, 0.0]), ["a", "b"])
    assert asked([one, one], [0.5, 0.5], 1, vote=True)[0].tolist() == [[1]]


@pytest.mark.parametrize(("likely", "decided"), [([0.9, 0.6, 0.1], True), ([0.9, 0.45, 0.1], False)])
def test_labels_are_voted_on_by_themselves(likely: list[float], decided: bool) -> None:
    """By most members; of two that differ the mean decides."""
    x = number("x")
    members = [Labeller(Encoder([x]), Said([float(np.log(one / (1 - one)))])) for one in likely]
    assert asked(members, [1 / 3] * 3, 1, vote=True)[0].tolist() == [[decided]]
    two = [members[0], members[2]]  # 0.9 and 0.1: a half each
    tied = [Labeller(Encoder([x]), Said([1.0])), Labeller(Encoder([x]), Said([-0.9]))]
    assert asked(tied, [0.5, 0.5], 1, vote=True)[0].tolist() == [[True]]
    assert asked(two, [0.5, 0.5], 1, vote=True)[1][0, 0] == pytest.approx((1 + 0.25) / 2.5)


def test_quantiles_of_several_never_cross_and_each_is_the_mean_of_its_own() -> None:
    """Whatever the weights are."""
    draw, x = np.random.default_rng(0), number("x")
    rows = [np.sort(draw.normal(size=(200, 5)) * 10.0 ** draw.integers(-3, 4, (200, 1)), axis=1) for _ in range(3)]
    weights = [0.17, 0.5, 0.33]
    members = [QuantileRegressor(Encoder([x]), Said(*one.tolist()), 2) for one in rows]  # type: ignore[arg-type]
    answer, quantiles = asked(members, weights, 200)
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert quantiles == pytest.approx(sum(w * one for w, one in zip(weights, rows, strict=True)), rel=1e-4, abs=1e-4)
    assert answer[:, 0].tolist() == quantiles[:, 2].tolist()


def test_each_of_several_targets_is_averaged() -> None:
    """One output a target."""
    x = number("x")
    members = [TargetsRegressor(Encoder([x]), Said([1.0, 10.0])), TargetsRegressor(Encoder([x]), Said([3.0, -10.0]))]
    first, second = asked(members, [0.5, 0.5], 1)
    assert (first.tolist(), second.tolist()) == ([[2.0]], [[0.0]])


def test_a_category_knows_what_any_member_knows_and_each_gets_its_own_codes() -> None:
    """What one has never seen is unknown to it alone; the forward pass takes codes of the united list."""
    one, other = category("sky", "sun", "rain"), category("sky", "fog", "sun", unknown="bucket")
    members = [linear([one], 1.0, 2.0), linear([other], 10.0, 20.0, 40.0)]
    states = united(members)
    assert states[0].spec().categories == ["sun", "rain", "fog"]
    model = Ensemble(members, states, [0.5, 0.5])
    (made,) = model.answers({"sky": np.array(["sun", "rain", "fog", "snow"], dtype=object)})
    alone = [[1.0, 2.0, 1.5, 1.5], [20.0, 40.0, 10.0, 40.0]]  # unknown: the average of known ones, or the bucket
    assert made[:, 0] == pytest.approx(np.mean(alone, axis=0))


def test_a_missing_text_that_one_member_fills_keeps_its_code() -> None:
    """The other takes it for unknown."""
    one, other = category("sky", "sun", "rain", fill="rain"), category("sky", "sun", "rain", unknown="bucket")
    members = [linear([one], 1.0, 2.0), linear([other], 10.0, 20.0, 40.0)]
    (made,) = Ensemble(members, united(members), [0.5, 0.5]).answers({"sky": np.array(["", "rain"], dtype=object)})
    assert made[:, 0].tolist() == [21.0, 11.0]


def test_inputs_of_one_name_that_differ_are_refused() -> None:
    """With both."""
    with pytest.raises(Conflict, match=r'input "x": expected the same for all members, got FP32.*and BYTES'):
        united([linear([number("x")], 1.0), linear([category("x", "a")], 1.0)])


def test_numbers_have_no_votes() -> None:
    """The command refuses it before; a module says so too."""
    with pytest.raises(TypeError, match="Regressor decides for no class"):
        asked([linear([number("x")], 1.0)] * 2, [0.5, 0.5], 1, vote=True)
