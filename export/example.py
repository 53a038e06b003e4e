"""Tensors for a module, made from a signature or from rows as callers send them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from staytrue.signature import NUMPY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from staytrue.signature import Signature, TensorSpec

EXAMPLE_BATCH = 3
"""With a batch of 1, torch.export takes the axis for fixed."""


def tensors(signature: Signature, batch: int = EXAMPLE_BATCH) -> tuple[torch.Tensor, ...]:
    """Zeros of each input's shape, codes for text."""
    made = []
    for spec in signature.inputs:
        shape = [batch if place == 0 and size < 0 else abs(size) for place, size in enumerate(spec.shape)]
        dtype = np.dtype(np.int64) if spec.datatype == "BYTES" else NUMPY[spec.datatype]
        made.append(torch.from_numpy(np.zeros(shape, dtype=dtype)))
    return tuple(made)


def eager_inputs(signature: Signature, rows: Mapping[str, NDArray[Any]]) -> tuple[torch.Tensor, ...]:
    """Rows as callers send them, as the module takes them.

    Shapes:
        rows[name]: as the signature's input, text as object arrays of ``str``.
    """
    return tuple(
        torch.from_numpy(codes(spec, rows[spec.name]) if spec.datatype == "BYTES" else np.array(rows[spec.name]))
        for spec in signature.inputs
    )


def codes(spec: TensorSpec, texts: NDArray[Any]) -> NDArray[np.int64]:
    """1 + place in the categories, 0 for anything else."""
    places = {category: place for place, category in enumerate(spec.categories, 1)}
    return np.array([places.get(str(text), 0) for text in texts.ravel()], dtype=np.int64).reshape(texts.shape)


def edge_rows(signature: Signature, rows: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Rows at the edges of what callers may send: missing, unknown, zero, far outside.

    Each row sets every input to one kind of edge; the first real row stands where an input has no such edge.
    """
    numbers: tuple[float, ...] = (np.nan, 0.0, -0.0, 1.0, -1.0, 1e3, -1e3)
    count = len(numbers) + 1
    made: dict[str, NDArray[Any]] = {}
    for spec in signature.inputs:
        values = np.repeat(rows[spec.name][:1], count, axis=0)
        flat = values.reshape(count, -1)
        for place, number in enumerate(numbers):
            if spec.datatype == "BYTES":
                flat[place] = ("", "never seen before", *spec.categories)[place % (2 + len(spec.categories))]
            elif spec.datatype.startswith("FP"):
                flat[place] = number
            elif spec.datatype != "BOOL":
                flat[place] = 0 if np.isnan(number) else int(abs(number))
        made[spec.name] = values
    return made
