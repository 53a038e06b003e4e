"""Worst: the rows of a part that a model did worst on, with what it was given."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.evaluation import Example, Examples
from staytrue.records import utc
from training.augment.texts import readable
from training.data.clean.cleaning import is_missing
from training.evaluate.judge import said

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from staytrue.feature import Feature
    from training.data.rows import Rows
    from training.evaluate.judge import Judge

ROWS, INPUTS, LETTERS = 20, 40, 300
"""Rows that are told of, inputs of each, and letters of a text."""


def worst(judge: Judge, rows: Rows, features: Mapping[str, Feature]) -> Examples | None:
    """The rows of the highest loss, the first of equal ones first; None where no answer is judged by itself.

    The judge is of the same rows in the same order.
    """
    if not judge.loss:
        return None
    known = np.flatnonzero(judge.known)
    with np.errstate(over="ignore", invalid="ignore"):  # what is beyond all numbers is the worst
        losses = np.where(np.isnan(found := judge.losses()), np.inf, found)
    order = known[np.argsort(-losses[known], kind="stable")][:ROWS].tolist()
    shown = [(name, feature) for name, feature in features.items() if name in rows.columns][:INPUTS]
    return Examples(loss=judge.loss, rows=[_example(judge, rows, shown, row, float(losses[row])) for row in order])


def _example(judge: Judge, rows: Rows, shown: list[tuple[str, Feature]], row: int, loss: float) -> Example:
    truth, answer = judge.told(row)
    return Example(
        row=row,
        time=float(rows.time[row]),
        loss=loss if math.isfinite(loss) else None,
        truth=truth[:LETTERS],
        answer=answer[:LETTERS],
        inputs={name: given(rows.columns[name][row : row + 1], feature) for name, feature in shown},
    )


def given(one: NDArray[Any], feature: Feature) -> str:
    """What a row has in a column, for people; nothing where it is missing. Shapes: [1,…]."""
    if is_missing(one)[0]:
        return ""
    value = one[0]
    if feature.kind == "date":
        return utc(float(value))
    if one.dtype == object:
        return str(value)[:LETTERS]
    if feature.kind == "text":
        return readable(value)[:LETTERS]
    if one.ndim > 1:
        return f"{feature.sent_as} {list(one.shape[1:])}"
    return str(value) if one.dtype.kind == "i" else said(float(value))
