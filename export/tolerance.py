"""Tolerance: how far an artefact's numbers may be from the module's own, by output, its size and its datatype."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.sections import ExportSection
    from staytrue.signature import Signature

STEPS = {"FP16": 2.0**-10, "BF16": 2.0**-7}
"""From one number to the next, at most, as a share of it. Where two numbers lie on either side of the middle between
two that a datatype holds, they are a whole step apart once they are rounded, however near they were."""


class Tolerance:
    """Of every output.

    Args:
        scale: what the absolute tolerance is in, of all outputs or by name.
    """

    def __init__(self, signature: Signature, scale: float | Mapping[str, float], settings: ExportSection) -> None:
        self._absolute, self._relative = dict[str, float](), dict[str, float]()
        for spec in signature.outputs:
            unit = scale[spec.name] if isinstance(scale, Mapping) else scale
            self._absolute[spec.name] = settings.absolute_tolerance * unit
            self._relative[spec.name] = max(settings.relative_tolerance, STEPS.get(spec.datatype, 0.0))

    def limit(self, name: str, numbers: NDArray[Any]) -> NDArray[np.float64]:
        """How far from numbers of an output others may be. Shapes: [N,…] → [N,…]."""
        return np.asarray(self._absolute[name] + self._relative[name] * np.abs(numbers), dtype=np.float64)

    def absolute(self, name: str) -> float:
        """Of an output."""
        return self._absolute[name]

    @property
    def told(self) -> tuple[float, float]:
        """For the record: the strictest absolute one of all outputs, and the widest relative one."""
        return min(self._absolute.values()), max(self._relative.values())
