"""Freezing: parameters that a training leaves alone, and norms whose statistics it leaves alone with them."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING

from torch.nn.modules.batchnorm import _NormBase

from staytrue.errors import InvalidConfig
from training.transfer.names import chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn


def freeze(module: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Freeze the parameters that patterns name; their names.

    A norm that keeps statistics is evaluated, never trained, once all its parameters are frozen, or where it has none
    and its statistics are named: else a training would still move what its frozen layers give.

    Raises:
        InvalidConfig: nothing would be left to train.
    """
    parameters = dict(module.named_parameters())
    frozen = chosen(parameters, patterns)
    if len(frozen) == len(parameters):
        hint = "take the last layer back: freeze: ['*', '!NAME.*']"
        raise InvalidConfig("training.transfer.freeze", "leaves nothing to train", hint=hint)
    for name in frozen:
        parameters[name].requires_grad_(False)  # noqa: FBT003
    named = chosen((name for name, _ in module.named_buffers()), patterns)
    for name, norm in module.named_modules():
        if isinstance(norm, _NormBase) and norm.running_mean is not None:
            own = list(norm.parameters(recurse=False))
            still = not any(weight.requires_grad for weight in own) if own else f"{name}.running_mean" in named
            if still:
                hold(norm)
    return sorted(frozen)


def hold(norm: nn.Module) -> None:
    """Have a norm evaluated, never trained."""
    norm.train = types.MethodType(_still, norm)  # type: ignore[method-assign]
    norm.training = False


def held(module: nn.Module) -> list[str]:
    """Names of the norms within that are."""
    return [name for name, part in module.named_modules() if "train" in vars(part)]


def _still(norm: nn.Module, mode: bool = True) -> nn.Module:
    """What ``train`` does to a norm whose statistics stay as they are."""
    del mode
    norm.training = False
    return norm
