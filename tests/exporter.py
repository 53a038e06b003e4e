"""PyTorch's table of how operators are written in ONNX, read once a process and not for each export anew.

To read it takes as long as the export of a small model: it parses the source of some hundred functions.
"""

from __future__ import annotations

import functools
from typing import Any

from torch.onnx._internal.exporter import _registration


def read_once() -> None:
    """Have every export of this process begin with a copy of what the first one read."""
    plain = _registration.ONNXRegistry.from_torchlib
    if isinstance(plain, functools.partial):
        return
    table = functools.cache(plain)

    def copied(table: Any, **given: Any) -> Any:
        made = _registration.ONNXRegistry()
        kept = table(**given)
        vars(made).update(vars(kept) | {"functions": {name: [*found] for name, found in kept.functions.items()}})
        return made

    _registration.ONNXRegistry.from_torchlib = functools.partial(copied, table)  # type: ignore[method-assign]
