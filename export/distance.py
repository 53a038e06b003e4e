"""Distances: how far an artefact's answer to a row is from the model's own, one number a row however wide an answer is.

A mean over all numbers of an answer would say less the more classes there are: 100 probabilities, which sum to 1, may
all be wrong and be 0.02 apart in the mean.

Source: Levin and Peres, Markov Chains and Mixing Times (2017), section 4.1, for the total variation distance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import CorruptData

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from staytrue.signature import Signature, TensorSpec

    Arrays = Mapping[str, NDArray[Any]]

FAR = 0.95
"""Share of rows that the far distance is not exceeded by."""
NOTHING_PUBLISHED = "nothing was published: no proof, no bundle"


class Distances:
    """Of all rows that were taken in, by output.

    Args:
        units: what numbers are measured in, by output; probabilities are measured as they are.
    """

    def __init__(self, signature: Signature, units: Mapping[str, float]) -> None:
        self._signature, self._units = signature, units
        self._rows: dict[str, list[NDArray[np.float64]]] = {}

    def add(self, expected: Arrays, got: Arrays, real: NDArray[np.bool_], where: str) -> None:
        """Take in the rows that are ``real``.

        Raises:
            CorruptData: no finite number where the model gives one; of any row.
        """
        for spec in self._signature.outputs:
            want, have = expected[spec.name], got[spec.name]
            if want.dtype.kind != "f":
                continue  # decisions, which are counted
            a, b = want.astype(np.float64), have.astype(np.float64)
            check_finite(a, b, f'{where}, output "{spec.name}"')
            found = by_row(self._signature, spec, a[real], b[real]) / self._unit(spec)
            self._rows.setdefault(spec.name, []).append(found[np.isfinite(found)])

    @property
    def mean(self) -> float:
        """Of the output that is farthest."""
        return max((float(rows.mean()) for rows in self._each() if len(rows)), default=0.0)

    @property
    def far(self) -> float:
        """What 19 of 20 rows stay within, of the output that is farthest."""
        held = (np.quantile(rows, FAR, method="inverted_cdf") for rows in self._each() if len(rows))
        return max(map(float, held), default=0.0)

    @property
    def largest(self) -> float:
        """Of all rows."""
        return max((float(rows.max()) for rows in self._each() if len(rows)), default=0.0)

    def _each(self) -> list[NDArray[np.float64]]:
        return [np.concatenate(parts) for parts in self._rows.values()]

    def _unit(self, spec: TensorSpec) -> float:
        return 1.0 if is_likely(self._signature, spec) else self._units[spec.name]


def by_row(
    signature: Signature, spec: TensorSpec, want: NDArray[np.float64], have: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The distance of each row: NaN where the model itself gives no number.

    Of probabilities of classes the total variation distance, half the sum of all differences, which is the largest
    difference that any event has; of labels, which are independent, and of numbers the largest difference; of pictures
    and the like the root mean square over all their numbers.

    Shapes: want, have [N,…] → [N].
    """
    with np.errstate(invalid="ignore"):  # infinity from infinity
        apart = np.abs(want - have)
    apart[~np.isfinite(want)] = np.nan
    if _classes(signature, spec):
        return np.asarray(apart.sum(axis=1) / 2)
    flat = apart.reshape(len(apart), int(np.prod(apart.shape[1:])))  # -1 is no size of no rows
    counted = np.isfinite(flat)
    some = counted.any(axis=1)
    flat = np.where(counted, flat, 0.0)
    if want.ndim > 2:
        found = np.sqrt((flat**2).sum(axis=1) / np.maximum(counted.sum(axis=1), 1))
    else:
        found = flat.max(axis=1, initial=0.0)
    return np.where(some, found, np.nan)


def is_likely(signature: Signature, spec: TensorSpec) -> bool:
    """Whether an output is probabilities: of the classes or labels that another output names."""
    labels = any(other.datatype == "BOOL" and other.shape == spec.shape for other in signature.outputs)
    return spec.datatype == "FP32" and (labels or _classes(signature, spec))


def _classes(signature: Signature, spec: TensorSpec) -> bool:
    named = [len(other.categories) for other in signature.outputs if other.datatype == "BYTES"]
    return len(spec.shape) == 2 and spec.shape[1] in named


def check_finite(want: NDArray[np.float64], have: NDArray[np.float64], where: str) -> None:
    """Refuse what is no number where the module has one. Shapes: [N,…] each.

    Raises:
        CorruptData: names the first row.
    """
    lost = np.isfinite(want) & ~np.isfinite(have)
    if lost.any():
        row = int(np.argwhere(np.atleast_1d(lost))[0][0])
        expected = f"{want[lost].ravel()[0]:.9g} as the model itself gives, or another number"
        got = f"{have[lost].ravel()[0]:.9g}"
        raise CorruptData(f"{where}, row {row}", expected=expected, got=got, hint=NOTHING_PUBLISHED)
