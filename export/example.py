"""Tensors for a module, made from a signature or from rows as callers send them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from staytrue.signature import MISSING_INTEGER, MISSING_TEXT, NUMPY
from staytrue.tensors import coded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from staytrue.signature import Signature, TensorSpec

EXAMPLE_BATCH = 3
"""With a batch of 1, torch.export takes the axis for fixed."""
EXAMPLE_SIZE = 8
"""Along other free axes, where the signature tells nothing of what is typical."""


def tensors(signature: Signature, batch: int = EXAMPLE_BATCH) -> tuple[torch.Tensor, ...]:
    """Zeros of each input's shape, codes for text, or its token ids."""
    made = []
    for spec in signature.inputs:
        taken = [-1, spec.tokens] if spec.tokenizer else spec.shape
        usual = dict(enumerate(spec.typical))
        shape = [
            size if size >= 0 else batch if place == 0 else max(usual.get(place, EXAMPLE_SIZE), 2)
            for place, size in enumerate(taken)
        ]
        dtype = np.dtype(np.int64) if spec.datatype == "BYTES" else NUMPY[spec.datatype]
        made.append(torch.from_numpy(np.zeros(shape, dtype=dtype)))
    return tuple(made)


def eager_inputs(signature: Signature, rows: Mapping[str, NDArray[Any]]) -> tuple[torch.Tensor, ...]:
    """Rows as callers send them, as the module takes them.

    Shapes:
        rows[name]: as the signature's input, text as object arrays of ``str``; but with a tokenizer its token ids.
    """
    return tuple(
        torch.from_numpy(coded(spec, rows[spec.name]) if is_coded(spec) else np.array(rows[spec.name]))
        for spec in signature.inputs
    )


def is_coded(spec: TensorSpec) -> bool:
    """Whether an input enters the module as codes of its categories."""
    return spec.datatype == "BYTES" and not spec.tokenizer


def edge_rows(signature: Signature, rows: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Rows at the edges of what callers may send: missing, unknown, zero, far outside, each category, noise.

    First all inputs are at their edges together, then one input after the other is missing or unknown by itself, the
    others as in the first real row.
    """
    edges = {spec.name: edges_of(spec, rows[spec.name][:1].size) for spec in signature.inputs}
    together = max(map(len, edges.values()))
    made: dict[str, NDArray[Any]] = {}
    for place, spec in enumerate(signature.inputs):
        values = np.repeat(rows[spec.name][:1], together + len(edges), axis=0)
        flat, own = values.reshape(len(values), -1), edges[spec.name]
        for row in range(together):
            flat[row] = own[row % len(own)]
        flat[together + place] = own[0]
        made[spec.name] = values
    return made


def edges_of(spec: TensorSpec, size: int) -> list[Any]:
    """Edges of one input, each for every element or for all ``size`` of a row, the missing one first."""
    if spec.tokenizer:
        long = " ".join(f"{word}{place}" for place in range(4 * spec.tokens) for word in ("a", "The", "never-seen"))
        return [MISSING_TEXT, "never seen before", long, "Zoë aß 東京 \U0001f600 e\u0301\u0378", " \t\n", "x" * 9999]
    if spec.datatype == "BYTES":
        return [MISSING_TEXT, "never seen before", "x" * 9999, *spec.known()]
    if spec.datatype == "BOOL":
        return [False, True]
    kind = NUMPY[spec.datatype]
    if kind.kind == "f":
        top = float(np.finfo(kind).max)
        return [np.nan, 0.0, -0.0, 1.0, -1.0, 1e3, -1e3, min(1e30, top), -min(1e30, top)]
    if spec.datatype == "UINT8" and len(spec.shape) > 2:  # pictures: black, white, noise
        return [0, 255, np.random.default_rng(0).integers(0, 256, size)]
    low, top = np.iinfo(kind).min, np.iinfo(kind).max
    missing = [MISSING_INTEGER] if spec.datatype == "INT64" else []
    return missing + [int(np.clip(number, low, top)) for number in (0, 1, -1, 1000, -1000, top)] + spec.known()
