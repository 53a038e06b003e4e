"""Balance: what rows count by their class, and settings of classes where there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.datasets import load_breast_cancer
from sklearn.utils.class_weight import compute_sample_weight

from staytrue.errors import InvalidConfig
from staytrue.modelling import ModelSection
from staytrue.sections import TrainingSection
from staytrue.splitting import SplitSection
from training.balance import balanced, check
from training.data.rows import Rows
from training.data.split.plan import split
from training.devices import Processor
from training.models.classifier import Classifier
from training.objectives import classification_loss, cross_entropy
from training.parts import Parts
from training.prepare import prepare
from training.run import fit_parts

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.project import Project
    from training.data.rows import TrainingRows


@pytest.fixture(scope="module")
def rows() -> TrainingRows:
    """Findings of 569 real samples, 212 malignant and 357 benign, a part of them to train on."""
    names = np.array(["malignant", "benign"], dtype=object)[load_breast_cancer().target]
    everything = Rows(np.arange(569.0), {}, names)
    return split(everything, SplitSection(method="random")).training(everything)


def test_balanced_weights_are_scikit_learns(rows: TrainingRows) -> None:
    """Mean 1, and each class as much as another."""
    found = balanced(rows, "balanced", np.ones(len(rows)))
    np.testing.assert_allclose(found, compute_sample_weight("balanced", rows.target))
    assert found.mean() == pytest.approx(1)


def test_balanced_weights_balance_what_rows_count_already(rows: TrainingRows) -> None:
    """As when older rows count less: afterwards the classes weigh alike."""
    counted = np.linspace(0.1, 1.9, len(rows))
    found = balanced(rows, "balanced", counted)
    sums = [found[rows.target == name].sum() for name in ("malignant", "benign")]
    assert sums == pytest.approx([len(rows) / 2] * 2)
    ratio = found / counted
    assert np.ptp(ratio[rows.target == "benign"]) < 1e-12


def test_a_class_that_is_not_named_weighs_one(rows: TrainingRows) -> None:
    """Beside one that weighs three; the mean is 1."""
    found = balanced(rows, {"malignant": 3.0}, np.ones(len(rows)))
    assert found[rows.target == "malignant"][0] == pytest.approx(3 * found[rows.target == "benign"][0])
    assert found.mean() == pytest.approx(1)
    assert np.array_equal(balanced(rows, "none", found), found)


def test_a_weight_of_no_class_is_refused(rows: TrainingRows) -> None:
    """Says which there are."""
    with pytest.raises(InvalidConfig, match=r"class_weights: expected some of benign, malignant, got malign"):
        balanced(rows, {"malign": 3.0}, np.ones(len(rows)))


def test_weights_come_from_rows_to_train_on_alone(rows: TrainingRows) -> None:
    """Others are judged as they are."""
    plain = Rows(rows.time, rows.columns, rows.target)
    with pytest.raises(TypeError, match="training rows alone"):
        balanced(plain, "balanced", np.ones(len(rows)))  # type: ignore[arg-type]


def test_a_training_weighs_rows_by_their_class(project: Project, tmp_path: Path) -> None:
    """A class that weighs a hundred times as much is named far more often."""
    sky = np.array(["rare", "common"], dtype=object)
    noise = np.random.default_rng(0)
    target = sky[(noise.random(300) > 0.2).astype(int)]
    features = {"x": project.data.features["x"]}
    data = project.data.model_copy(update={"features": features})
    plain = project.model_copy(update={"data": data, "model": ModelSection(task="classification", width=4, depth=1)})
    rows = Rows(np.arange(300.0), {"x": noise.normal(size=300).astype(np.float32)}, target)
    shares = {}
    for weights in ("none", {"rare": 100.0}):
        given = {"epochs": 2, "batch_size": 16, "learning_rate": 0.1, "averaging": 0, "class_weights": weights}
        training = TrainingSection.model_validate(given)
        changed = plain.model_copy(update={"training": training})
        parts = Parts(split(rows, SplitSection(method="random")).training(rows), rows, classes=("common", "rare"))
        model = fit_parts(changed, parts, tmp_path, "", Processor()).model
        assert isinstance(model, Classifier)
        shares[str(weights)] = float((model.named(model.probabilities(rows.columns)) == "rare").mean())
    assert shares["none"] < 0.2
    assert shares["{'rare': 100.0}"] > 0.9


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("training.class_weights", {"class_weights": "balanced"}),
        ("training.sampling", {"sampling": "balanced"}),
        ("training.regularisation.label_smoothing", {"regularisation": {"label_smoothing": 0.1}}),
    ],
)
def test_settings_of_classes_are_refused_for_numbers(project: Project, name: str, given: Any) -> None:
    """Before any data are read; with classes they stand."""
    training = TrainingSection.model_validate(given)
    wrong = project.model_copy(update={"training": training})
    with pytest.raises(InvalidConfig, match=rf"{name}: is of classes, and the task is regression"):
        prepare(wrong)
    check(wrong.model_copy(update={"model": ModelSection(task="classification")}))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"class_weights": "balance"}, "takes none, balanced, or a mapping"),
        ({"class_weights": {}}, "takes none, balanced, or a mapping"),
        ({"class_weights": {"a": 0}}, 'weight of class "a" is no number above 0'),
        ({"class_weights": {"a": "x"}}, 'weight of class "a" is no number above 0'),
        ({"class_weights": {True: 2}}, "stand in quotes"),
        ({"class_weights": "balanced", "sampling": "balanced"}, "one of them"),
    ],
    ids=str,
)
def test_what_is_no_weight_is_refused(given: Any, told: str) -> None:
    """Says what it takes."""
    with pytest.raises(ValidationError, match=told):
        TrainingSection.model_validate(given)


def test_classes_may_be_called_by_numbers() -> None:
    """As digits are; YAML reads whole numbers."""
    assert TrainingSection.model_validate({"class_weights": {0: 2, "1": 1.5}}).class_weights == {"0": 2, "1": 1.5}


def test_smoothing_spreads_a_share_of_the_truth_over_all_classes() -> None:
    """Closed form; the error that an epoch is judged by is not smoothed."""
    training = TrainingSection.model_validate({"regularisation": {"label_smoothing": 0.3}})
    logits, places = torch.tensor([[1.0, 2.0, 0.5]]), torch.tensor([[1]])
    found = classification_loss(training)(logits, places)
    logs = np.log(np.exp([1, 2, 0.5]) / np.exp([1, 2, 0.5]).sum())
    assert found.shape == (1, 1)
    assert found.item() == pytest.approx(-(0.7 * logs[1] + 0.1 * logs.sum()))
    assert cross_entropy(logits, places).item() == pytest.approx(-logs[1])
