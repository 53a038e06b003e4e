"""Distances: how far an artefact's answer to a row is from the model's own, one number a row however wide an answer is.

A mean over all numbers of an answer would say less the more classes there are: 100 probabilities, which sum to 1, may
all be wrong and be 0.02 apart in the mean.

Source: Levin and Peres, Markov Chains and Mixing Times (2017), section 4.1, for the total variation distance.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from export.ties import by_largest, by_threshold, codes
from staytrue.errors import CorruptData

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from staytrue.signature import Signature, TensorSpec

    Arrays = Mapping[str, NDArray[Any]]
    Meaning = Literal["classes", "labels", "numbers"]

FAR = 0.95
"""Share of rows that the far distance is not exceeded by."""
NOTHING_PUBLISHED = "nothing was published: no proof, no bundle"
_WHOLE = 1e-3
"""How far from 1 the sum of probabilities may be."""


class Distances:
    """Of all rows that were taken in, by output.

    Args:
        units: what numbers are measured in, by output; probabilities are measured as they are.
    """

    def __init__(self, signature: Signature, units: Mapping[str, float]) -> None:
        self._signature, self._units = signature, units
        self._rows: dict[str, dict[bool, list[NDArray[np.float64]]]] = {}
        self._meanings: dict[str, set[Meaning]] = {}

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
            if np.isfinite(a).any():
                self._meanings.setdefault(spec.name, set()).add(meaning(self._signature, spec, expected))
            ways = self._rows.setdefault(spec.name, {True: [], False: []})
            for classes, rows in ways.items():
                if classes and a.ndim != 2:
                    continue
                found = by_row(a[real], b[real], classes=classes)
                rows.append(found[np.isfinite(found)])

    @property
    def mean(self) -> float:
        """Of the output that is farthest; NaN where no number of one was compared."""
        return self._farthest(lambda rows: float(rows.mean()))

    @property
    def far(self) -> float:
        """What 19 of 20 rows stay within, of the output that is farthest; NaN as above."""
        return self._farthest(lambda rows: float(np.quantile(rows, FAR, method="inverted_cdf")))

    @property
    def largest(self) -> float:
        """Of all rows; NaN as above."""
        return self._farthest(lambda rows: float(rows.max()))

    def uncompared(self) -> list[str]:
        """Outputs of numbers of which the model itself gave none, on no real row."""
        return [name for name in self._rows if not len(self._of(name))]

    def _farthest(self, told: Callable[[NDArray[np.float64]], float]) -> float:
        return math.nan if self.uncompared() else max((told(self._of(name)) for name in self._rows), default=0.0)

    def _of(self, name: str) -> NDArray[np.float64]:
        """Distances of an output: probabilities are such in all that the model gave, or it is measured as numbers."""
        meant = self._meanings.get(name, set())
        parts = self._rows[name][meant == {"classes"}]
        unit = 1.0 if meant in ({"classes"}, {"labels"}) else self._units[name]
        return np.concatenate(parts) / unit if parts else np.empty(0)


def by_row(want: NDArray[np.float64], have: NDArray[np.float64], *, classes: bool = False) -> NDArray[np.float64]:
    """The distance of each row: NaN where the model itself gives no number.

    Of probabilities of ``classes`` the total variation distance, half the sum of all differences, which is the largest
    difference that any event has; of labels, which are independent, and of numbers the largest difference; of pictures
    and the like the root mean square over all their numbers.

    Shapes: want, have [N,…] → [N].
    """
    with np.errstate(invalid="ignore"):  # infinity from infinity
        apart = np.abs(want - have)
    apart[~np.isfinite(want)] = np.nan
    if classes:
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


def meaning(signature: Signature, spec: TensorSpec, outputs: Arrays) -> Meaning:
    """What an output's numbers are, as far as the model's own answers show it.

    Probabilities of classes sum to 1, and the largest is that of the class which another output names, in every row;
    those of labels lie between 0 and 1, and above one half for just those flags of another output that are set. As
    many numbers as there are classes may as well be something else.
    """
    numbers = outputs[spec.name].astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    if finite.size and (finite.min() < 0 or finite.max() > 1 + _WHOLE):
        return "numbers"
    others = [(other, outputs[other.name]) for other in signature.outputs if other.name != spec.name]
    if any(array.dtype.kind == "b" and by_threshold(array, numbers) for _, array in others):
        return "labels"
    if numbers.ndim != 2 or not (np.abs(numbers.sum(axis=1) - 1) <= _WHOLE)[np.isfinite(numbers).all(axis=1)].all():
        return "numbers"
    named = (codes(other, array) for other, array in others if array.dtype.kind in "Oiu")
    return "classes" if any(by_largest(places, numbers) for places in named) else "numbers"


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
