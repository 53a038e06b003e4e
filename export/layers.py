"""Layers: what each part of a module was given and gave, in the order in which they were done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import nn

_OWN = "the model's own forward"


class Call(NamedTuple):
    """One call of a layer."""

    layer: str
    """By its path in the module: ``body.2``; empty: the module itself."""
    kind: str
    given: tuple[Any, ...]
    made: Any


def recorded(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> list[Call]:
    """Calls of all layers, those inside first; of one that is called several times each."""
    calls: list[Call] = []

    def keep(name: str) -> Any:
        return lambda layer, given, made: calls.append(Call(name, type(layer).__name__, given, made))

    handles = [layer.register_forward_hook(keep(name)) for name, layer in module.named_modules()]
    try:
        with torch.no_grad():
            module(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def called(layer: str, kind: str = "") -> str:
    """A layer, for people.

    >>> called("body.2", "ReLU"), called("")
    ('layer body.2 (ReLU)', "the model's own forward")
    """
    if not layer:
        return _OWN
    return f"layer {layer} ({kind})" if kind else f"layer {layer}"


def apart(want: Any, have: Any, absolute: float, relative: float) -> str:
    """What differs between two values of one place; nothing where they are near, or are no tensors alike.

    The absolute tolerance is in units of the value's own root mean square.
    """
    if isinstance(want, tuple | list) and isinstance(have, tuple | list):
        return next((said for pair in zip(want, have, strict=False) if (said := apart(*pair, absolute, relative))), "")
    if not isinstance(want, torch.Tensor) or not isinstance(have, torch.Tensor):
        return ""
    if want.shape != have.shape:
        return f"{list(have.shape)} where the model gives {list(want.shape)}"
    a, b = want.detach().double(), have.detach().double()
    finite = a[a.isfinite()]
    unit = float(finite.square().mean().sqrt()) if len(finite) else 1.0
    near = ((a - b).abs() <= absolute * unit + relative * a.abs()) | (a == b) | (a.isnan() & b.isnan())
    if bool(near.all()):
        return ""
    worst = tuple(int(at) for at in torch.nonzero(~near)[0])
    return f"{float(b[worst]):.6g} where the model gives {float(a[worst]):.6g}"
