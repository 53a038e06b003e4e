"""How large a foreign model's outputs are, each by itself: what errors of it are measured in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from export.comparison import compare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from export.importing.rows import Arrays
    from staytrue.sections import ExportSection
    from staytrue.signature import Signature


class Scales:
    """The root mean square of each output over some answers, at most 1: of small ones small errors count too."""

    def __init__(self, signature: Signature, answers: Sequence[Arrays]) -> None:
        self._signature = signature
        self._by_name = {spec.name: _scale([answer[spec.name] for answer in answers]) for spec in signature.outputs}

    @property
    def smallest(self) -> float:
        """Of all outputs."""
        return min(self._by_name.values())

    def compare(self, expected: Arrays, got: Arrays, settings: ExportSection, where: str) -> tuple[float, float]:
        """The largest absolute and relative error of all outputs; ``where`` opens the message.

        Raises:
            CorruptData: one differs by more than the tolerances allow, or in shape or datatype.
        """
        errors = []
        for spec in self._signature.outputs:
            alone = replace(self._signature, outputs=[spec])
            want, scale = {spec.name: expected[spec.name]}, self._by_name[spec.name]
            errors.append(compare(alone, want, got, scale, settings, where))
        return max(absolute for absolute, _ in errors), max(relative for _, relative in errors)


class Scaled:
    """Answers held to the tolerances in units of each output's own size; a comparison for trials."""

    def __init__(self, scales: Scales, settings: ExportSection) -> None:
        self._scales, self._settings = scales, settings
        self.absolute = self.relative = 0.0

    def add(self, expected: Arrays, got: Arrays, real: NDArray[np.bool_], where: str) -> None:
        """Compare; ``where`` opens the message.

        Raises:
            CorruptData: as :meth:`Scales.compare`.
        """
        del real  # edge rows are held to the same
        absolute, relative = self._scales.compare(expected, got, self._settings, where)
        self.absolute, self.relative = max(self.absolute, absolute), max(self.relative, relative)

    def end(self, where: str) -> None:
        """All has been said by now."""


def _scale(arrays: Sequence[np.ndarray]) -> float:
    numbers = [array.ravel().astype(np.float64) for array in arrays if array.dtype.kind in "fiu"]
    there = np.concatenate(numbers) if numbers else np.empty(0)
    there = there[np.isfinite(there)]
    size = float(np.sqrt(np.mean(there**2))) if len(there) else 0.0
    return min(size, 1.0) or 1.0
