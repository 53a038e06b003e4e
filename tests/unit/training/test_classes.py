"""Classes: the names a classifier may answer, and names that nothing else may bear."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from staytrue.errors import InvalidConfig, InvalidInput
from staytrue.project import Project
from training.data.classes import check_names, classes_of, of_classes
from training.data.rows import Rows

NUMBER: dict[str, Any] = {"kind": "numeric"}
PICTURE: dict[str, Any] = {"kind": "image", "shape": [1, 2, 2]}


def named(*names: str) -> np.ndarray:
    """A target of names."""
    return np.array(names, dtype=object)


def project(task: str, target: str, features: dict[str, Any], output: str = "linear") -> Project:
    """A project of these columns."""
    return Project.model_validate(
        {
            "name": "p",
            "data": {"source": "d.csv", "time": "t", "target": target, "features": features},
            "model": {"task": task, "output": output},
        }
    )


def test_classes_are_sorted_names_and_a_number_has_none() -> None:
    assert classes_of(named("b", "a", "b", "10"), named("a", "b", "10")) == ("10", "a", "b")
    assert classes_of(np.array([1.0, 2]), np.array([1.0])) == ()


def test_one_class_or_very_many_are_refused() -> None:
    with pytest.raises(InvalidInput, match="expected 2 to 1000 classes in the target, got 1: a"):
        classes_of(named("a", "a"), named("a"))
    many = named(*(f"c{place}" for place in range(1001)))
    with pytest.raises(InvalidInput, match="got 1001: c0, c1, c10, …"):
        classes_of(many, many)


def test_numbers_that_are_no_names_are_for_regression() -> None:
    """Codes that many rows share may be names: of 101 there are, a tenth of the rows have each."""
    many = named(*(f"{place / 10}" for place in range(101)))
    told = "expected names of classes for classification, got 101 different numbers; model.task: regression predicts"
    with pytest.raises(InvalidInput, match=told):
        classes_of(many, many)
    often = np.repeat(many, 20)
    assert len(classes_of(often, often)) == 101
    assert len(classes_of(many[:100], many[:100])) == 100


def test_a_class_that_nothing_trains_on_is_named() -> None:
    with pytest.raises(InvalidInput, match="no row to train on is of class, expected some of each, got c"):
        classes_of(named("a", "b", "c"), named("a", "b"))


def test_rows_of_other_classes_are_left_out_and_counted() -> None:
    rows = Rows(np.arange(3.0), {"x": np.zeros(3, np.float32)}, named("a", "z", "b"))
    kept, others = of_classes(rows, ("a", "b"))
    assert (kept.target.tolist(), kept.time.tolist(), others) == (["a", "b"], [0.0, 2.0], 1)
    numbers = Rows(np.arange(3.0), {}, np.arange(3.0))
    assert of_classes(numbers, ()) == (numbers, 0)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (project("classification", "probabilities", {"x": NUMBER}), 'data.target: cannot be "probabilities"'),
        (project("classification", "y", {"probabilities": NUMBER}), '"probabilities" is the name of what'),
        (project("classification", "y", {"confidence": NUMBER}), '"confidence" is the name of what'),
        (
            project("regression", "y", {"p": PICTURE, "p.grain": NUMBER}),
            '"p.grain" is the name of what is watched',
        ),
        (project("classification", "y", {"x": NUMBER}, "positive"), "expected linear for classification"),
    ],
    ids=["target", "output", "confidence", "summary", "positive"],
)
def test_names_that_the_model_needs_are_refused(made: Project, said: str) -> None:
    with pytest.raises(InvalidConfig, match=said):
        check_names(made)


def test_a_regression_may_use_the_names_of_a_classifier() -> None:
    check_names(project("regression", "probabilities", {"confidence": NUMBER}))


@pytest.mark.parametrize(
    ("method", "hint"),
    [("random", "split.method: stratified"), ("given", "split.column"), ("time", "newer"), ("stratified", "query")],
)
def test_what_to_do_goes_by_the_method_of_the_split(method: str, hint: str) -> None:
    with pytest.raises(InvalidInput, match=hint) as caught:
        classes_of(named("a", "b", "c"), named("a", "b"), method)
    assert "block_days" not in str(caught.value)
