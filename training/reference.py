"""The reference profile of a run: its train and validation rows, raw, with the model's own predictions."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from export.held import Held
from staytrue.pictures import summarise
from staytrue.profile import ReferenceColumn, ReferenceProfile
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT
from training.data.clean.cleaning import is_missing
from training.data.rows import evenly, join
from training.ensemble.listed import fitted_on_validation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from staytrue.checkpoint import Checkpoint
    from staytrue.feature import Feature
    from staytrue.signature import Signature
    from training.data.rows import Rows
    from training.models.model import Model
    from training.tasks.task import Task

SAMPLE_ROWS = 1024
MOST_HELD = 10_000
"""Rows of a part that artefacts are judged by."""
SAMPLE_BYTES = 64 * 1024**2
"""Most that the sample's pictures may take."""

_WATCHED = ("numeric", "category")
"""Kinds whose values the profile holds: a date always moves on, and a text or sequence is no single value."""


def profile(
    model: Model,
    task: Task,
    train: Rows,
    held: Rows,
    features: Mapping[str, Feature],
    weights: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> ReferenceProfile:
    """Rows of both parts in time order. ``weights`` of train and held rows, where rows did not count alike.

    Of pictures it holds what :data:`staytrue.pictures.SUMMARIES` says; of answers also what the task watches.
    """
    rows = join([train, held])
    order = np.argsort(np.concatenate([train.time, held.time]), kind="stable")
    names: tuple[Literal["train"], Literal["validation"]] = ("train", "validation")
    sent = {spec.name for spec in model.inputs()}
    columns = [
        made
        for name, feature in features.items()
        if name in sent
        for made in _columns(name, rows.columns[name], feature)
    ]
    prediction, watched = task.predictions(model, rows)
    columns += watched
    return ReferenceProfile(
        columns=columns,
        time=rows.time.tolist(),
        split=[names[int(place >= len(train))] for place in order],
        prediction=prediction,
        truth=task.told(rows),
        weight=[] if weights is None else np.concatenate(weights)[order].tolist(),
    )


def sample(
    reference: ReferenceProfile,
    signature: Signature,
    count: int = SAMPLE_ROWS,
    pictures: Mapping[str, NDArray[Any]] = MappingProxyType({}),
) -> dict[str, NDArray[Any]]:
    """Up to ``count`` rows, evenly spaced, as a request carries them: {name: [n,1]}, pictures those of the run."""
    which = evenly(reference.rows, min([count, *map(len, pictures.values())]))
    return _rows(reference, signature, which, np.arange(len(which)), pictures)


def held(
    reference: ReferenceProfile,
    checkpoint: Checkpoint,
    calibration_rows: int,
    pictures: Mapping[str, NDArray[Any]] = MappingProxyType({}),
) -> Held:
    """Rows of the validation split with their truths, to judge an artefact by, and training rows to calibrate it by.

    Both are evenly spaced. Of dates, pictures, texts and sequences they are those of the run's sample; of several
    targets or labels a profile keeps no truth of each.
    """
    which = evenly(reference.rows, min([reference.rows, *map(len, pictures.values())]))
    parts = {
        part: np.array([place for place, row in enumerate(which) if reference.split[row] == part], dtype=np.int64)
        for part in ("train", "validation")
    }
    if checkpoint.task == "generation":  # rows of noise are of no part
        parts = {"train": np.arange(0, len(which), 2), "validation": np.arange(1, len(which), 2)}
    places = {part: some[evenly(len(some), MOST_HELD)] for part, some in parts.items()}
    places["train"] = places["train"][evenly(len(places["train"]), calibration_rows)]
    made = {part: _rows(reference, checkpoint.signature, which, some, pictures) for part, some in places.items()}
    judged = which[places["validation"]]
    single = checkpoint.task in ("regression", "classification") and not checkpoint.targets
    truth = np.array([reference.truth[row] for row in judged], dtype=object)
    return Held(
        rows=made["validation"],
        times=np.array([reference.time[row] for row in judged], dtype=np.float64),
        truth=(truth if checkpoint.task == "classification" else truth.astype(np.float64)) if single else None,
        calibration=made["train"],
        in_sample=fitted_on_validation(checkpoint),
    )


def _rows(
    reference: ReferenceProfile,
    signature: Signature,
    which: NDArray[np.int64],
    places: NDArray[np.int64],
    pictures: Mapping[str, NDArray[Any]],
) -> dict[str, NDArray[Any]]:
    """Some of the sampled rows as a request carries them."""
    columns = {column.name: column.values for column in reference.columns}
    return {
        spec.name: pictures[spec.name][places]
        if spec.name in pictures
        else _raw([columns[spec.name][row] for row in which[places]], spec.datatype)
        for spec in signature.inputs
    }


def sample_pictures(train: Rows, held: Rows, features: Mapping[str, Feature]) -> dict[str, NDArray[Any]]:
    """What the profile does not hold of the rows that :func:`sample` takes: pictures, dates, texts and sequences.

    Shapes: {name: [n,C,H,W]}, as a request carries them.
    """
    names = [name for name, feature in features.items() if feature.kind not in _WATCHED]
    if not names:
        return {}
    size = sum(max(_bytes(part.columns[name]) for part in (train, held)) for name in names)
    which = evenly(len(train) + len(held), max(1, min(SAMPLE_ROWS, SAMPLE_BYTES // max(size, 1))))
    sent = join([train, held], which).inputs()
    return {name: np.ascontiguousarray(sent[name]) for name in names}


def _bytes(column: NDArray[Any]) -> int:
    """What a row takes; of texts the longest."""
    return max(map(len, column), default=0) if column.dtype == object else int(column[:1].nbytes)


def _raw(values: list[Any], datatype: str) -> NDArray[Any]:
    if datatype == "BYTES":
        return np.array([[MISSING_TEXT if value is None else value] for value in values], dtype=object)
    if datatype == "INT64":
        return np.array([[MISSING_INTEGER if value is None else int(value)] for value in values], dtype=np.int64)
    return np.array([[np.nan if value is None else value] for value in values], dtype=np.float32)


def _columns(name: str, column: NDArray[Any], feature: Feature) -> list[ReferenceColumn]:
    if feature.kind in _WATCHED:
        return [_column(name, column, feature)]
    if feature.kind != "image":
        return []
    measured = {f"{name}.{what}": values for what, values in summarise(column).items()}
    return [
        ReferenceColumn(name=what, kind="numeric", values=[x if math.isfinite(x) else None for x in values.tolist()])
        for what, values in measured.items()
    ]


def _column(name: str, column: NDArray[Any], feature: Feature) -> ReferenceColumn:
    gone = is_missing(column)
    if feature.kind == "category":
        texts: list[float | str | None] = [
            None if missing else str(value) for value, missing in zip(column, gone, strict=True)
        ]
        return ReferenceColumn(name=name, kind="category", values=texts)
    numbers: list[float | str | None] = [
        None if missing else float(value) for value, missing in zip(column, gone, strict=True)
    ]
    return ReferenceColumn(name=name, kind="numeric", values=numbers)
