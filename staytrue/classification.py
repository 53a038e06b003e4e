"""Outputs told as classes: the highest values of each row, with their places and names.

Source: Open Inference Protocol, "Classification Extension" (as Triton Inference Server has it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.values import not_finite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.tensors import Asked


def ranked(asked: Asked, array: NDArray[Any], labels: list[str]) -> NDArray[Any]:
    """Texts ``value:place``, or ``value:place:label`` where there are as many labels as values; highest first.

    Shapes:
        ``[rows, n]``, n being what was asked for or all there are; ``[n]`` where the output has no rows.

    Raises:
        InvalidInput: NaN has no rank.

    >>> from staytrue.signature import TensorSpec
    >>> from staytrue.tensors import Asked
    >>> spec = TensorSpec(name="y", datatype="FP32", shape=[-1, 3])
    >>> ranked(Asked(spec, classes=2), np.array([[0.25, 0.5, 0.25]]), ["a", "b", "c"]).tolist()
    [['0.5:1:b', '0.25:0:a']]
    """
    rows = array.reshape(len(array), -1) if asked.spec.shape[:1] == [-1] else array.reshape(1, -1)
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise not_finite(asked.spec.name)
    named = labels if len(labels) == rows.shape[1] else []
    # Sorted from behind and read backwards: of equal values the first comes first.
    order = rows.shape[1] - 1 - np.argsort(rows[:, ::-1], axis=1, kind="stable")[:, ::-1][:, : asked.classes]
    texts: NDArray[Any] = np.empty(order.shape, dtype=object)
    for row, places in enumerate(order.tolist()):
        for rank, place in enumerate(places):
            label = f":{named[place]}" if named else ""
            texts[row, rank] = f"{rows[row, place]!s}:{place}{label}"
    return texts if asked.spec.shape[:1] == [-1] else texts[0]
