"""Suspected label errors: against flips that were put into real labels, and are therefore known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from examples.fashion import prepare as fashion
from staytrue.errors import InvalidInput
from tests.needs import missing
from training.data.label.suspects import Learner, Suspect, out_of_fold, suspects

if TYPE_CHECKING:
    from collections.abc import Callable

NOISE, SEED = 0.1, 0


def flipped(labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which a tenth, drawn with a seed, became another class; and which."""
    random = np.random.default_rng(SEED)
    which = random.random(len(labels)) < NOISE
    return np.where(which, (labels + random.integers(1, classes, len(labels))) % classes, labels), which


def scored(found: list[Suspect], which: np.ndarray) -> tuple[float, float]:
    """Precision and recall against the known flips."""
    rows = np.array([int(one.item) for one in found])
    return float(which[rows].mean()), float(which[rows].sum() / which.sum())


@pytest.mark.parametrize(
    ("learner", "pictures", "least_precision", "least_recall"),
    [("forest", 1500, 0.45, 0.7), ("logistic", 800, 0.35, 0.75)],
)
def test_flips_among_fashion_mnist_are_found(
    learner: Learner,
    pictures: int,
    least_precision: float,
    least_recall: float,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A tenth of the labels were flipped, with seed 0; the foremost suspects nearly all were."""
    if not fashion.FOLDER.is_dir():
        missing(f"Fashion-MNIST is not installed: apt-get install {fashion.PACKAGE}")
    images, labels = (fashion.read(fashion.FOLDER / name) for name in fashion.FILES)
    some = np.random.default_rng(SEED).permutation(len(images))[:pictures]
    truth = labels[some].astype(int)
    given, which = flipped(truth, 10)
    found = suspects([str(n) for n in range(pictures)], given.astype(str), {"image": images[some]}, learner=learner)
    precision, recall = scored(found, which)
    record_property("precision", precision)
    record_property("recall", recall)
    with capsys.disabled():
        print(  # noqa: T201 - the figures are what this is for
            f"\n{learner}, {which.sum()} flips: precision {precision:.3f}, recall {recall:.3f} of {len(found)}"
        )
    assert precision > least_precision
    assert recall > least_recall
    assert scored(found[: which.sum() // 2], which)[0] > 0.6
    right = [int(one.suggested) == truth[int(one.item)] for one in found if which[int(one.item)]]
    assert np.mean(right) > 0.65  # and the suggestion is the truth
    chances = [one.given_probability for one in found]
    assert chances == sorted(chances)


@pytest.mark.parametrize(
    ("learner", "least_precision", "least_recall"), [("forest", 0.7, 0.85), ("logistic", 0.55, 0.6)]
)
def test_flips_in_a_table_with_gaps_and_names_are_found(
    learner: Learner, least_precision: float, least_recall: float
) -> None:
    data = load_breast_cancer()
    given, which = flipped(data.target, 2)
    table = data.data.copy()
    table[np.random.default_rng(1).random(table.shape) < 0.05] = np.nan
    columns = {name: table[:, place] for place, name in enumerate(data.feature_names[:-1])}
    columns["size"] = np.where(data.data[:, 0] > 15, "large", "small").astype(object)
    found = suspects([str(n) for n in range(len(given))], given.astype(str), columns, learner=learner)
    precision, recall = scored(found, which)
    assert precision > least_precision
    assert recall > least_recall


def test_no_row_is_judged_by_a_model_that_saw_its_label() -> None:
    """Labels that nothing can tell: a model that had seen them would know them, one that had not cannot."""
    random = np.random.default_rng(3)
    given = random.integers(0, 2, 400)
    likely = out_of_fold(given, {"x": random.normal(size=(400, 20))}, learner="forest", folds=5, seed=0)
    assert abs((likely.argmax(axis=1) == given).mean() - 0.5) < 0.1
    assert likely.sum(axis=1) == pytest.approx(1.0)


def test_the_same_seed_finds_the_same() -> None:
    random = np.random.default_rng(4)
    x = random.normal(size=200)
    given, _ = flipped((x > 0).astype(int), 2)
    items, labels = [str(n) for n in range(200)], given.astype(str)
    first, again = (suspects(items, labels, {"x": x}, folds=2, seed=5) for _ in range(2))
    assert first == again
    assert first


def test_what_cannot_be_judged_is_told() -> None:
    labels = np.array(["a"] * 10 + ["b"] * 3)
    items, x = [str(n) for n in range(13)], {"x": np.arange(13.0)}
    with pytest.raises(InvalidInput, match='class "b": expected 5 rows, got 3; fewer folds'):
        suspects(items, labels, x)
    with pytest.raises(InvalidInput, match="expected labels of two classes or more, got 1"):
        suspects(items[:10], labels[:10], x)
    with pytest.raises(InvalidInput, match="expected at least one feature, got none"):
        suspects(items, labels, {}, folds=2)
