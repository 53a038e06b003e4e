"""The year in figures: errors of the line that was kept true and of the model that was left alone, on the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from examples.bikeshare.demo.stream import DRIFT_BEGINS
from serving.runtimes.onnx import OnnxRuntime
from staytrue.signature import NUMPY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from examples.bikeshare.demo.replay import Answer
    from staytrue.signature import Signature
    from staytrue.store import Store


@dataclass(frozen=True)
class Year:
    """All answered hours. Arrays of one length, in order of time."""

    time: NDArray[np.float64]
    truth: NDArray[np.float64]
    kept: NDArray[np.float64]
    """What was answered."""
    alone: NDArray[np.float64]
    """What the first model says on the same rows."""
    version: list[str]

    @property
    def kept_error(self) -> NDArray[np.float64]:
        """Absolute error of the answers, bikes an hour."""
        return np.abs(self.kept - self.truth)

    @property
    def alone_error(self) -> NDArray[np.float64]:
        """Absolute error of the first model, bikes an hour."""
        return np.abs(self.alone - self.truth)

    def promotions(self) -> list[tuple[float, str]]:
        """When each version first answered, and which."""
        changes = [i for i in range(1, len(self.version)) if self.version[i] != self.version[i - 1]]
        return [(float(self.time[i]), self.version[i]) for i in changes]

    def means(self, begin: float, end: float) -> tuple[float, float]:
        """Mean absolute error of the answers and of the first model within [begin, end); NaN where empty."""
        inside = (self.time >= begin) & (self.time < end)
        if not inside.any():
            return float("nan"), float("nan")
        return float(self.kept_error[inside].mean()), float(self.alone_error[inside].mean())

    def phases(self) -> dict[str, tuple[float, float]]:
        """Mean absolute errors before the drift, during it until the first promotion, after it, and May to December."""
        promotions = self.promotions()
        first = promotions[0][0] if promotions else float("inf")
        return {
            "before (held-out weeks)": self.means(0, DRIFT_BEGINS),
            "during (1 May to first promotion)": self.means(DRIFT_BEGINS, first),
            "after (to 31 December)": self.means(first, float("inf")),
            "May to December": self.means(DRIFT_BEGINS, float("inf")),
        }


def measure(answers: Sequence[Answer], store: Store, model: str) -> Year:
    """Score the answers, and run the first version over the same rows in the server's own runtime."""
    bundle = store.load(model, "1")
    runtime = OnnxRuntime(store.path(model, "1") / bundle.artefacts["onnx"], bundle.signature)
    arrays = _inputs(answers, bundle.signature)
    alone: list[NDArray[Any]] = []
    for begin in range(0, len(answers), bundle.max_batch):
        part = {name: array[begin : begin + bundle.max_batch] for name, array in arrays.items()}
        alone.append(runtime.run(part)[bundle.signature.outputs[0].name].ravel())
    runtime.close()
    return Year(
        time=np.array([answer.row.time for answer in answers]),
        truth=np.array([answer.row.truth for answer in answers]),
        kept=np.array([answer.prediction for answer in answers]),
        alone=np.concatenate(alone).astype(np.float64),
        version=[answer.version for answer in answers],
    )


def _inputs(answers: Sequence[Answer], signature: Signature) -> dict[str, NDArray[Any]]:
    def column(name: str, datatype: str) -> NDArray[Any]:
        texts = [answer.row.values[name] for answer in answers]
        values: list[Any] = texts if datatype == "BYTES" else [float(text) for text in texts]
        return np.array(values, dtype=NUMPY[datatype]).reshape(-1, 1)

    return {spec.name: column(spec.name, spec.datatype) for spec in signature.inputs}
