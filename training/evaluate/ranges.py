"""Ranges: between what ends a metric lies, which an interval that is widened for few blocks must not leave."""

from __future__ import annotations

import math

ANY = (-math.inf, math.inf)
_SHARES = (
    *("accuracy", "error_rate", "balanced_accuracy", "subset_accuracy", "hamming_loss", "calibration_error"),
    *("precision", "recall", "f1", "auc", "average_precision", "coverage", "right"),
    *(f"{mean}_{rate}" for mean in ("micro", "macro") for rate in ("precision", "recall", "f1")),
)
_AMOUNTS = ("mae", "mse", "rmse", "median_error", "mape", "pinball", "width", "log_loss")
_ENDS = (
    dict.fromkeys(_SHARES, (0.0, 1.0))
    | dict.fromkeys(_AMOUNTS, (0.0, math.inf))
    | {"brier": (0.0, 2.0), "r2": (-math.inf, 1.0)}
)


def ends_of(name: str) -> tuple[float, float]:
    """The least and the largest that a metric can be; of one that is not known any number.

    >>> ends_of("casual.r2"), ends_of("pinball_0.1"), ends_of("below_0.1"), ends_of("bias")
    ((-inf, 1.0), (0.0, inf), (0.0, 1.0), (-inf, inf))
    """
    if name.startswith("pinball_"):
        return _ENDS["pinball"]
    if name.startswith("below_"):
        return 0.0, 1.0
    return _ENDS.get(name.rpartition(".")[2], ANY)
