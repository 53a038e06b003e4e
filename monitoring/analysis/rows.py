"""The rows of a look, as every check, detector and baseline takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True)
class WindowRows:
    """Rows served in a span, in any order. Arrays of one length N.

    Shapes:
        time, known: float64 [N]; version: object [N]; columns: [N], float64 with NaN for missing (numeric) or object of
        ``str | None`` (category). prediction, truth: [N], float64 (regression) or object of ``str | None``
        (classification). Of pictures, columns hold the numbers of :mod:`staytrue.pictures`.
    Units:
        time, known: Unix seconds of event time. truth: NaN or None where no label has come yet.
    """

    time: NDArray[np.float64]
    columns: Mapping[str, NDArray[Any]]
    prediction: NDArray[Any]
    truth: NDArray[Any]
    known: NDArray[np.float64]
    version: NDArray[Any]
    failures: int = 0

    def __len__(self) -> int:
        return len(self.time)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which rows have a label."""
        if self.truth.dtype == object:
            return np.array([truth is not None for truth in self.truth], dtype=np.bool_)
        return np.asarray(np.isfinite(self.truth), dtype=np.bool_)

    def take(self, which: NDArray[np.bool_]) -> WindowRows:
        """The rows where ``which`` is true."""
        return WindowRows(
            time=self.time[which],
            columns={name: column[which] for name, column in self.columns.items()},
            prediction=self.prediction[which],
            truth=self.truth[which],
            known=self.known[which],
            version=self.version[which],
            failures=self.failures,
        )
