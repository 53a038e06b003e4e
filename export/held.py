"""Held: the rows that it is told by what an artefact costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


class Held(NamedTuple):
    """Rows of the validation split, in the order of time, and training rows to calibrate by, as callers send them.

    Shapes: ``rows[name]`` and ``calibration[name]`` [N,…]; ``times`` [N], Unix seconds; ``truth`` [N], numbers or names
    of classes, or nothing where a run keeps no truth that a metric could be made of.
    """

    rows: Mapping[str, NDArray[Any]]
    times: NDArray[np.float64]
    truth: NDArray[Any] | None
    calibration: Mapping[str, NDArray[Any]]
    in_sample: bool = False
    """Whether something in the model was fitted on these very rows, so that its metric of them flatters it."""
