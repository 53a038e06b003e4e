"""Comparison: an artefact's outputs beside those of the module, each number by itself or all of them in the mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from export.distance import NOTHING_PUBLISHED, Distances
from export.ties import excused
from export.tolerance import Tolerance
from staytrue.errors import CorruptData, InvalidInput
from staytrue.signature import NUMPY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from staytrue.reduction import ReductionSection
    from staytrue.sections import ExportSection
    from staytrue.signature import Signature, TensorSpec

Arrays = dict[str, "NDArray[Any]"]

_DATATYPES = {dtype: name for name, dtype in NUMPY.items()}
_BY_CHANCE = 3.0
"""Deviations of a count of rare errors that few rows may show by chance."""


class Exact:
    """Every number within the tolerances, every decision the same or a tie; errors of all comparisons so far.

    Args:
        scale: what the absolute tolerance is in, of all outputs or by name.
    """

    def __init__(self, signature: Signature, scale: float | Mapping[str, float], settings: ExportSection) -> None:
        self._signature, self._tolerance = signature, Tolerance(signature, scale, settings)
        self._compared = {spec.name: 0 for spec in signature.outputs}
        self.absolute = self.relative = self.share = 0.0

    def add(self, expected: Arrays, got: Arrays, real: NDArray[np.bool_], where: str) -> None:
        """Compare; ``where`` opens the message.

        Raises:
            CorruptData: they differ by more than the tolerances allow, or in shape or datatype.
        """
        del real  # edge rows are held to the same
        absolute, relative, share = compare(self._signature, expected, got, self._tolerance, where)
        self.absolute, self.relative = max(self.absolute, absolute), max(self.relative, relative)
        self.share = max(self.share, share)
        for name in self._compared:
            self._compared[name] += expected[name].size

    @property
    def allowed(self) -> tuple[float, float]:
        """The tolerances, absolute and relative."""
        return self._tolerance.told

    def uncompared(self) -> list[str]:
        """Outputs that were empty each time."""
        return [name for name, count in self._compared.items() if not count]

    def end(self, where: str) -> None:
        """All has been said by now."""


class Reduced:
    """Real rows near enough, in the mean and all but a few, and edge rows answered at all: what fewer bits can hold."""

    def __init__(self, signature: Signature, units: Mapping[str, float], settings: ReductionSection) -> None:
        self._signature, self._settings = signature, settings
        self._distances = Distances(signature, units)
        self._decisions: dict[str, list[NDArray[np.bool_]]] = {}
        self.relative = 0.0
        self.share: float | None = None

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
            if want.dtype.kind != "f":
                self._decisions.setdefault(spec.name, []).append((want != have)[real].ravel())
        self._distances.add(expected, got, real, where)

    @property
    def absolute(self) -> float:
        """The largest distance of a row."""
        return self._distances.largest

    @property
    def allowed(self) -> tuple[float, float]:
        """The mean distance that is."""
        return self._settings.apart, 0.0

    def uncompared(self) -> list[str]:
        """Outputs of which no real row has told anything: the model itself gives no number there."""
        silent = [name for name, parts in self._decisions.items() if not sum(map(len, parts))]
        return silent + self._distances.uncompared()

    def end(self, where: str) -> None:
        """Refuse what is too far in the mean, or of too many rows, or decides otherwise too often.

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
        for name, parts in self._decisions.items():
            self._check_decisions(name, np.concatenate(parts), where)

    def _check_decisions(self, name: str, wrong: NDArray[np.bool_], where: str) -> None:
        """As many as the validation rows may show, and what so few may show more by chance."""
        share, count = self._settings.differing, int(np.count_nonzero(wrong))
        usual = share * len(wrong)
        most = math.floor(usual + _BY_CHANCE * math.sqrt(usual) + 1)
        if count > most:
            expected = f"at most {most} of {len(wrong)} decisions on real rows others (export.reduction.differing)"
            raise CorruptData(f'{where}, output "{name}"', expected=expected, got=str(count), hint=NOTHING_PUBLISHED)


def compare(
    signature: Signature, expected: Arrays, got: Arrays, tolerance: Tolerance, where: str
) -> tuple[float, float, float]:
    """The largest absolute and relative error, and as a share of what is allowed there; ``where`` opens the message.

    Raises:
        CorruptData: they differ by more than the tolerances allow, or in shape or datatype.
    """
    worst_abs = worst_rel = worst_share = 0.0
    for spec in signature.outputs:
        want, have, place = expected[spec.name], got[spec.name], f'{where}, output "{spec.name}"'
        _check_form(want, have, place)
        if want.dtype.kind != "f":  # texts, codes and flags, of which none is near another
            wrong = np.asarray(want != have, dtype=bool)
            if wrong.any():
                _refuse_any(want, have, wrong & ~excused(spec, expected, have, tolerance), place)
            continue
        a, b = want.astype(np.float64), have.astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinity from infinity
            apart = np.abs(a - b)
        # Beside an infinity every finite number would be within a relative tolerance.
        limit = tolerance.limit(spec.name, a)
        near = np.isfinite(a) & (apart <= limit)
        _refuse_any(a, b, ~(near | (a == b) | (np.isnan(a) & np.isnan(b))), place)
        finite = np.isfinite(apart)
        worst_abs = max(worst_abs, float(apart[finite].max(initial=0.0)))
        ratio = apart[finite] / np.maximum(np.abs(a[finite]), 1e-12 + tolerance.absolute(spec.name))
        worst_rel = max(worst_rel, float(ratio.max(initial=0.0)))
        worst_share = max(worst_share, float((apart[finite] / limit[finite]).max(initial=0.0)))
    return worst_abs, worst_rel, worst_share


def check_outputs(signature: Signature, outputs: Arrays, batch: int) -> None:
    """Refuse a module whose outputs are not what the signature promises to callers.

    Raises:
        InvalidInput: another datatype or shape; or another number of rows, where requests are run together.
    """
    for spec in signature.outputs:
        array = outputs[spec.name]
        held = array.dtype == NUMPY[spec.datatype]  # BF16 as FP32 is
        spec.check(array, spec.datatype if held else _DATATYPES.get(array.dtype, str(array.dtype)), "output")
        if signature.merges and len(array) != batch:
            hint = "a first axis of any size counts rows: one for each; or say rows: dependent, or none"
            where = f'output "{spec.name}"'
            raise InvalidInput(where, expected=f"{batch} rows for as many", got=f"{len(array)}", hint=hint)


def _check_form(want: NDArray[Any], have: NDArray[Any], where: str) -> None:
    if want.shape != have.shape or want.dtype != have.dtype:
        raise CorruptData(where, expected=_form(want), got=_form(have))


def _form(array: NDArray[Any]) -> str:
    return f"{'text' if array.dtype == object else array.dtype} {list(array.shape)}"


def _check_known(spec: TensorSpec, have: NDArray[Any], where: str) -> None:
    odd = ~np.isin(have, spec.categories) if spec.categories else np.zeros(have.shape, bool)
    if odd.any():
        said = f'"{have[odd].ravel()[0]}"'
        raise CorruptData(f'{where}, output "{spec.name}"', expected="one of its categories", got=said)


def _refuse_any(want: NDArray[Any], have: NDArray[Any], wrong: NDArray[np.bool_], where: str) -> None:
    """Refuse values of which some are wrong; the message is of the first."""
    if not wrong.any():
        return
    first = tuple(int(at) for at in np.argwhere(np.atleast_1d(wrong))[0])
    a, b = (_said(np.atleast_1d(side)[first]) for side in (want, have))
    inside = f" at {list(first[1:])} of it" if np.atleast_1d(want)[0].size > 1 else ""
    expected = f"{a} as the model itself gives"
    raise CorruptData(f"{where}, row {first[0]}", expected=expected, got=f"{b}{inside}", hint=NOTHING_PUBLISHED)


def _said(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value:.9g}" if np.asarray(value).dtype.kind == "f" else str(value)
