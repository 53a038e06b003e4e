"""Typed: fetched columns in the datatypes of their features, and what is no such value named with its row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import InvalidInput
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT
from staytrue.table import MISSING
from training.data.dates import integers, whole_seconds
from training.data.money import money_hint
from training.data.padded import padded
from training.data.pictures import stacked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.bundle import TaskName
    from staytrue.feature import Feature

_OTHERWISE = "say kind: category if it names kinds, or cast it in data.query (try_cast makes the others missing ones)"
"""What to do with a column of numbers that are none."""


def typed(name: str, feature: Feature, values: NDArray[Any], where: str, begin: int = 0) -> NDArray[Any]:
    """A fetched column in the datatype of its feature, or its rows from ``begin`` on.

    Raises:
        InvalidInput: values that are no numbers, no whole ones, or no pictures; names the first.
    """
    missing = np.ma.getmaskarray(values)
    plain = np.ma.getdata(values)
    if feature.kind == "image":
        return stacked(name, feature, values, where, begin)
    if feature.kind in ("date", "text", "sequence"):
        place = f'{where}, column "{name}"'
        return whole_seconds(values, place) if feature.kind == "date" else padded(feature, values, place, begin)
    if feature.sent_as == "BYTES":
        return texts(values)
    if feature.sent_as == "INT64" and plain.dtype.kind in "iu":  # as they are: floats would round the large ones
        return integers(plain, missing, f'{where}, column "{name}"', begin)
    numbers = floats(plain, missing, f'{where}, column "{name}"', _OTHERWISE, name)
    if feature.sent_as == "FP32":
        with np.errstate(over="ignore"):  # what is too large is infinite, which cleaning counts
            return numbers.astype(np.float32)
    gone = np.isnan(numbers)
    filled = np.where(gone, 0.0, numbers)
    whole = np.isfinite(filled) & (filled == np.round(filled)) & (np.abs(filled) < 2.0**53)
    if not whole.all():
        first = int(np.argmin(whole))
        place = f'{where}, column "{name}", row {begin + first + 1}'
        hint = "leave out datatype: INT64, or round it in data.query"
        raise InvalidInput(place, expected="whole numbers (INT64)", got=str(filled[first]), hint=hint)
    return np.where(gone, MISSING_INTEGER, filled.astype(np.int64))


def texts(values: NDArray[Any]) -> NDArray[Any]:
    """Values as text; missing ones, NaN and NaT among them, as the empty one."""
    plain = np.ma.getdata(values)
    missing = np.ma.getmaskarray(values) | (np.isnan(plain) if plain.dtype.kind in "fM" else False)
    written = [
        MISSING_TEXT if gone or v is None else v if type(v) is str else text_of(v)
        for v, gone in zip(plain, missing, strict=True)
    ]
    return np.array(written, dtype=object)


def untyped(values: NDArray[Any]) -> NDArray[Any]:
    """A column that no setting tells the kind of, by its own: numbers, moments, or texts; missing ones are NaN or such.

    Shapes: [N] → [N] of float64, datetime64[us] or texts.
    """
    plain, missing = np.ma.getdata(values), np.ma.getmaskarray(values)
    if plain.dtype.kind in "fiu":
        return np.where(missing, np.nan, plain.astype(np.float64))
    if plain.dtype.kind == "M":
        return np.where(missing, np.datetime64("NaT"), plain.astype("datetime64[us]"))
    return texts(values)


def text_of(value: object) -> str:
    """How a category is written: whole numbers without a point.

    >>> text_of(3.0), text_of("clear"), text_of(True)
    ('3', 'clear', 'true')
    """
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def floats(
    values: NDArray[Any], missing: NDArray[np.bool_], where: str, hint: str = "", column: str = ""
) -> NDArray[np.float64]:
    """Numbers as float64, missing ones as NaN, and so are texts that say so (:data:`staytrue.table.MISSING`).

    Raises:
        InvalidInput: a value that is no number; names the first with its row, counted from 1.
    """
    if values.dtype.kind in "fiub":
        return np.where(missing, np.nan, values.astype(np.float64))
    numbers = np.full(len(values), np.nan)
    for index, (value, gone) in enumerate(zip(values, missing, strict=True)):
        if gone or value is None or (type(value) is str and value.strip().lower() in MISSING):
            continue
        try:
            numbers[index] = float(value)
        except (TypeError, ValueError) as error:
            place, said = f"{where}, row {index + 1}", money_hint(column, str(value)) or hint
            raise InvalidInput(place, expected="numbers", got=repr(value)[:80], hint=said) from error
    return numbers


NO_NUMBER = "say model.task: classification if it names classes, or cast it in data.query"
"""What to do about a target of texts."""


def number(values: NDArray[Any], where: str, task: TaskName) -> NDArray[np.float64]:
    """A fetched column of a target that is a number, or a label that holds or does not.

    Raises:
        InvalidInput: a value that is none; names the first.
    """
    numbers = floats(np.ma.getdata(values), np.ma.getmaskarray(values), where, NO_NUMBER)
    if task == "multilabel":
        odd = numbers[~np.isnan(numbers) & (numbers != 0) & (numbers != 1)]
        if len(odd):
            raise InvalidInput(where, expected="booleans, or 0 and 1, for a label", got=f"{odd[0]:g}")
    return numbers
