"""Smoothing: a filter along the steps of each sequence, channel by channel, as a part of the exported graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from training.data.clean.filters import polynomial_weights
from training.data.clean.outliers import MAD_TO_DEVIATION

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from training.data.clean.filters import Filter

CHUNK = 256
"""Sequences filtered at once: their windows are many times what they are."""


class Smoothing(nn.Module):
    """The filter over the steps that are there; others are neither looked at nor changed. Shapes: [N,T,C] → [N,T,C].

    Medians and means take what a window holds, less at the ends and beside gaps. Savitzky-Golay needs whole windows: a
    value whose window is not whole stays as it is.
    """

    index: Tensor
    beyond: Tensor
    weights: Tensor

    def __init__(self, how: Filter, steps: int) -> None:
        super().__init__()
        self.method, self.window, self.steps = how.method, how.window, steps
        self.far = how.threshold * MAD_TO_DEVIATION
        after = how.window // 2 if how.centred else 0
        places = torch.arange(steps)[:, None] + torch.arange(how.window) - (how.window - 1 - after)  # [T,W]
        weights = np.zeros(how.window)
        if how.method == "savitzky_golay":
            weights = polynomial_weights(how.window, how.order, how.window - 1 - after)
        self.register_buffer("index", places.clamp(0, steps - 1).flatten(), persistent=False)
        beyond = (places < 0) | (places >= steps)
        self.register_buffer("beyond", beyond.reshape(1, steps, how.window, 1), persistent=False)
        shaped = torch.tensor(weights, dtype=torch.float32).reshape(1, 1, -1, 1)
        self.register_buffer("weights", shaped, persistent=False)

    def forward(self, numbers: Tensor, gone: Tensor) -> Tensor:
        """Numbers that are finite, and which of them are not there, to filtered ones."""
        seen = self._windows(numbers)  # [N,T,W,C]
        lacking = self._windows(gone.to(torch.float32)) > 0.5
        lacking = lacking | self.beyond
        there = (~lacking).to(torch.float32)
        if self.method == "rolling_mean":
            made = (seen * there).sum(dim=2) / torch.clamp(there.sum(dim=2), min=1.0)
        elif self.method == "savitzky_golay":
            whole = there.amin(dim=2) > 0.5
            made = torch.where(whole, (seen * self.weights).sum(dim=2), numbers)
        else:
            made = self._median(seen, there)
            if self.method == "hampel":
                deviation = self._median(torch.abs(seen - made.unsqueeze(2)), there)
                made = torch.where(torch.abs(numbers - made) > self.far * deviation, made, numbers)
        return torch.where(gone, numbers, made)

    def _windows(self, steps: Tensor) -> Tensor:
        """Shapes: [N,T,C] → [N,T,W,C]."""
        return torch.index_select(steps, 1, self.index).reshape(-1, self.steps, self.window, steps.shape[2])

    def _median(self, seen: Tensor, there: Tensor) -> Tensor:
        """Of what is there, by its order: the middle one or the mean of the two. Shapes: [N,T,W,C] twice → [N,T,C]."""
        last = torch.full_like(seen, torch.inf)
        ordered = torch.sort(torch.where(there > 0.5, seen, last), dim=2).values
        count = there.sum(dim=2, keepdim=True)
        lower = torch.clamp(torch.ceil(count / 2) - 1, min=0.0).to(torch.int64)
        upper = torch.clamp(torch.floor(count / 2), max=self.window - 1.0).to(torch.int64)
        middle = torch.gather(ordered, 2, lower) * 0.5 + torch.gather(ordered, 2, upper) * 0.5
        return middle.squeeze(2)


def smoothed(sequences: NDArray[np.float32], how: Filter) -> NDArray[np.float32]:
    """Raw sequences, filtered as the graph does. Shapes: [N,T,C] → [N,T,C], NaN where it was."""
    module, made = Smoothing(how, sequences.shape[1]), [sequences[:0]]
    for begin in range(0, len(sequences), CHUNK):
        raw = torch.from_numpy(np.ascontiguousarray(sequences[begin : begin + CHUNK], dtype=np.float32))
        gone = torch.isnan(raw)
        made.append(torch.where(gone, raw, module(torch.where(gone, torch.zeros_like(raw), raw), gone)).numpy())
    return np.concatenate(made)
