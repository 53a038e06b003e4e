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
    missing, plain = np.ma.getmaskarray(values), np.ma.getdata(values)
    fits = [not gone and _fits(feature, value) for gone, value in zip(missing, plain, strict=True)]
    return np.array(fits, dtype=np.bool_)


def _fits(feature: Feature, value: object) -> bool:
    flat = _flat(value)
    if flat.size != math.prod(feature.shape) or flat.dtype.kind not in "fiub":
        return False
    if feature.sent_as == "FP32":
        return True
    if np.ma.getmaskarray(flat).any():
        return False
    numbers = np.ma.getdata(flat)
    return bool(((numbers >= 0) & (numbers <= _LARGEST_BYTE) & (numbers == np.round(numbers))).all())


def _flat(value: object) -> Any:
    """All numbers of a list, or of lists in it, row by row."""
    array: Any = np.ma.asarray(value)
    if array.dtype != object or not array.ndim or not array.size:
        return array.ravel()
    return np.ma.concatenate([_flat(part) for part in array])  # type: ignore[no-untyped-call]


def _stack(feature: Feature, lists: NDArray[Any]) -> NDArray[Any]:
    dtype = np.uint8 if feature.sent_as == "UINT8" else np.float32
    pictures = np.empty((len(lists), *feature.shape), dtype=dtype)
    for place, value in enumerate(lists):
        flat = _flat(value)
        full = flat.astype(np.float32).filled(np.nan) if np.ma.is_masked(flat) else np.ma.getdata(flat)
        pictures[place] = full.reshape(feature.shape)
    return pictures


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
