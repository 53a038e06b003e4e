"""Dates: a fetched column of moments as whole Unix seconds."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import InvalidInput
from staytrue.signature import MISSING_INTEGER

if TYPE_CHECKING:
    from numpy.typing import NDArray


def whole_seconds(values: NDArray[Any], where: str) -> NDArray[np.int64]:
    """Timestamps, dates, ISO 8601 texts (UTC where they say nothing else) or whole Unix seconds; parts are cut off.

    Shapes: [N] → [N], missing ones as :data:`staytrue.signature.MISSING_INTEGER`.

    Raises:
        InvalidInput: a value that is none of these; names the first.
    """
    missing, plain = np.ma.getmaskarray(values), np.ma.getdata(values)
    if plain.dtype.kind == "M":
        seconds = plain.astype("datetime64[s]")
        return np.where(missing | np.isnat(seconds), MISSING_INTEGER, seconds.astype(np.int64))
    if plain.dtype.kind in "iu":
        return np.where(missing, MISSING_INTEGER, plain.astype(np.int64))
    if plain.dtype.kind == "f":
        gone = missing | np.isnan(plain)
        filled = np.where(gone, 0.0, plain)
        if not (np.abs(filled) < 2.0**53).all():
            raise InvalidInput(where, expected="Unix seconds", got=str(filled[np.abs(filled) >= 2.0**53][0]))
        return np.where(gone, MISSING_INTEGER, np.floor(filled).astype(np.int64))
    known: dict[object, int] = {}
    seconds = np.full(len(plain), MISSING_INTEGER, dtype=np.int64)
    for place in np.flatnonzero(~missing):
        value = plain[place]
        if value not in known:
            known[value] = _moment(value, where)
        seconds[place] = known[value]
    return seconds


def _moment(value: object, where: str) -> int:
    if value is None or value == "":
        return MISSING_INTEGER
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time())
    try:
        moment = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(str(value))
    except ValueError as error:
        raise InvalidInput(where, expected="dates, ISO 8601 texts or Unix seconds", got=repr(value)[:80]) from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return (aware - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(seconds=1)
