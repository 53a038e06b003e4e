"""Values of a tensor between lists, as JSON has them, and arrays: types, ranges, missing numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from staytrue.errors import InvalidInput
from staytrue.nearest import meant
from staytrue.records import shown
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT, NUMPY
from staytrue.texts import check_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

FLOATS = ("FP16", "BF16", "FP32", "FP64")
POLICY_HINT = "the server's setting nan_policy decides"
_MISSING = dict.fromkeys(FLOATS, f"for missing values {POLICY_HINT}") | {
    "BYTES": f'for a missing text send "{MISSING_TEXT}"',
    "INT64": f"for a missing whole number send {MISSING_INTEGER}",
}
WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_CALLED = {
    "FLOAT16": "FP16",
    "BFLOAT16": "BF16",
    "FLOAT32": "FP32",
    "FLOAT": "FP32",
    "FLOAT64": "FP64",
    "DOUBLE": "FP64",
    "STRING": "BYTES",
    "STR": "BYTES",
}
"""What other tools call our datatypes."""
_TYPES: dict[str, set[type]] = {"BOOL": {bool}, "BYTES": {str}}


class Where(NamedTuple):
    """How messages name a tensor's values: all of them, and one by its place."""

    all: str
    one: Callable[[int], str]

    @classmethod
    def of(cls, name: str) -> Where:
        """Name them as JSON of the Open Inference Protocol has them.

        >>> Where.of('input "x"').one(3)
        'input "x" data[3]'
        """
        return cls(f"{name} data", lambda place: f"{name} data[{place}]")


def array_of(
    values: list[Any], datatype: str, shape: list[int], where: Where, nan_policy: str = "reject"
) -> NDArray[Any]:
    """Values in row-major order as an array.

    Raises:
        InvalidInput: a value is not of the datatype, or beyond its range.
    """
    if datatype in FLOATS:
        return _floats(values, datatype, where, nan_policy).reshape(shape)
    strange = set(map(type, values)) - _TYPES.get(datatype, {int})
    if strange:
        _refuse_type(values, strange, datatype, where)
    if datatype == "BYTES":
        check_text("".join(values), where.all)
    try:
        return np.array(values, dtype=NUMPY[datatype]).reshape(shape)
    except OverflowError:
        check_range(values, NUMPY[datatype], datatype, where)
        raise


def no_datatype(where: str, said: Any) -> InvalidInput:
    """What refuses a word that is no datatype.

    >>> no_datatype('input "x" datatype', "float32").hint
    "did you mean 'FP32'?"
    """
    word = _CALLED.get(said.upper(), said) if isinstance(said, str) else ""
    return InvalidInput(where, expected=f"one of {', '.join(NUMPY)}", got=kind(said), hint=meant(word, NUMPY))


def check_range(values: Iterable[int], kind_of: np.dtype[Any], datatype: str, where: Where) -> None:
    """Refuse whole numbers that a type cannot hold.

    Raises:
        InvalidInput: names the first.
    """
    limits = np.iinfo(kind_of)
    for place, value in enumerate(values):
        if not limits.min <= value <= limits.max:
            expected = f"{datatype} from {limits.min} to {limits.max}"
            raise InvalidInput(where.one(place), expected=expected, got=shown(value)[:40])


def narrowed(wide: NDArray[np.float64], datatype: str) -> NDArray[Any]:
    """Doubles as the floats of a datatype, each rounded once, ties to even; what is beyond its range is infinite."""
    with np.errstate(over="ignore"):
        array = wide.astype(NUMPY[datatype])
        return _bfloats(wide, array) if datatype == "BF16" else array


def _bfloats(wide: NDArray[np.float64], near: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounded to bfloat16: the upper half of a float32.

    Where the float32 lies just between two bfloat16, its own rounding may have hidden on which side the double lies.
    """
    bits = near.view(np.uint32).astype(np.uint64)
    upper, half = bits >> 16, np.uint64(0x8000)
    up = (bits & 0xFFFF) > half
    tie = (bits & 0xFFFF) == half
    exact, size = np.abs(near.astype(np.float64)), np.abs(wide)
    up |= tie & ((size > exact) | ((size == exact) & (upper & 1 == 1)))
    rounded = ((upper + up) << 16).astype(np.uint32).view(np.float32)
    return np.where(np.isnan(near), np.float32(math.nan), rounded).astype(np.float32)


def _floats(values: list[Any], datatype: str, where: Where, nan_policy: str) -> NDArray[Any]:
    strange = set(map(type, values)) - {float, int}
    if type(None) in strange and nan_policy == "null":
        values, strange = [math.nan if value is None else value for value in values], strange - {type(None)}
    if str in strange and nan_policy == "string" and all(v in WORDS for v in values if type(v) is str):
        values, strange = [WORDS[v] if type(v) is str else v for v in values], strange - {str}
    if strange:
        _refuse_type(values, strange, datatype, where)
    try:
        wide = np.array(values, dtype=np.float64)
        array = narrowed(wide, datatype)
    except OverflowError:  # a whole number that no float can hold
        beyond = next(place for place, value in enumerate(values) if _huge(value))
        raise _too_large(values, beyond, datatype, where) from None
    refused = ~np.isfinite(array)
    if nan_policy != "reject":
        refused &= np.isfinite(wide)
    if refused.any():
        raise _too_large(values, int(refused.argmax()), datatype, where)
    return array


def _huge(value: float) -> bool:
    try:
        float(value)
    except OverflowError:
        return True
    return False


def _too_large(values: list[Any], place: int, datatype: str, where: Where) -> InvalidInput:
    got = f"{shown(values[place])[:40]}, a number beyond its range"
    return InvalidInput(where.one(place), expected=f"finite {datatype}", got=got)


def _refuse_type(values: list[Any], strange: set[type], datatype: str, where: Where) -> None:
    place, got = next((place, value) for place, value in enumerate(values) if type(value) in strange)
    hint = _MISSING.get(datatype, "") if got is None else ""
    if type(got) is str and datatype in FLOATS:
        hint = POLICY_HINT if got in WORDS else "numbers stand without quotation marks"
    raise InvalidInput(where.one(place), expected=datatype, got=kind(got), hint=hint)


def listed(name: str, array: NDArray[Any], nan_policy: str) -> list[Any]:
    """Values of an output in row-major order, as JSON can say them.

    Raises:
        InvalidInput: one is NaN or infinite, and the policy is to refuse them.
    """
    values: list[Any] = array.ravel().tolist()
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return values
    if nan_policy == "reject":
        raise not_finite(name)
    if nan_policy == "null":
        return [value if math.isfinite(value) else None for value in values]
    return [value if math.isfinite(value) else word(value) for value in values]


def not_finite(name: str) -> InvalidInput:
    """What refuses an output that JSON cannot say."""
    return InvalidInput(f'output "{name}"', "came out NaN or infinite, which JSON cannot say", hint=POLICY_HINT)


def word(value: float) -> str:
    """How a value that is not finite is written where text may stand for it."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def kind(value: Any) -> str:
    """What a caller sent, in JSON's words, for a message."""
    if value is None:
        return "nothing (null)"
    text = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return f"{text.get(type(value), type(value).__name__)} {shown(value)}"[:80]
