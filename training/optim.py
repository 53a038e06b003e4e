"""Optim: the optimiser, the schedule of its learning rate, and the moving average of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

if TYPE_CHECKING:
    from torch import nn

    from staytrue.sections import TrainingSection


class Optimiser:
    """One step at a time: gradient, learning rate, average.

    Averaging keeps an exponential moving average of the weights beside them and judges and keeps that: the noise of
    single steps goes, so two trainings on like data give like models. Source: Polyak and Juditsky, 1992.
    """

    def __init__(self, module: nn.Module, settings: TrainingSection, steps: int) -> None:
        self._adam = torch.optim.AdamW(
            module.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(self._adam, T_max=steps)
        self._schedule = cosine if settings.schedule == "cosine" else None
        average = get_ema_multi_avg_fn(settings.averaging)  # type: ignore[no-untyped-call]
        self._average = AveragedModel(module, multi_avg_fn=average) if settings.averaging else None
        self._module = module

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self._adam.param_groups[0]["lr"])

    @property
    def kept(self) -> nn.Module:
        """The module whose weights are judged and kept."""
        return self._average.module if self._average is not None else self._module

    def step(self, loss: torch.Tensor) -> None:
        """Go one step down the gradient of a loss."""
        self._adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._adam.step()
        if self._schedule is not None:
            self._schedule.step()
        if self._average is not None:
            self._average.update_parameters(self._module)
