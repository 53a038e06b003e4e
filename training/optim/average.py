"""The moving average of the weights, kept beside them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from staytrue.errors import CorruptData

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn


class Average:
    """An exponential moving average of a module's weights, as a module of its own that is judged and kept.

    The noise of single steps goes, so two trainings on like data give like models. Source: Polyak and Juditsky, 1992.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(module)
        self._decay = decay
        self._of = module
        self._kept: list[Tensor] = list(self.module.parameters())
        self._current: list[Tensor] = list(module.parameters())
        self._buffers = list(self.module.buffers())

    @torch.no_grad()
    def update(self, *, first: bool) -> None:
        """Move towards the module's weights; the first time, to them."""
        if first:
            torch._foreach_copy_(self._kept, self._current)
        else:
            torch._foreach_lerp_(self._kept, self._current, 1 - self._decay)
        if self._buffers:
            torch._foreach_copy_(self._buffers, list(self._of.buffers()))

    def state(self) -> dict[str, Tensor]:
        """The averaged weights and buffers, by names that begin with ``average.``."""
        return {f"average.{name}": value.detach().clone() for name, value in self.module.state_dict().items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a state.

        Raises:
            CorruptData: it is another module's.
        """
        try:
            self.module.load_state_dict({name.removeprefix("average."): value for name, value in tensors.items()})
        except RuntimeError as error:
            raise CorruptData("the averaged weights", f"are another module's: {error}") from error
