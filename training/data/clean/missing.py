"""Missing: sparse columns and rows, and what takes the place of a missing value."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from staytrue.errors import InvalidInput
from staytrue.repairs import FillMethod, FillSection
from training.data.clean.cleaning import is_missing
from training.data.clean.imputers import (
    Neighbours,
    Regressions,
    by_neighbours,
    by_regressions,
    fit_neighbours,
    fit_regressions,
)
from training.data.clean.noise import written
from training.data.clean.report import Touch, touch
from training.data.distinct import counted
from training.data.rows import learnable
from training.data.typed import text_of
from training.progress import unwatched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from staytrue.feature import Feature
    from staytrue.preparation import CleaningSection
    from staytrue.repairs import MissingSection
    from training.data.rows import TrainingRows
    from training.progress import Watch

SUITS: dict[str, set[str]] = {
    "numeric": {"keep", "drop_rows", "mean", "median", "mode", "constant", "knn", "iterative"},
    "category": {"keep", "drop_rows", "mode", "constant"},
    "image": {"keep", "drop_rows"},
    "date": {"keep", "drop_rows"},
    "text": {"keep", "drop_rows"},
    "sequence": {"keep", "drop_rows"},
}
"""Kind of a feature → what its missing values may come to."""
STEP = "missing"
_EXACT = 2**53
"""Whole numbers up to which floats hold each."""


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the missing values of one column; ``value`` is what the exported graph puts in their place."""

    name: str
    method: FillMethod
    value: int | float | str | None = None


class MissingState(msgspec.Struct, frozen=True, kw_only=True):
    """Which way each column goes whose missing values are not merely kept."""

    fills: list[Fill]
    neighbours: Neighbours | None = None
    regressions: Regressions | None = None


def sparse_columns(rows: TrainingRows, features: Mapping[str, Feature], settings: CleaningSection) -> dict[str, float]:
    """Features that lack more than ``max_missing_column`` of their values, with the share that they lack."""
    limit, columns = settings.max_missing_column, learnable(rows).columns
    if limit is None:
        return {}
    shares = {name: float(is_missing(columns[name]).mean()) for name in features}
    return {name: share for name, share in shares.items() if share > limit}


def sparse_rows(rows: TrainingRows, features: Mapping[str, Feature], limit: float | None) -> NDArray[np.bool_]:
    """Which rows lack a larger share of their features than the limit."""
    if limit is None:
        return np.zeros(len(rows), dtype=np.bool_)
    counts = np.sum([is_missing(rows.columns[name]) for name in features], axis=0)
    return np.asarray(counts > limit * len(features), dtype=np.bool_)


def chosen(features: Mapping[str, Feature], settings: MissingSection) -> dict[str, FillSection]:
    """The way of each column: its own, or the one for all where that suits its kind."""
    general = FillSection(method=settings.method, value=settings.value)
    keep = FillSection(method="keep")
    return {
        name: settings.columns.get(name, general if _suits(feature, general) else keep)
        for name, feature in features.items()
    }


def _suits(feature: Feature, fill: FillSection) -> bool:
    """Whether the way for all is one for this column: a constant must be of what callers send."""
    if fill.method == "constant":
        text = isinstance(fill.value, str)
        if text != (feature.sent_as == "BYTES"):
            return False
        if feature.kind == "category" and not text and float(fill.value or 0) % 1:
            return False
    return fill.method in SUITS[feature.kind]


def fit(
    rows: TrainingRows, features: Mapping[str, Feature], settings: MissingSection, watch: Watch = unwatched
) -> MissingState | None:
    """Learn what fills the gaps; None where all are merely kept.

    Raises:
        InvalidInput: a column to be filled has no value to learn from.
    """
    ways = {name: way for name, way in chosen(features, settings).items() if way.method != "keep"}
    if not ways:
        return None
    columns = learnable(rows).columns
    fills = [Fill(name=n, method=w.method, value=_value(n, columns[n], w)) for n, w in ways.items()]
    numeric = [
        name for name, feature in features.items() if feature.kind == "numeric" and not is_missing(columns[name]).all()
    ]
    methods = {way.method for way in ways.values()}
    return MissingState(
        fills=fills,
        neighbours=fit_neighbours(rows, numeric, settings) if "knn" in methods else None,
        regressions=fit_regressions(rows, numeric, settings, watch) if "iterative" in methods else None,
    )


def _value(name: str, column: NDArray[Any], way: FillSection) -> int | float | str | None:
    if way.method == "drop_rows":
        return None
    text = column.dtype == object
    if way.method == "constant":
        return text_of(way.value) if text else float(way.value or 0)
    present = column[~is_missing(column)]
    if not len(present):
        hint = f'take another way for "{name}" in cleaning.missing.columns, or remove it from data.features'
        place = f'cleaning.missing, column "{name}"'
        raise InvalidInput(place, expected="values among the training rows", got="only missing ones", hint=hint)
    if way.method == "mode":
        values, counts = counted(present)
        most = values[np.argmax(counts)]  # of a tie the first in order
        if text:
            return str(most)
        return int(most) if most.dtype.kind in "iub" else float(most)  # floats would round a large whole number
    if way.method in {"mean", "median"}:
        return float((np.mean if way.method == "mean" else np.median)(present.astype(np.float64)))
    return None


def apply(
    rows: TrainingRows, state: MissingState, features: Mapping[str, Feature], watch: Watch = unwatched
) -> tuple[TrainingRows, NDArray[np.bool_], list[Touch]]:
    """Rows without the gaps, which of those given stay, and what was touched.

    Numbers that one value fills stay missing here: the encoder puts the value in, for these rows as for callers'.
    """
    touches = [_dropped(rows, fill.name) for fill in state.fills if fill.method == "drop_rows"]
    gaps = [is_missing(rows.columns[fill.name]) for fill in state.fills if fill.method == "drop_rows"]
    kept = ~np.logical_or.reduce(gaps) if gaps else np.ones(len(rows), dtype=np.bool_)
    rows = rows.take(kept) if gaps else rows
    columns = dict(rows.columns)
    for fill in state.fills:
        if fill.value is not None:
            filled, told = _filled(rows, fill, features[fill.name].kind == "category")
            columns[fill.name] = filled
            touches.append(told)
    for method, model in (("knn", state.neighbours), ("iterative", state.regressions)):
        names = [fill.name for fill in state.fills if fill.method == method]
        if model is not None:
            changed, told_all = _imputed(rows, model, names, method, watch)
            columns |= changed
            touches += told_all
    return dataclasses.replace(rows, columns=columns), kept, [told for told in touches if told.count]


def filled(rows: TrainingRows, state: MissingState | None) -> TrainingRows:
    """Repaired rows as the encoder sees them, for people: with the one value of each column in its gaps.

    A whole number that is filled with a fraction becomes a plain one, unless plain ones would round others of its
    column: then the fraction is rounded. What is merely kept stays missing.
    """
    columns = dict(rows.columns)
    for fill in state.fills if state else []:
        column = columns[fill.name]
        gone = is_missing(column)
        if isinstance(fill.value, int | float) and gone.any():
            whole = column.dtype.kind == "i"
            exact = whole and (fill.value % 1 == 0 or bool((np.abs(column[~gone]) > _EXACT).any()))
            made = column.astype(np.float64) if whole and not exact else column.copy()
            made[gone] = round(fill.value) if exact else fill.value
            columns[fill.name] = made
    return dataclasses.replace(rows, columns=columns)


def _dropped(rows: TrainingRows, name: str) -> Touch:
    return touch(STEP, name, "row dropped", "training rows", is_missing(rows.columns[name]), rows.time)


def _filled(rows: TrainingRows, fill: Fill, category: bool) -> tuple[NDArray[Any], Touch]:
    """A column with its fill, if it is one of categories: the encoder must know the value and how often it comes."""
    column, value = rows.columns[fill.name], fill.value
    gone = is_missing(column)
    scope = "training rows and the exported graph"
    told = touch(STEP, fill.name, fill.method, scope, gone, rows.time, column, value)  # type: ignore[arg-type]
    if not category or value is None:
        return column, told
    filled = column.copy()
    filled[gone] = value if column.dtype == object else int(value)
    return filled, told


def _imputed(
    rows: TrainingRows, model: Neighbours | Regressions, names: Sequence[str], method: str, watch: Watch
) -> tuple[dict[str, NDArray[Any]], list[Touch]]:
    gaps = {name: is_missing(rows.columns[name]) for name in names if name in model.columns}
    wanted = np.logical_or.reduce(list(gaps.values())) if gaps else np.zeros(len(rows), dtype=np.bool_)
    if not wanted.any():
        return {}, []
    if isinstance(model, Neighbours):
        found = by_neighbours(rows, model, wanted, watch)
    else:
        found = by_regressions(rows, model, wanted)
    columns, touches = {}, []
    for name, gone in gaps.items():
        column = rows.columns[name].copy()
        column[gone] = written(found[gone[wanted], model.columns.index(name)], column)
        columns[name] = column
        touches.append(touch(STEP, name, method, "training rows", gone, rows.time, rows.columns[name], column))
    return columns, touches
