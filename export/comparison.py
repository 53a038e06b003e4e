"""Comparison: an artefact's outputs beside those of the module, each number by itself or all of them in the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from export.distance import NOTHING_PUBLISHED, Distances
from staytrue.errors import CorruptData, InvalidInput
from staytrue.signature import NUMPY
from staytrue.tensors import coded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from staytrue.reduction import ReductionSection
    from staytrue.sections import ExportSection
    from staytrue.signature import Signature, TensorSpec

Arrays = dict[str, "NDArray[Any]"]

DECIDED = 0.5
"""Probability from which on a label is decided for."""
_DATATYPES = {dtype: name for name, dtype in NUMPY.items()}


class Exact:
    """Every number within the tolerances, every text the same; errors of all comparisons so far."""

    def __init__(self, signature: Signature, scale: float, settings: ExportSection) -> None:
        self._signature, self._scale, self._settings = signature, scale, settings
        self.absolute = self.relative = 0.0

    def add(self, expected: Arrays, got: Arrays, real: NDArray[np.bool_], where: str) -> None:
        """Compare; ``where`` opens the message.

        Raises:
            CorruptData: they differ by more than the tolerances allow, or in shape or datatype.
        """
        del real  # edge rows are held to the same
        absolute, relative = compare(self._signature, expected, got, self._scale, self._settings, where)
        self.absolute, self.relative = max(self.absolute, absolute), max(self.relative, relative)

    def end(self, where: str) -> None:
        """All has been said by now."""


class Reduced:
    """Real rows near enough, in the mean and all but a few, and edge rows answered at all: what fewer bits can hold."""

    def __init__(self, signature: Signature, units: Mapping[str, float], settings: ReductionSection) -> None:
        self._signature, self._settings = signature, settings
        self._distances = Distances(signature, units)
        self.relative = 0.0

    def add(self, expected: Arrays, got: Arrays, real: NDArray[np.bool_], where: str) -> None:
        """Take in; ``where`` opens the message.

        Raises:
            CorruptData: another shape or datatype, a text that is none of the categories, or no finite number where
                the model gives one, on edge rows too.
        """
        for spec in self._signature.outputs:
            want, have = expected[spec.name], got[spec.name]
            _check_form(want, have, f'{where}, output "{spec.name}"')
            if have.dtype == object:
                _check_known(spec, have, where)
        self._distances.add(expected, got, real, where)

    @property
    def absolute(self) -> float:
        """The largest distance of a row."""
        return self._distances.largest

    def end(self, where: str) -> None:
        """Refuse what is too far in the mean, or of too many rows.

        Raises:
            CorruptData: says by how much.
        """
        bounds = self._settings
        told = {
            "apart": (self._distances.mean, f"real rows within {bounds.apart:.4g} of the model itself in the mean"),
            "far": (self._distances.far, f"19 of 20 real rows within {bounds.far:.4g} of the model itself"),
        }
        for bound, (value, said) in told.items():
            if not value <= getattr(bounds, bound):
                expected, got = f"{said} (export.reduction.{bound})", f"{value:.4g}"
                raise CorruptData(where, expected=expected, got=got, hint=NOTHING_PUBLISHED)


def compare(
    signature: Signature, expected: Arrays, got: Arrays, scale: float, settings: ExportSection, where: str
) -> tuple[float, float]:
    """The largest absolute and relative error of outputs; ``where`` opens the message.

    Raises:
        CorruptData: they differ by more than the tolerances allow, or in shape or datatype.
    """
    numbers = _untied(_compare_texts(signature, expected, got, settings, where), got, settings)
    return _compare(numbers, got, scale, settings, where)


def check_outputs(signature: Signature, outputs: Arrays, batch: int) -> None:
    """Refuse a module whose outputs are not what the signature promises to callers."""
    for spec in signature.outputs:
        array = outputs[spec.name]
        held = array.dtype == NUMPY[spec.datatype]  # BF16 as FP32 is
        spec.check(array, spec.datatype if held else _DATATYPES.get(array.dtype, str(array.dtype)), "output")
        if signature.merges and len(array) != batch:
            raise InvalidInput(f'output "{spec.name}"', expected=f"{batch} rows for as many", got=f"{len(array)}")


def _check_form(want: NDArray[Any], have: NDArray[Any], where: str) -> None:
    if want.shape != have.shape or want.dtype != have.dtype:
        said = f"{have.dtype} {list(have.shape)}"
        raise CorruptData(where, expected=f"{want.dtype} {list(want.shape)}", got=said)


def _check_known(spec: TensorSpec, have: NDArray[Any], where: str) -> None:
    odd = ~np.isin(have, spec.categories) if spec.categories else np.zeros(have.shape, bool)
    if odd.any():
        said = f'"{have[odd].ravel()[0]}"'
        raise CorruptData(f'{where}, output "{spec.name}"', expected="one of its categories", got=said)


def _compare_texts(signature: Signature, expected: Arrays, got: Arrays, settings: ExportSection, where: str) -> Arrays:
    """Refuse another text than the model's own; the outputs that are numbers, to be compared as such.

    Two classes whose probabilities are as near as the tolerance lets them move are a tie: either may win it.
    """
    for spec in signature.outputs:
        if spec.datatype != "BYTES":
            continue
        want, have, likely = expected[spec.name], got[spec.name], _likely(signature, spec, expected)
        if want.shape != have.shape or have.dtype != object:
            said = f"{have.dtype} {list(have.shape)}"
            raise CorruptData(f'{where}, output "{spec.name}"', expected=f"text {list(want.shape)}", got=said)
        for row in np.unique(np.argwhere(want != have)[:, 0]):
            first, second = (likely[row, coded(spec, texts[row]) - 1] for texts in (want, have))
            allowed = settings.absolute_tolerance + settings.relative_tolerance * np.abs(first)
            if not (np.isin(have[row], spec.categories) & (np.abs(first - second) <= 2 * allowed)).all():
                raise CorruptData(
                    f'{where}, output "{spec.name}", row {row}',
                    expected=f'"{want[row].ravel()[0]}" as the model itself gives',
                    got=f'"{have[row].ravel()[0]}"',
                    hint=NOTHING_PUBLISHED,
                )
    return {name: array for name, array in expected.items() if array.dtype != object}


def _untied(expected: Arrays, got: Arrays, settings: ExportSection) -> Arrays:
    """The outputs; decisions as near their threshold as the tolerance lets them move are taken as the artefact's."""
    told = dict(expected)
    for name, want in expected.items():
        likely = [have for have in expected.values() if have.dtype == np.float32 and have.shape == want.shape]
        if want.dtype == np.bool_ and len(likely) == 1 and got[name].shape == want.shape:
            allowed = settings.absolute_tolerance + settings.relative_tolerance * likely[0]
            told[name] = np.where(np.abs(likely[0] - DECIDED) <= allowed, got[name], want)
    return told


def _likely(signature: Signature, spec: TensorSpec, outputs: Arrays) -> NDArray[np.float64]:
    """Of each row, what the module gave each category: the output that has as many numbers a row, or else NaN."""
    rows, wide = len(outputs[spec.name]), [-1, len(spec.categories)]
    found = [outputs[other.name] for other in signature.outputs if other.datatype == "FP32" and other.shape == wide]
    return found[0].astype(np.float64) if len(found) == 1 else np.full((rows, max(wide[1], 1)), np.nan)


def _compare(expected: Arrays, got: Arrays, scale: float, settings: ExportSection, where: str) -> tuple[float, float]:
    worst_abs = worst_rel = 0.0
    for name, want in expected.items():
        have, place = got[name], f'{where}, output "{name}"'
        _check_form(want, have, place)
        if want.dtype.kind in "iub":  # counts, codes and decisions, of which none is near another
            _refuse_any(want, have, want != have, place)
            continue
        a, b = want.astype(np.float64), have.astype(np.float64)
        limit = settings.absolute_tolerance * scale + settings.relative_tolerance * np.abs(a)
        with np.errstate(invalid="ignore"):  # infinity from infinity
            apart = np.abs(a - b)
        # Beside an infinity every finite number would be within a relative tolerance.
        near = np.isfinite(a) & (apart <= limit)
        _refuse_any(a, b, ~(near | (a == b) | (np.isnan(a) & np.isnan(b))), place)
        finite = np.isfinite(apart)
        worst_abs = max(worst_abs, float(apart[finite].max(initial=0.0)))
        ratio = apart[finite] / np.maximum(np.abs(a[finite]), 1e-12 + settings.absolute_tolerance * scale)
        worst_rel = max(worst_rel, float(ratio.max(initial=0.0)))
    return worst_abs, worst_rel


def _refuse_any(want: NDArray[Any], have: NDArray[Any], wrong: NDArray[np.bool_], where: str) -> None:
    """Refuse numbers of which some are wrong; the message is of the first."""
    if not wrong.any():
        return
    first = tuple(int(at) for at in np.argwhere(np.atleast_1d(wrong))[0])
    a, b = (_said(np.atleast_1d(side)[first]) for side in (want, have))
    inside = f" at {list(first[1:])} of it" if np.atleast_1d(want)[0].size > 1 else ""
    expected = f"{a} as the model itself gives"
    raise CorruptData(f"{where}, row {first[0]}", expected=expected, got=f"{b}{inside}", hint=NOTHING_PUBLISHED)


def _said(value: Any) -> str:
    return f"{value:.9g}" if np.asarray(value).dtype.kind == "f" else str(value)
