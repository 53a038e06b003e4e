"""The reference profile of a run: its train and validation rows, raw, with the model's own predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from staytrue.profile import ReferenceColumn, ReferenceProfile
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT
from training.data.clean import is_missing
from training.data.rows import join

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from staytrue.sections import Feature
    from staytrue.signature import Signature
    from training.data.rows import Rows
    from training.models.regressor import Regressor


def profile(
    model: Regressor,
    train: Rows,
    held: Rows,
    features: Mapping[str, Feature],
    weights: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> ReferenceProfile:
    """Rows of both parts in time order. ``weights`` of train and held rows, where rows did not count alike."""
    rows = join([train, held])
    order = np.argsort(np.concatenate([train.time, held.time]), kind="stable")
    names: tuple[Literal["train"], Literal["validation"]] = ("train", "validation")
    return ReferenceProfile(
        columns=[_column(name, rows.columns[name], feature) for name, feature in features.items()],
        time=rows.time.tolist(),
        split=[names[int(place >= len(train))] for place in order],
        prediction=model.predict(rows.columns).tolist(),
        truth=rows.target.tolist(),
        weight=[] if weights is None else np.concatenate(weights)[order].tolist(),
    )


def sample(reference: ReferenceProfile, signature: Signature, count: int) -> dict[str, NDArray[Any]]:
    """Up to ``count`` rows, evenly spaced, as a request carries them: {name: [n,1]}."""
    which = np.unique(np.linspace(0, reference.rows - 1, min(count, reference.rows)).astype(int))
    columns = {column.name: column.values for column in reference.columns}
    return {spec.name: _raw([columns[spec.name][i] for i in which], spec.datatype) for spec in signature.inputs}


def _raw(values: list[Any], datatype: str) -> NDArray[Any]:
    if datatype == "BYTES":
        return np.array([[MISSING_TEXT if value is None else value] for value in values], dtype=object)
    if datatype == "INT64":
        return np.array([[MISSING_INTEGER if value is None else int(value)] for value in values], dtype=np.int64)
    return np.array([[np.nan if value is None else value] for value in values], dtype=np.float32)


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
