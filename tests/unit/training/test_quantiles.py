"""Quantiles: the loss, levels that cannot cross, and a project from the file to a version that answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import mean_pinball_loss
from torch import nn

from serving.runtimes.onnx import OnnxRuntime
from staytrue.errors import InvalidConfig
from staytrue.modelling import ModelSection
from staytrue.sections import ExportSection, TrainingSection
from staytrue.store import Store
from training import checkpoint as checkpoints
from training.models.quantiles import QuantileHead
from training.models.regressor import Scale
from training.prepare import prepare
from training.retrain import publish_run
from training.run import train
from training.tasks.quantiles import Quantiles

if TYPE_CHECKING:
    from staytrue.project import Project

LEVELS = (0.1, 0.5, 0.9)
PLAIN = Scale(link="linear", location=0.0, spread=2.0)


def test_the_loss_is_the_pinball_loss_of_scikit_learn_in_deviations() -> None:
    draw = np.random.default_rng(0)
    truth, made = draw.normal(size=50), draw.normal(size=(50, 3))
    loss = Quantiles("y", PLAIN, LEVELS).loss(TrainingSection())
    rows = loss(torch.from_numpy(made), torch.from_numpy(truth).unsqueeze(1))
    expected = np.mean([mean_pinball_loss(truth, made[:, i], alpha=level) for i, level in enumerate(LEVELS)])
    assert rows.shape == (50, 1)
    assert float(rows.mean()) == pytest.approx(expected / 2.0)


@pytest.mark.parametrize("link", ["linear", "positive"])
def test_no_weights_make_quantiles_cross(link: str) -> None:
    scale = Scale(link=link, location=0.0 if link == "positive" else -5.0, spread=3.0)  # type: ignore[arg-type]
    made = QuantileHead(nn.Identity(), scale)(torch.randn(500, 4, generator=torch.Generator().manual_seed(1)) * 100)
    assert (made.diff(dim=1) >= 0).all()
    assert (made >= 0).all() == (link == "positive")


@pytest.mark.parametrize(("levels", "place"), [(LEVELS, 1), ((0.1, 0.9), 0), ((0.25,), 0), ((0.05, 0.2, 0.6), 2)])
def test_the_level_nearest_to_the_median_is_answered(levels: tuple[float, ...], place: int) -> None:
    assert Quantiles("y", PLAIN, levels).middle == place


@pytest.mark.parametrize("wrong", [{"quantiles": [0.5, 0.1]}, {"quantiles": [0.5, 0.5]}, {"quantiles": [1.0]}])
def test_levels_that_are_none_are_refused(wrong: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="quantiles"):
        ModelSection.model_validate(wrong)
    with pytest.raises(ValueError, match="regression"):
        ModelSection(task="classification", quantiles=[0.5])


def test_another_loss_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="pinball"):
        Quantiles("y", PLAIN, LEVELS).loss(TrainingSection(loss="mse"))


def test_a_project_is_trained_proven_and_answers_quantiles_of_the_known_noise(project: Project) -> None:
    """The toy's noise is normal with deviation 0.3, so that 80% lie in 2.56 of them."""
    model = project.model.model_copy(update={"quantiles": list(LEVELS)})
    training = project.training.model_copy(update={"loss": None, "epochs": 40, "patience": 40})
    project = project.model_copy(
        update={"model": model, "training": training, "export": ExportSection(formats=["onnx"], max_batch=8)}
    )
    folder = train(project, opening="once")
    checkpoint, reference, module = checkpoints.load(folder)
    metrics = checkpoint.evaluation["test"]
    assert {"pinball", "coverage", "width", "below_0.1", "below_0.5", "below_0.9", "mae", "r2"} <= set(metrics)
    assert metrics["coverage"].value == pytest.approx(0.8, abs=0.12)
    exact = 0.3 * (stats.norm.ppf(0.9) - stats.norm.ppf(0.1))
    assert metrics["width"].value == pytest.approx(exact, rel=0.35)
    rows = prepare(project).validation
    store = Store(project.store)
    bundle = store.load(project.name, publish_run(store, folder, project).version)
    assert [spec.label() for spec in bundle.signature.outputs] == ["FP32 [-1,1]", "FP32 [-1,3]"]
    some = {name: column[:20] for name, column in rows.inputs().items()}
    answer = OnnxRuntime(store.path(project.name, bundle.version) / "model.onnx", bundle.signature).run(some)
    np.testing.assert_array_equal(answer["y"][:, 0], answer["quantiles"][:, 1])
    np.testing.assert_allclose(answer["quantiles"], module.answers(rows.take(np.arange(20)).columns)[1], atol=1e-3)
    assert isinstance(reference.prediction[0], float)


def test_what_is_answered_may_not_bear_the_name_of_the_quantiles(project: Project) -> None:
    data = project.data.model_copy(update={"target": "quantiles"})
    model = project.model.model_copy(update={"quantiles": [0.5]})
    with pytest.raises(InvalidConfig, match="second output"):
        prepare(project.model_copy(update={"data": data, "model": model}))
