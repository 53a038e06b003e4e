"""Ranges: between what ends a metric lies, which an interval that is widened for few blocks must not leave."""

from __future__ import annotations

import math

ANY, SHARE = (-math.inf, math.inf), (0.0, 1.0)
_SHARES = (
    *("accuracy", "error_rate", "balanced_accuracy", "subset_accuracy", "hamming_loss", "calibration_error"),
    *("precision", "recall", "f1", "auc", "average_precision", "coverage", "right"),
    *(f"{mean}_{rate}" for mean in ("micro", "macro") for rate in ("precision", "recall", "f1")),
)
_AMOUNTS = ("mae", "mse", "rmse", "median_error", "mape", "pinball", "width", "log_loss")
_ENDS = (
    dict.fromkeys(_SHARES, SHARE)
    | dict.fromkeys(_AMOUNTS, (0.0, math.inf))
    | {"brier": (0.0, 2.0), "r2": (-math.inf, 1.0)}
)

_OF_EVERY_ROW = ("accuracy", "error_rate", "subset_accuracy", "hamming_loss", "coverage")


def of_every_row(name: str) -> bool:
    """Whether a metric is a share that each row adds to.

    >>> of_every_row("casual.coverage"), of_every_row("below_0.1"), of_every_row("macro_f1")
    (True, True, False)
    """
    return name.rpartition(".")[2] in _OF_EVERY_ROW or name.startswith("below_")


def left_open(blocks: int, confidence: float) -> float:
    """How far from 0 or 1 a share may be that is so in each of some blocks: such blocks are met by chance, too.

    Source: Clopper and Pearson, 1934, "The use of confidence or fiducial limits illustrated in the case of the
    binomial".

    >>> round(left_open(6, 0.95), 3), round(left_open(100, 0.95), 3)
    (0.459, 0.036)
    """
    return float(1 - ((1 - confidence) / 2) ** (1 / blocks))


def ends_of(name: str) -> tuple[float, float]:
    """The least and the largest that a metric can be; of one that is not known any number.

    >>> ends_of("casual.r2"), ends_of("pinball_0.1"), ends_of("below_0.1"), ends_of("bias")
    ((-inf, 1.0), (0.0, inf), (0.0, 1.0), (-inf, inf))
    """
    if name.startswith("pinball_"):
        return _ENDS["pinball"]
    if name.startswith("below_"):
        return SHARE
    return _ENDS.get(name.rpartition(".")[2], ANY)
