"""Dates: moments of a fetched column, and columns of them as whole Unix seconds."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import InvalidInput
from staytrue.signature import MISSING_INTEGER
from staytrue.table import MISSING

if TYPE_CHECKING:
    from numpy.typing import NDArray


_LARGEST = int(np.iinfo(np.int64).max)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def whole_seconds(values: NDArray[Any], where: str) -> NDArray[np.int64]:
    """Timestamps, dates, ISO 8601 texts (UTC where they say nothing else) or whole Unix seconds; parts are cut off.

    Shapes: [N] → [N], missing ones as :data:`staytrue.signature.MISSING_INTEGER`.

    Raises:
        InvalidInput: a value that is none of these; names the first with its row, counted from 1.
    """
    missing, plain = np.ma.getmaskarray(values), np.ma.getdata(values)
    if plain.dtype.kind == "M":
        seconds = plain.astype("datetime64[s]")
        return np.where(missing | np.isnat(seconds), MISSING_INTEGER, seconds.astype(np.int64))
    if plain.dtype.kind in "iu":
        return integers(plain, missing, where)
    if plain.dtype.kind == "f":
        gone = missing | np.isnan(plain)
        filled = np.where(gone, 0.0, plain)
        fits = np.abs(filled) < 2.0**53
        if not fits.all():
            first = int(np.argmin(fits))
            raise InvalidInput(f"{where}, row {first + 1}", expected="Unix seconds", got=str(filled[first]))
        return np.where(gone, MISSING_INTEGER, np.floor(filled).astype(np.int64))
    known: dict[object, int] = {}
    seconds = np.full(len(plain), MISSING_INTEGER, dtype=np.int64)
    for place in np.flatnonzero(~missing):
        value = plain[place]
        if value not in known:
            known[value] = _second(value, f"{where}, row {place + 1}")
        seconds[place] = known[value]
    return seconds


def integers(values: NDArray[Any], missing: NDArray[np.bool_], where: str, begin: int = 0) -> NDArray[np.int64]:
    """Whole numbers as INT64. Shapes: [N] → [N], missing ones as :data:`staytrue.signature.MISSING_INTEGER`.

    Raises:
        InvalidInput: one that is too large, which would turn negative; names the first, of row ``begin`` on.
    """
    if values.dtype == np.uint64:
        large = ~missing & (values > np.uint64(_LARGEST))
        if large.any():
            first = int(np.argmax(large))
            hint = "leave out datatype: INT64, or call it kind: category if it names something"
            place = f"{where}, row {begin + first + 1}"
            raise InvalidInput(
                place, expected=f"whole numbers up to {_LARGEST} (INT64)", got=str(values[first]), hint=hint
            )
    return np.where(missing, MISSING_INTEGER, values.astype(np.int64))


def moment(value: object, where: str, expected: str) -> datetime.datetime:
    """A timestamp, a date or an ISO 8601 text as a moment: UTC where it says nothing else.

    Raises:
        InvalidInput: it is none of these; ``expected`` says what may stand there.
    """
    try:
        found = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(str(value))
    except ValueError as error:
        raise InvalidInput(where, expected=expected, got=repr(value)[:80]) from error
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def _second(value: object, where: str) -> int:
    if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
        return MISSING_INTEGER
    since = moment(value, where, "dates, ISO 8601 texts or Unix seconds") - _EPOCH
    return since // datetime.timedelta(seconds=1)
