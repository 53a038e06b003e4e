"""Losses: where an artefact of fewer bits goes wrong, beside the graph in 32 bits that it was made of.

All of its values differ, on purpose, so the first that does tells nothing. Each node is judged by what it adds: how far
its value is from the one in 32 bits, as a share of that one's size, beyond the farthest of what it was given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from export.nodes import AT_ONCE, MOST_NODES, Values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import onnx
    from numpy.typing import NDArray

_MUCH = 0.5
"""Share of the largest loss of any node from which on the first node that has it is named."""
_LOST = 1e9
"""What is no number any more is as far off as this."""
_SMALLEST = 1e-9
_ENDS = ("_half", "_DequantizeLinear_Output", "")
"""Of the names that a value has in 16 and in 8 bits: before it is brought to 8 it may lack a Relu, which the lowest of
its steps does then."""


def largest(
    whole: onnx.ModelProto, reduced: onnx.ModelProto, rows: Mapping[str, NDArray[Any]], called: Callable[[str], str]
) -> str:
    """The first node that adds much to the distance, in words; nothing where no value of the two can be compared.

    Args:
        rows: as both graphs take them.
        called: the layer that a value is of, in words.
    """
    if max(len(whole.graph.node), len(reduced.graph.node)) > MOST_NODES:
        return f"its {len(reduced.graph.node):,} nodes are too many to search for where it loses most"
    apart = _distances(Values(whole, dict(rows)), Values(reduced, dict(rows)))
    behind, added = dict[str, float](), dict[str, float]()
    for node in whole.graph.node:
        before = max((behind.get(name, 0.0) for name in node.input), default=0.0)
        for name in node.output:
            behind[name] = apart.get(name, before)
            if name in apart:
                added[name] = apart[name] - before
    most = max(added.values(), default=0.0)
    if most <= 0:
        return ""
    name = next(name for name, loss in added.items() if loss >= _MUCH * most)
    node = next(node for node in whole.graph.node if name in node.output)
    told = "no number any more" if apart[name] >= _LOST else f"{apart[name]:.2g} of its size off"
    before = apart[name] - added[name]
    given = f"what it is given {before:.2g}"
    return f'node "{node.name or name}" ({node.op_type}, from {called(name)}) loses most: {told}, {given}'


def _distances(whole: Values, reduced: Values) -> dict[str, float]:
    """Of values that both graphs have, by the name in 32 bits."""
    names = [name for node in whole.model.graph.node for name in node.output if name]
    pairs = {name: _there(name, reduced) for name in names}
    found, kept = {}, [name for name in names if pairs[name]]
    for begin in range(0, len(kept), AT_ONCE):
        some = kept[begin : begin + AT_ONCE]
        sides = whole.of(some).values(), reduced.of([pairs[name] for name in some]).values()
        for name, want, have in zip(some, *sides, strict=True):
            if (share := _share(np.asarray(want), np.asarray(have))) is not None:
                found[name] = share
    return found


def _there(name: str, reduced: Values) -> str:
    return next((known for end in _ENDS if (known := f"{name}{end}") in reduced.makers), "")


def _share(want: NDArray[Any], have: NDArray[Any]) -> float | None:
    """How far values are off, as a share of their size; nothing where they are no numbers of one shape."""
    if want.dtype.kind != "f" or have.dtype.kind != "f" or want.shape != have.shape:
        return None
    a, b = want.astype(np.float64), have.astype(np.float64)
    finite = np.isfinite(a)
    if not finite.any():
        return None
    if not np.isfinite(b[finite]).all():
        return _LOST
    size = float(np.sqrt(np.mean(a[finite] ** 2)))
    return float(np.sqrt(np.mean((a - b)[finite] ** 2))) / max(size, _SMALLEST)
