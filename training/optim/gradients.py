"""Gradients as they are before a step: clipped, with the penalties of L1 and L2 added; and the decay beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from staytrue.regularisation import RegularisationSection


@torch.no_grad()
def regularise(optimiser: torch.optim.Optimizer, settings: RegularisationSection) -> None:
    """Clip the gradient of the loss, then add what pulls weights to zero, which is never clipped.

    Source: Pascanu, Mikolov and Bengio, 2013 (by norm); Tibshirani, 1996 (L1); Hoerl and Kennard, 1970 (L2).
    """
    if settings.clip_norm is not None:
        nn.utils.clip_grad_norm_(_weights(optimiser), settings.clip_norm)
    if settings.clip_value is not None:
        nn.utils.clip_grad_value_(_weights(optimiser), settings.clip_value)
    if not settings.l1 and not settings.l2:
        return
    weights = list(_weights(optimiser, decayed=True))
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    if settings.l1:
        torch._foreach_add_(gradients, [weight.sign() for weight in weights], alpha=settings.l1)
    if settings.l2:
        torch._foreach_add_(gradients, weights, alpha=settings.l2)


@torch.no_grad()
def decay(optimiser: torch.optim.Optimizer, amount: float) -> None:
    """Shrink weights by the learning rate times the amount, apart from the gradient, as AdamW does by itself.

    Source: Loshchilov and Hutter, 2019, "Decoupled weight decay regularization".
    """
    for group in optimiser.param_groups:
        weights = [weight for weight in group["params"] if weight.grad is not None]
        if group["decayed"] and weights:
            torch._foreach_mul_(weights, 1 - group["lr"] * amount)


def _weights(optimiser: torch.optim.Optimizer, *, decayed: bool = False) -> Iterator[Tensor]:
    """Those that have a gradient: frozen ones have none."""
    for group in optimiser.param_groups:
        if group["decayed"] or not decayed:
            yield from (weight for weight in group["params"] if weight.grad is not None)
