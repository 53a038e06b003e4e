"""Tensors as bytes: little-endian, row-major, texts behind their lengths, one form for REST and gRPC.

Sources: Open Inference Protocol, gRPC specification, "Raw Tensor Contents"; REST, "Binary Tensor Data Extension".
"""

from __future__ import annotations

import math
import struct
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import InvalidInput
from staytrue.signature import LITTLE_ENDIAN, MOST_AXES, NUMPY
from staytrue.values import narrowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Data = bytes | memoryview

WIDTHS = {name: 2 if name == "BF16" else kind.itemsize for name, kind in NUMPY.items() if name != "BYTES"}
"""Bytes of one value in this form."""
_LENGTH = struct.Struct("<I")
_LITTLE = sys.byteorder == "little"
_PLAIN = {
    name: NUMPY[name] if kind == NUMPY[name] else kind
    for name, kind in LITTLE_ENDIAN.items()
    if name not in ("BOOL", "BF16", "BYTES")
}
"""What stands in a buffer as numpy holds it. Where that is this machine's order, its own types: by them others know
at a glance that nothing is to be turned round."""


def to_raw(array: NDArray[Any], datatype: str) -> bytes:
    """An array's bytes.

    >>> to_raw(np.array([1.0], dtype=np.float32), "BF16").hex()
    '803f'
    """
    if datatype == "BYTES":
        return b"".join([_LENGTH.pack(len(text)) + text for text in texts(array)])
    if datatype == "BF16":
        bits = narrowed(array.astype(np.float64), datatype).view(np.uint32) >> 16
        return bits.astype("<u2").tobytes()
    return array.astype(_PLAIN.get(datatype, NUMPY[datatype]), copy=False).tobytes()


def plain(data: Data, datatype: str, shape: list[int]) -> NDArray[Any] | None:
    """What :func:`from_raw` gives where nothing is to be said or converted; None where it decides."""
    kind = _PLAIN.get(datatype)
    if kind is None or not data or len(data) != kind.itemsize * math.prod(shape) or len(shape) > MOST_AXES:
        return None
    try:
        array: NDArray[Any] = np.ndarray(shape, kind, data)
    except ValueError:  # negative sizes
        return None
    return array if _LITTLE and array.flags.aligned else None


def from_raw(data: Data, datatype: str, shape: Sequence[int], where: str) -> NDArray[Any]:
    """Bytes as an array, which cannot be written to where it shares them.

    Shapes:
        ``shape`` has passed :func:`staytrue.signature.check_shape`.

    Raises:
        InvalidInput: too few or too many bytes, a length that points beyond, or text that is no UTF-8.
    """
    kind = _PLAIN.get(datatype)
    if datatype == "BYTES":
        return decoded(_split(data, math.prod(shape), where), where).reshape(shape)
    count = math.prod(shape)
    if len(data) != count * WIDTHS[datatype]:
        expected = f"{count * WIDTHS[datatype]} bytes for {count} values of {datatype}"
        raise InvalidInput(where, expected=expected, got=str(len(data)))
    if kind is not None:
        array: NDArray[Any] = np.ndarray(shape, kind, data)
        # Behind JSON of any length numbers may begin at an odd place, where not every processor reads them.
        return array if _LITTLE and array.flags.aligned else array.astype(NUMPY[datatype])
    if datatype == "BOOL":  # a byte of 2 would be neither true nor false
        truth: NDArray[Any] = np.frombuffer(data, np.uint8).reshape(shape) != 0
        return truth
    bits = np.frombuffer(data, "<u2").astype(np.uint32).reshape(shape) << 16
    return bits.view(np.float32)


def decoded(values: Sequence[bytes], where: str) -> NDArray[Any]:
    """Texts in UTF-8 as an array of ``str``.

    Raises:
        InvalidInput: an element is no UTF-8.
    """
    array: NDArray[Any] = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        try:
            array[place] = value.decode()
        except UnicodeDecodeError as error:
            got = f"byte {value[error.start]:#04x} at place {error.start}"
            raise InvalidInput(f"{where}, element {place}", expected="UTF-8", got=got) from None
    return array


def texts(array: NDArray[Any]) -> list[bytes]:
    """Elements as UTF-8."""
    return [str(value).encode() for value in array.ravel()]


def _split(data: Data, count: int, where: str) -> list[bytes]:
    """Elements behind their lengths, each in four little-endian bytes."""
    parts: list[bytes] = []
    place, size = 0, len(data)
    while place < size:
        begin = place + _LENGTH.size
        length = _LENGTH.unpack_from(data, place)[0] if begin <= size else 0
        if begin + length > size:
            left = max(0, size - begin)
            raise InvalidInput(f"{where}, element {len(parts)}", expected=f"4 and {length} bytes", got=f"{left} left")
        parts.append(bytes(data[begin : begin + length]))
        place = begin + length
        if len(parts) > count:
            break
    if len(parts) != count:
        got = "more" if len(parts) > count else str(len(parts))
        raise InvalidInput(where, expected=f"{count} elements, each behind its length in 4 bytes", got=got)
    return parts
