"""Unmade: a body is made without its numbers, to see before any data are read whether its settings go together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from training.models.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from staytrue.feature import Feature

_BRIEF: Final[dict[str, Callable[[Any], Any]]] = {
    "depth": lambda depth: min(depth, 2),
    "stages": lambda stages: [1] * len(stages),
}


class _Undrawn(TorchFunctionMode):
    """Draws no normal numbers, which a device without any imports half of PyTorch for: seconds."""

    def __torch_function__(
        self, function: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        given = kwargs or {}
        return given["tensor"] if function is nn.init.normal_ else function(*args, **given)


def check(made: Callable[..., nn.Module], features: Mapping[str, Feature], arguments: Mapping[str, Any]) -> None:
    """Make a body for such features; it takes neither memory nor numbers of a generator.

    No deeper than need be: layers beyond those that tell are more than a machine may hold (:mod:`training.memory`).

    Raises:
        InvalidConfig: the architecture refuses these settings.
    """
    brief = {name: _BRIEF[name](value) if name in _BRIEF else value for name, value in arguments.items()}
    with torch.random.fork_rng(devices=[]), torch.device("meta"), _Undrawn():
        made(Layout.stand_in(features), 1, **brief)
