"""Scaling: a loss made large while its gradient is computed in 16 bits, which else would lose what is small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

WHOLE = 2.0**16
"""The first factor: halved where a gradient overflows, doubled after 2,000 steps of which none did."""


class Scaler:
    """PyTorch's, asked in the order that clipping and penalties need: they see gradients as they are.

    Source: Micikevicius et al., 2018, "Mixed precision training", section 3.2.
    """

    def __init__(self, device: torch.device, *, first: float = WHOLE) -> None:
        self._scaler = torch.amp.GradScaler(device.type, init_scale=first)

    @property
    def factor(self) -> float:
        """What the next loss is multiplied by."""
        return self._scaler.get_scale()

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of the loss, as many times too large."""
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def ready(self, optimiser: torch.optim.Optimizer) -> bool:
        """Bring the gradients to their size, and the factor to its next; whether they may be stepped by."""
        self._scaler.unscale_(optimiser)
        weights = [weight for group in optimiser.param_groups for weight in group["params"]]
        norm = nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
        self._scaler.update()
        return bool(norm.isfinite())

    def state(self) -> dict[str, Any]:
        """What a resumed training goes on with; JSON values."""
        return dict(self._scaler.state_dict())

    def restore(self, values: dict[str, Any]) -> None:
        """Go on where ``state`` was asked."""
        self._scaler.load_state_dict(values)
