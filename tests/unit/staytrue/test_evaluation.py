"""What of an evaluation stands for the rest, and which slices can be asked for."""

from __future__ import annotations

from typing import Any

import pytest

from staytrue.bundle import Metric
from staytrue.evaluation import headline
from staytrue.slicing import EvaluationSection, SliceSection

METRIC = Metric(value=1.0, low=0.0, high=2.0)


def test_metrics_of_which_none_is_a_headline_are_all_told() -> None:
    """As of a run from before there were others."""
    assert list(headline({"mse": METRIC, "rain.mae": METRIC, "mae": METRIC})) == ["rain.mae", "mae"]
    assert list(headline({"score": METRIC})) == ["score"]


def test_a_text_is_a_condition_and_nothing_the_column_of_the_name() -> None:
    section = EvaluationSection.model_validate({"slices": {"night": "hour > 22", "sky": None, "x": {"values": 3}}})
    assert section.slices == {
        "night": SliceSection(where="hour > 22"),
        "sky": SliceSection(),
        "x": SliceSection(values=3),
    }
    schema = EvaluationSection.model_json_schema()["properties"]["slices"]["additionalProperties"]
    assert {"type": "string"} in schema["anyOf"]


@pytest.mark.parametrize(
    ("slices", "said"),
    [
        ({"a": {"column": "x", "where": "y"}}, "one of them"),
        ({"a": {"colum": "x"}}, "colum"),
        (["x"], "valid dictionary"),
        ({"a": {"values": 0}}, "greater than or equal"),
    ],
)
def test_slices_that_say_nothing_clear_are_refused(slices: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        EvaluationSection.model_validate({"slices": slices})
