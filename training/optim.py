"""Optim: the optimiser, the schedule of its learning rate, and the moving average of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

if TYPE_CHECKING:
    from collections.abc import Callable

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

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """All that the next steps depend on: tensors, and JSON values."""
        tensors = {
            f"adam/{place}/{name}": value
            for place, values in self._adam.state_dict()["state"].items()
            for name, value in values.items()
        }
        if self._average is not None:
            tensors |= {f"average/{name}": value for name, value in self._average.state_dict().items()}
        return tensors, {"rate": self.learning_rate, "steps": self._schedule.last_epoch if self._schedule else 0}

    def restore(self, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> None:
        """As it was when :meth:`state` gave these."""
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in tensors.items():
            kind, rest = key.split("/", 1)
            if kind == "adam":
                place, name = rest.split("/")
                state.setdefault(int(place), {})[name] = value
        self._adam.load_state_dict({"state": state, "param_groups": self._adam.state_dict()["param_groups"]})
        if self._average is not None:
            kept = {key.removeprefix("average/"): value for key, value in tensors.items() if key.startswith("average/")}
            self._average.load_state_dict(kept)
        for group in self._adam.param_groups:
            group["lr"] = values["rate"]
        if self._schedule is not None:
            self._schedule.load_state_dict(
                self._schedule.state_dict()
                | {"last_epoch": values["steps"], "_step_count": values["steps"] + 1, "_last_lr": [values["rate"]]}
            )

    def step(self, loss: torch.Tensor, backward: Callable[[torch.Tensor], None] = torch.Tensor.backward) -> None:
        """Go one step down the gradient of a loss, which ``backward`` adds to the weights' own."""
        self._adam.zero_grad(set_to_none=True)
        backward(loss)
        self._adam.step()
        if self._schedule is not None:
            self._schedule.step()
        if self._average is not None:
            self._average.update_parameters(self._module)
