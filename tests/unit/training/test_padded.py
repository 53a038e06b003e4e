"""Padded: sequences keep their steps, and what is no such sequence is told instead of regrouped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from staytrue.command import main
from staytrue.errors import InvalidInput
from staytrue.feature import Feature
from training.data.padded import padded

if TYPE_CHECKING:
    from pathlib import Path

NAN = float("nan")
WALK = Feature(kind="sequence", shape=[3, 2])
YAML = """
name: walks
data:
  sources: {source: {path: walks.jsonl}}
  time: time
  target: y
  features:
    walk: {kind: sequence, shape: [6, 2]}
split: {method: random}
"""


def column(*values: object) -> np.ndarray:
    """As it is fetched."""
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


@pytest.mark.parametrize(
    "value",
    [
        [[1, 2], [3, 4]],
        [1, 2, 3, 4],
        np.array([[1.0, 2.0], [3.0, 4.0]]),
        column(np.array([1.0, 2.0]), [3, 4]),
    ],
)
def test_steps_stay_what_they_are_in_lists_of_steps_or_of_numbers(value: object) -> None:
    np.testing.assert_array_equal(padded(WALK, column(value), "t")[0], [[1, 2], [3, 4], [NAN, NAN]])


def test_a_step_that_is_missing_lacks_all_its_channels() -> None:
    """It was one number that is missing, and those after it moved by a channel."""
    made = padded(WALK, column([[1, 2], None, [5, None]]), "t")[0]
    np.testing.assert_array_equal(made, [[1, 2], [NAN, NAN], [5, NAN]])


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ([[1, 2, 3], [4, 5, 6]], "steps of 3"),
        (np.ones((2, 3)), "steps of 3"),
        ([[1, 2], [3, 4, 5], [6]], "steps of 1, 2, 3"),
        ([[1], [2], [3], [4]], "steps of 1"),
        ([[1, 2, 3], None, [4]], "steps of 1, 3"),
        ([[1, 2], 3, 4], "steps of 1, 2"),
    ],
)
def test_steps_of_other_widths_are_refused_though_their_numbers_would_fit(value: object, got: str) -> None:
    with pytest.raises(InvalidInput, match=rf"t, row 2: expected steps of 2 numbers, got {got}; name as many channels"):
        padded(WALK, column([1, 2], value), "t")


@pytest.mark.parametrize(
    ("value", "got"), [([[1, 2]] * 12, "12 steps"), ([1, 2] * 12, "12 steps"), ([1] * 23, "23 numbers")]
)
def test_a_sequence_that_is_too_long_is_told_in_steps(value: object, got: str) -> None:
    """Numbers that make no whole steps are told as numbers."""
    expected = "t, row 2: expected a list of at most 3 steps of 2 numbers"
    with pytest.raises(InvalidInput, match=rf"{expected}, got {got}; raise the first number of its shape"):
        padded(WALK, column([1, 2], value), "t")


def test_prepare_tells_of_rows_of_another_width(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every second row has two steps of three channels; as three of two they would be another's."""
    lines = [
        {"time": f"2024-01-01T00:{i:02d}:00", "walk": [[i + 0.5 * c for c in range(w)]] * (6 // w), "y": i}
        for i in range(60)
        for w in (2 + i % 2,)
    ]
    (tmp_path / "walks.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    (tmp_path / "staytrue.yaml").write_text(YAML)
    flags = ["--project", str(tmp_path / "staytrue.yaml"), "--output", str(tmp_path / "out")]
    assert main(["prepare", *flags]) != 0
    assert 'column "walk", row 2: expected steps of 2 numbers, got steps of 3' in capsys.readouterr().err
