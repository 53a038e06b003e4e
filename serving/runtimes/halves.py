"""Halves: whether an ONNX file computes in 16 bits, read of its bytes, since servers have no package for ONNX.

ONNX Runtime (seen with 1.32.0) ends the process while it makes a session of some transformers in float16: one of its
optimisations fuses a product with a transposition between which it has put a cast of its own.

Source: onnx.proto and Protocol Buffers, "Encoding".
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Data = bytes | mmap.mmap

UNSAFE = ("MatmulTransposeFusion",)
"""Optimisations that are left out of a session of a file that holds float16."""
FLOAT16 = 10
"""As ONNX counts datatypes."""
_MOST_DEEP = 64
_ORT = b"ORTM"
"""Fifth to eighth byte of ONNX Runtime's own format, which is optimised by the time it is written."""
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 13: "value", 15: "sparse"},
    "function": {7: "node", 12: "value"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor"},
    "value": {2: "type"},
    "type": {1: "of tensor", 4: "of sequence", 9: "of sequence"},
    "of sequence": {1: "type"},
}
"""Messages by the fields that hold them."""
_TELLS = {"tensor": 2, "of tensor": 1}
"""Fields that tell a datatype."""


def unsafe(path: Path) -> list[str]:
    """Names of ONNX Runtime's optimisations that a session of a file is to be made without.

    A file that cannot be read as ONNX counts as one that holds float16: what is wrong with it the session tells.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[4:8] == _ORT:
                return []
            return list(UNSAFE) if _holds(data, "model", 0, len(data), 0) else []
    except (OSError, ValueError, IndexError):
        return list(UNSAFE)


def session(path: Path, options: Any) -> Any:
    """A session of a file on the processor, without what may end the process."""
    import onnxruntime as ort  # noqa: PLC0415 - TorchServe's archives of scripts do without it

    return ort.InferenceSession(
        str(path),
        options,
        providers=["CPUExecutionProvider"],
        enable_fallback=0,  # it would print, and try the same once more
        disabled_optimizers=unsafe(path),
    )


def _holds(data: Data, message: str, begin: int, end: int, deep: int) -> bool:
    """Whether a message, or one inside it, tells of float16: of a tensor, a value, or what is cast to."""
    if deep > _MOST_DEEP:
        raise ValueError("graphs inside graphs without end")
    name, number = b"", None
    for field, value, start, stop in _fields(data, begin, end):
        inner = _INSIDE.get(message, {}).get(field)
        if inner is not None and _holds(data, inner, start, stop, deep + 1):
            return True
        if field == _TELLS.get(message) and value == FLOAT16:
            return True
        if message == "attribute" and field == 1:
            name = data[start:stop]
        elif message == "attribute" and field == 3:
            number = value
    return name in (b"to", b"dtype") and number == FLOAT16


def _fields(data: Data, begin: int, end: int) -> Iterator[tuple[int, int | None, int, int]]:
    """Fields of a message: number, value of a whole number, and where the bytes of any other begin and end.

    Raises:
        ValueError: it is no message.
    """
    at = begin
    while at < end:
        key, at = _varint(data, at)
        kind, value = key & 7, None
        if kind == 0:
            value, start = _varint(data, at)
            stop = start
        elif kind == 2:
            size, start = _varint(data, at)
            stop = start + size
        else:
            start, stop = at, at + {1: 8, 5: 4}.get(kind, end)
        if stop > end:
            raise ValueError("a field goes beyond its message")
        yield key >> 3, value, start, stop
        at = stop


def _varint(data: Data, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number without end")
