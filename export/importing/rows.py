"""Rows to ask a foreign model: at the edges of what callers may send, and how rows become batches and come apart."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec.structs import replace

from staytrue.signature import NUMPY, Signature, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

Arrays = dict[str, "NDArray[Any]"]
RANDOM_ROWS = 4
SIZES = (1, 2, 3, 4, 8, 16, 32, 48, 64, 128, 224, 256, 512, 1024)
"""Tried in turn along free axes until the model takes one."""


def sized(signature: Signature, size: int) -> Signature:
    """With a typical shape of every input that has none: so many along each free axis but that of rows."""
    return _with_typical(signature, lambda spec: spec.typical or _shape(signature, spec, lambda _: size))


def grown(signature: Signature) -> Signature:
    """With twice the typical size along free axes."""
    return _with_typical(signature, lambda spec: _shape(signature, spec, lambda place: 2 * spec.one_row()[place]))


def generated(signature: Signature) -> list[Arrays]:
    """Rows of typical shapes: zeros (or the first category), ones (or the last), then at random within the ranges."""
    draw = np.random.default_rng(0)
    made = [{spec.name: _filled(spec, place) for spec in signature.inputs} for place in (0, -1)]
    return made + [{spec.name: _drawn(spec, draw, at) for spec in signature.inputs} for at in range(RANDOM_ROWS)]


def filler(spec: TensorSpec) -> NDArray[Any]:
    """What stands for an input that nothing is told of: the first category, or zeros."""
    return _filled(spec, 0)


def joined(signature: Signature, rows: Sequence[Arrays]) -> Arrays:
    """Rows as one request: along their axes; what they share is the first one's.

    Shapes: each row 1 along the axis of rows.
    """
    batch = {}
    for spec in signature.inputs:
        axis = signature.row_axis(spec)
        first = rows[0][spec.name]
        batch[spec.name] = first if axis is None else np.concatenate([row[spec.name] for row in rows], axis=axis)
    return batch


def shared(signature: Signature, rows: Sequence[Arrays]) -> list[Arrays]:
    """Rows that share what rows of one request do: the first one's."""
    common = {spec.name: rows[0][spec.name] for spec in signature.inputs if signature.row_axis(spec) is None}
    return [row | common for row in rows]


def alike(rows: Sequence[Arrays]) -> list[Arrays]:
    """Those of the shape that most have: only they can be joined."""
    shapes = [tuple((name, row[name].shape) for name in sorted(row)) for row in rows]
    most = Counter(shapes).most_common(1)[0][0]
    return [row for row, shape in zip(rows, shapes, strict=True) if shape == most]


def gathered(
    single: Arrays, copies: Mapping[int, Arrays], together: Arrays, *, merged: bool
) -> tuple[Arrays, Arrays] | None:
    """Rows as they are answered beside copies of themselves, by their place, and as they are ``together``.

    None where an output has no axis of rows: one that is 1 for a ``single`` row and longer for several, alike in both;
    the first one, where requests are to be ``merged``.
    """
    apart, beside = {}, {}
    places = sorted(copies)
    for name, array in together.items():
        shape = single[name].shape
        sizes = enumerate(zip(shape, array.shape, strict=True)) if len(shape) == array.ndim else ()
        axis = next((place for place, (one, several) in sizes if one == 1 < several and not (merged and place)), None)
        if axis is None or any(copy[name].shape != array.shape for copy in copies.values()):
            return None
        apart[name] = np.concatenate([copies[place][name].take([place], axis) for place in places], axis)
        beside[name] = array.take(places, axis)
    return apart, beside


def _with_typical(signature: Signature, shape: Callable[[TensorSpec], list[int]]) -> Signature:
    return replace(signature, inputs=[replace(spec, typical=shape(spec)) for spec in signature.inputs])


def _shape(signature: Signature, spec: TensorSpec, free: Callable[[int], int]) -> list[int]:
    axis = signature.row_axis(spec)
    return [size if size >= 0 else 1 if place == axis else free(place) for place, size in enumerate(spec.shape)]


def _filled(spec: TensorSpec, place: int) -> NDArray[Any]:
    """All elements the first category or the last, zero or one."""
    value: Any = 0 if place == 0 else 1
    if spec.range:
        value = min(max(value, spec.range[0]), spec.range[1])
    if spec.categories:
        value = spec.known()[place]
    elif spec.datatype == "BYTES":
        value = "" if place == 0 else "never seen before"
    return np.full(spec.one_row(), value, dtype=NUMPY[spec.datatype])


def _drawn(spec: TensorSpec, draw: np.random.Generator, at: int) -> NDArray[Any]:
    """At random; of scalars one category after the other."""
    shape, kind = spec.one_row(), NUMPY[spec.datatype]
    if spec.datatype == "BYTES" or spec.categories:
        values = np.array(spec.known() or ["a", "Zoë aß 東京", "x" * 99], dtype=kind)
        return values[draw.integers(0, len(values), shape)] if shape else np.array(values[at % len(values)], dtype=kind)
    if spec.datatype == "BOOL":
        return draw.integers(0, 2, shape).astype(kind)
    if kind.kind == "f":
        low, high = spec.range or (-1.0, 1.0)
        return np.asarray(draw.uniform(low, high, shape), dtype=kind)
    whole = [int(end) for end in spec.range] if spec.range else [0, 255 if spec.datatype == "UINT8" else 1]
    return np.asarray(draw.integers(whole[0], whole[1], shape, endpoint=True), dtype=kind)
