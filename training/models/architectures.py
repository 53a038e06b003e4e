"""Architectures by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staytrue.errors import NotFound
from training.models.mlp import MLP

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {"mlp": MLP}
"""Name → module; called with the number of inputs and the arguments that a checkpoint keeps."""


def build(name: str, inputs: int, arguments: dict[str, Any]) -> nn.Module:
    """A fresh body of that architecture.

    Raises:
        NotFound: no such architecture; says which there are.
    """
    if name not in ARCHITECTURES:
        raise NotFound(f'architecture "{name}"', "is not known", hint=f"there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name](inputs, **arguments)
