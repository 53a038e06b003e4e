"""Pictures: lists of numbers, one a row, as arrays of channels, height and width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.feature import Feature

_LARGEST_BYTE = 255
_TOGETHER = 2**20
"""Numbers that are looked at, or copied, at once: of large pictures few, of larger ones each by itself."""


def seen_size(feature: Feature) -> list[int]:
    """Channels, height and width of a picture as the model sees it: resized and cropped, whatever its layout."""
    last = feature.layout == "channels_last"
    channels, sent = (feature.shape[-1], feature.shape[:2]) if last else (feature.shape[0], feature.shape[1:])
    return [channels, *(feature.crop or feature.resize or sent)]


def stacked(name: str, feature: Feature, values: NDArray[Any], where: str, begin: int = 0) -> NDArray[Any]:
    """A fetched column of pictures in the datatype of its feature, or its rows from ``begin`` on.

    Shapes: N lists → [N,C,H,W].

    Raises:
        InvalidInput: a row without a picture, or with one of other size or values; names the first.
    """
    fits = fitting(feature, values)
    if not fits.all():
        first = int(np.argmin(fits))
        got = _told(np.ma.getmaskarray(values)[first], np.ma.getdata(values)[first])
        hint = "cast it in data.query if it is text, or leave such rows out there"
        place = f'{where}, column "{name}", row {begin + first + 1}'
        raise InvalidInput(place, expected=_wanted(feature), got=got, hint=hint)
    return _stack(feature, np.ma.getdata(values))


def fitting(feature: Feature, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows hold a picture of the feature's size and datatype. Shapes: N lists → [N]."""
    fits = np.empty(len(values), dtype=np.bool_)
    step = _at_once(feature)
    for begin in range(0, len(values), step):
        some = values[begin : begin + step]
        flat = _together(feature, some)
        fits[begin : begin + len(some)] = _each(feature, some) if flat is None else _holds(feature, flat)
    return fits


def _at_once(feature: Feature) -> int:
    """How many pictures.

    >>> from staytrue.feature import Feature
    >>> [_at_once(Feature(kind="image", shape=shape)) for shape in ([1, 28, 28], [3, 224, 224], [3, 1024, 1024])]
    [1337, 6, 1]
    """
    return max(1, _TOGETHER // math.prod(feature.shape))


def _together(feature: Feature, values: NDArray[Any]) -> NDArray[Any] | None:
    """Lists of one datatype and the feature's size as one array, which is much faster than one by one; else None.

    Shapes: N lists → [N,C*H*W].
    """
    size, plain = math.prod(feature.shape), np.ma.getdata(values)
    if np.ma.getmaskarray(values).any() or plain.dtype != object or not isinstance(plain[0], np.ndarray):
        return None
    dtype = plain[0].dtype
    for value in plain:
        if (
            not isinstance(value, np.ndarray)
            or value.dtype != dtype
            or value.shape != (size,)
            or np.ma.is_masked(value)
        ):
            return None
    if dtype.kind not in "fiub":
        return None
    return np.concatenate([np.ma.getdata(value) for value in plain]).reshape(-1, size)


def _each(feature: Feature, values: NDArray[Any]) -> list[bool]:
    """Of lists that may be of any kind."""
    missing, plain = np.ma.getmaskarray(values), np.ma.getdata(values)
    return [not gone and _fits(feature, value) for gone, value in zip(missing, plain, strict=True)]


def _fits(feature: Feature, value: object) -> bool:
    flat = _flat(value)
    if flat.size != math.prod(feature.shape) or flat.dtype.kind not in "fiub":
        return False
    if feature.sent_as != "FP32" and np.ma.getmaskarray(flat).any():
        return False
    return bool(_holds(feature, np.ma.getdata(flat)[np.newaxis])[0])


def _holds(feature: Feature, flat: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows of numbers the feature's datatype takes. Shapes: [N,C*H*W] → [N]."""
    if feature.sent_as == "FP32" or flat.dtype == np.uint8:
        return np.ones(len(flat), dtype=np.bool_)
    fits: NDArray[np.bool_] = ((flat >= 0) & (flat <= _LARGEST_BYTE) & (flat == np.round(flat))).all(axis=1)
    return fits


def _flat(value: object) -> Any:
    """All numbers of a list, or of lists in it, row by row."""
    array: Any = np.ma.asarray(value)
    if array.dtype != object or not array.ndim or not array.size:
        return array.ravel()
    return np.ma.concatenate([_flat(part) for part in array])  # type: ignore[no-untyped-call]


def _stack(feature: Feature, lists: NDArray[Any]) -> NDArray[Any]:
    dtype = np.uint8 if feature.sent_as == "UINT8" else np.float32
    pictures = np.empty((len(lists), *feature.shape), dtype=dtype)
    step = _at_once(feature)
    for begin in range(0, len(lists), step):
        some = lists[begin : begin + step]
        flat = _together(feature, some)
        if flat is not None:
            pictures[begin : begin + len(some)] = flat.reshape(-1, *feature.shape)
            continue
        for place, value in enumerate(some, begin):
            pictures[place] = _full(value).reshape(feature.shape)
    return pictures


def _full(value: object) -> NDArray[Any]:
    """All numbers of a list, NaN where one is missing."""
    flat = _flat(value)
    full: NDArray[Any] = flat.astype(np.float32).filled(np.nan) if np.ma.is_masked(flat) else np.ma.getdata(flat)
    return full


def _wanted(feature: Feature) -> str:
    numbers = "whole numbers from 0 to 255" if feature.sent_as == "UINT8" else "numbers"
    return f"a list of {math.prod(feature.shape)} {numbers}"


def _told(missing: object, value: object) -> str:
    if missing or value is None:
        return "nothing"
    flat = _flat(value)
    if flat.dtype.kind not in "fiub":
        return repr(value)[:60]
    return f"{flat.size} from {flat.min()} to {flat.max()}" if flat.size else "an empty one"
