"""Layers: a model's parameters by depth, and the learning rate of each."""

from __future__ import annotations

import collections
import math
from typing import TYPE_CHECKING

from training.transfer.names import fits, own

if TYPE_CHECKING:
    from torch import nn

    from staytrue.transferring import TransferSection

MATRIX = 2
"""The scales and shifts of norms have fewer axes."""


def layers(module: nn.Module) -> list[list[str]]:
    """Names of the parameters of each layer, the first layer first.

    A layer is what has one place in a numbered list (``blocks.3``), or else a module of its own; norms belong to the
    layer before them.
    """
    grouped: dict[str, list[str]] = {}
    axes: dict[str, int] = collections.defaultdict(int)
    for name, weight in module.named_parameters():
        layer = _layer(name)
        grouped.setdefault(layer, []).append(name)
        axes[layer] = max(axes[layer], weight.ndim)
    made: list[list[str]] = []
    for layer, names in grouped.items():
        if made and axes[layer] < MATRIX:
            made[-1].extend(names)
        else:
            made.append(list(names))
    return made


def _layer(name: str) -> str:
    parts = own(name).split(".")
    numbered = next((place for place, part in enumerate(parts) if part.isdigit()), None)
    end = max(len(parts) - 1, 1) if numbered is None else numbered + 1
    return ".".join(parts[:end])


def factors(module: nn.Module, settings: TransferSection) -> dict[str, float]:
    """The factor on the learning rate of each parameter: that of its pattern times that of its depth."""
    stack = layers(module)
    made = {}
    for above, names in enumerate(reversed(stack)):
        for name in names:
            fitting = [factor for pattern, factor in settings.rates.items() if fits(name, pattern)]
            made[name] = math.prod([settings.layer_decay**above, *fitting[-1:]])
    return made


def groups(module: nn.Module, settings: TransferSection) -> list[tuple[list[nn.Parameter], float]]:
    """Parameters that are trained, by the factor on their learning rate, where that is not 1."""
    wanted = factors(module, settings)
    found: dict[float, list[nn.Parameter]] = {}
    for name, weight in module.named_parameters():
        if wanted[name] != 1 and weight.requires_grad:
            found.setdefault(wanted[name], []).append(weight)
    return [(weights, factor) for factor, weights in found.items()]
