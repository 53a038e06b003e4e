"""How large a foreign model's outputs are, each by itself: what errors of it are measured in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.comparison import compare
from export.tolerance import Tolerance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from export.importing.rows import Arrays
    from staytrue.sections import ExportSection
    from staytrue.signature import Signature


class Scales:
    """The root mean square of each output over some answers, at most 1: of small ones small errors count too."""

    def __init__(self, signature: Signature, answers: Sequence[Arrays]) -> None:
        self._signature = signature
        self.by_name = {spec.name: _scale([answer[spec.name] for answer in answers]) for spec in signature.outputs}

    def compare(self, expected: Arrays, got: Arrays, settings: ExportSection, where: str) -> None:
        """Hold outputs to the tolerances; ``where`` opens the message.

        Raises:
            CorruptData: one differs by more than the tolerances allow, or in shape or datatype.
        """
        tolerance = Tolerance(self._signature, self.by_name, settings)
        compare(self._signature, expected, got, tolerance, where)


def _scale(arrays: Sequence[np.ndarray]) -> float:
    numbers = [array.ravel().astype(np.float64) for array in arrays if array.dtype.kind in "fiu"]
    there = np.concatenate(numbers) if numbers else np.empty(0)
    there = there[np.isfinite(there)]
    size = float(np.sqrt(np.mean(there**2))) if len(there) else 0.0
    return min(size, 1.0) or 1.0
