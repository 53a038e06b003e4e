"""Profiles and windows of rows, made from plain arrays."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from monitoring.analysis.rows import WindowRows
from staytrue.profile import ReferenceColumn, ReferenceProfile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from staytrue.bundle import Bundle

VERSION = "1"
BUNDLE = cast("Bundle", SimpleNamespace(name="toy", version=VERSION))
"""What an analysis reads of a version."""


def profile_of(
    time: NDArray[np.float64],
    columns: Mapping[str, NDArray[Any]] | None = None,
    *,
    prediction: NDArray[np.float64] | None = None,
    truth: NDArray[np.float64] | None = None,
    held: NDArray[np.bool_] | None = None,
    weight: NDArray[np.float64] | None = None,
) -> ReferenceProfile:
    """A profile: object columns are categories, missing numbers are NaN, all rows trained on unless held."""
    zeros = np.zeros(len(time))
    return ReferenceProfile(
        columns=[_column(name, values) for name, values in (columns or {}).items()],
        time=time.tolist(),
        split=["train"] * len(time) if held is None else ["validation" if one else "train" for one in held],
        prediction=(zeros if prediction is None else prediction).tolist(),
        truth=(zeros if truth is None else truth).tolist(),
        weight=[] if weight is None else weight.tolist(),
    )


def rows_of(
    time: NDArray[np.float64],
    columns: Mapping[str, NDArray[Any]] | None = None,
    *,
    prediction: NDArray[np.float64] | None = None,
    truth: NDArray[np.float64] | None = None,
    version: str = VERSION,
    delay: float = 3600.0,
) -> WindowRows:
    """A window: predictions of zero and no labels unless given."""
    return WindowRows(
        time=time,
        columns=columns or {},
        prediction=np.zeros(len(time)) if prediction is None else prediction,
        truth=np.full(len(time), np.nan) if truth is None else truth,
        known=time + delay,
        version=np.full(len(time), version, dtype=object),
    )


def _column(name: str, values: NDArray[Any]) -> ReferenceColumn:
    if values.dtype == object:
        return ReferenceColumn(name=name, kind="category", values=values.tolist())
    return ReferenceColumn(
        name=name, kind="numeric", values=[None if np.isnan(value) else float(value) for value in values]
    )
