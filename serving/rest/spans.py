"""Long lists of numbers within JSON: where they stand, and the quickest exact way to read them.

A body is cut at its numbers: what remains is short, and each list is JSON of its own. Lists of numbers hold neither
quotation marks nor braces, so that the next of these ends the search for a list's end.
"""

from __future__ import annotations

import functools
import math
import re
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import simdjson

from serving.rest.compiled import floats
from staytrue.signature import NUMPY
from staytrue.values import FLOATS, narrowed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Span = tuple[int, int, int]
    """Where it begins and ends, and how deep its first number lies."""

_OPENING = re.compile(rb'"data"[ \t\r\n]*:[ \t\r\n]*(\[[\[ \t\r\n]*)[-0-9]')
_NUMBER = b"0123456789+-.eE \t\r\n"
_LONG_ROW = 16
"""From here on asking the parser for each row's length is quicker than looking at each byte."""
_KEPT_BYTES = 4 << 20
"""A parser keeps room for the longest text that it has read: longer ones have a parser of their own."""
_KEPT_SKELETON = 1 << 16
_COMPILED = ("FP32", "FP64")
"""What compiled code reads, where it lies in one row; it may leave a list to the parser."""
_KINDS = {"d": np.float64, "i": np.int64, "u": np.uint64}


class Unusual(Exception):
    """This is not how to read it."""


class _Local(threading.local):
    """Parsers cannot be shared between threads."""

    def __init__(self) -> None:
        self.parser = simdjson.Parser()


_local = _Local()


def cut(body: bytes) -> tuple[bytes, list[Span]]:
    """A body with ``[]`` for each of its lists of numbers, and where these stand. It has no backslash.

    >>> cut(b'{"inputs": [{"data": [[1, 2]], "shape": [1, 2]}]}')
    (b'{"inputs": [{"data": [], "shape": [1, 2]}]}', [(21, 29, 2)])
    """
    pieces: list[bytes] = []
    found: list[Span] = []
    begin = at = 0
    while (at := body.find(b'"data"', at)) >= 0:
        opening = _OPENING.match(body, at)
        if opening is None:
            at += 6
            continue
        start = opening.start(1)
        bounds = [place for place in (body.find(b'"', start), body.find(b"}", start)) if place >= 0]
        end = body.rfind(b"]", start, min(bounds, default=len(body))) + 1
        if not end:
            raise Unusual
        pieces += [body[begin:start], b"[]"]
        found.append((start, end, opening[1].count(b"[")))
        begin = at = end
    pieces.append(body[begin:])
    return b"".join(pieces), found


def array(body: bytes, span: Span | None, datatype: str, shape: list[int]) -> NDArray[Any]:
    """The numbers of a span, flat or nested as the shape says.

    Raises:
        Unusual: there is no span, or it holds anything else.
    """
    if span is None or datatype not in NUMPY or datatype in ("BOOL", "BYTES"):
        raise Unusual
    start, end, depth = span
    count = math.prod(shape)
    if depth == 1 and datatype in _COMPILED and count > 0:
        packed = floats(body, start, end, count, NUMPY[datatype].itemsize)
        if packed is not None:
            return np.ndarray(shape, NUMPY[datatype], packed)
    kind = "d" if datatype in FLOATS else "u" if datatype == "UINT64" else "i"
    parser = _local.parser if end - start <= _KEPT_BYTES else simdjson.Parser()
    try:
        numbers: Any = parser.parse(memoryview(body)[start:end])  # which it copies: once is enough
        values = np.frombuffer(numbers.as_buffer(of_type=kind), _KINDS[kind])
        if len(values) != count or not _nests(numbers, body, span, shape):
            raise Unusual
    except (ValueError, TypeError, RuntimeError):  # no JSON, something else than a number, one beyond 64 bits
        raise Unusual from None
    return _fitted(values, datatype).reshape(shape)


def _fitted(values: NDArray[Any], datatype: str) -> NDArray[Any]:
    """Values in the datatype's own width.

    Raises:
        Unusual: one is beyond its range.
    """
    if datatype in FLOATS:
        made = narrowed(values, datatype)
        fits = datatype == "FP64" or bool(np.isfinite(made).all())
    else:
        limits = np.iinfo(NUMPY[datatype])
        fits = limits.min <= int(values.min()) and int(values.max()) <= limits.max
        made = values.astype(NUMPY[datatype], copy=False)
    if not fits:
        raise Unusual
    return made


def _nests(numbers: Any, body: bytes, span: Span, shape: list[int]) -> bool:
    """Whether the lists nest as the shape says, of which it is known that they hold as many numbers."""
    start, end, depth = span
    if depth == 1:
        return body.find(b"[", start + 1, end) < 0
    text = body[start:end]
    if depth != len(shape):
        return False
    if shape[-1] < _LONG_ROW:
        make = _skeleton if len(text) <= _KEPT_SKELETON else _skeleton.__wrapped__
        return text.translate(None, _NUMBER) == make(tuple(shape))
    lists = sum(math.prod(shape[:axes]) for axes in range(len(shape)))
    opened = np.count_nonzero(np.frombuffer(text, np.uint8) == ord("["))  # bytes.count takes ten times as long
    return opened == lists and _regular(numbers, shape)


def _regular(numbers: Any, shape: list[int]) -> bool:
    """Whether lists have the lengths that the shape says; what is deeper is not looked at.

    Raises:
        TypeError: a number stands in a list's place.
    """
    level = [numbers]
    for size in shape[:-1]:
        if set(map(len, level)) != {size}:
            return False
        level = [part for whole in level for part in whole]
    return set(map(len, level)) == {shape[-1]}


@functools.lru_cache(maxsize=8)
def _skeleton(shape: tuple[int, ...]) -> bytes:
    """Nested lists without their numbers.

    >>> _skeleton((2, 3))
    b'[[,,],[,,]]'
    """
    made = b"," * (shape[-1] - 1)
    for size in reversed(shape[:-1]):
        made = b",".join([b"[" + made + b"]"] * size)
    return b"[" + made + b"]"
