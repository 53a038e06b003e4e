"""Recurrent networks for sequences and texts: RNN, LSTM and GRU, in one direction or both.

Sources: Elman, 1990, "Finding structure in time"; Hochreiter and Schmidhuber, 1997, "Long short-term memory"; Cho et
al., 2014, "Learning phrase representations using RNN encoder-decoder"; Schuster and Paliwal, 1997, "Bidirectional
recurrent neural networks".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from training.models.pooling import Pooling, check_pooling
from training.models.steps import Steps

if TYPE_CHECKING:
    from torch import Tensor

    from training.models.layout import Layout

    Cell = type[nn.RNN | nn.LSTM | nn.GRU]


class Layer(nn.Module):
    """One layer: a cell that goes ahead and, if asked for, another that goes back from each row's last step.

    In training rows are packed, so that no time goes into steps that are not there. Packing depends on the data and has
    no place in an exported graph: elsewhere the cells go on over what fills a row up, and nobody reads what they make
    of it. Both ways give the same.

    Shapes: steps [N,T,inputs], lengths [N] → [N,T,size].
    """

    def __init__(self, cell: Cell, inputs: int, width: int, both: bool) -> None:
        super().__init__()
        self.ahead = cell(inputs, width, batch_first=True)
        self.back = cell(inputs, width, batch_first=True) if both else None
        self.size = width * (1 + both)

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """What the cells remember after each step."""
        made: Tensor = self._run(self.ahead, steps, lengths)
        if self.back is not None:
            made = torch.cat([made, turned(self._run(self.back, turned(steps, lengths), lengths), lengths)], dim=2)
        return made

    def _run(self, cell: nn.RNNBase, steps: Tensor, lengths: Tensor) -> Tensor:
        if self.training:
            packed = pack_padded_sequence(steps, lengths.cpu(), batch_first=True, enforce_sorted=False)
            return pad_packed_sequence(cell(packed)[0], batch_first=True, total_length=steps.shape[1])[0]
        made: Tensor = cell(steps)[0]
        return made


class Recurrent(nn.Module):
    """``depth`` layers of ``width`` units over the steps, a pooling of what they remember, ``outputs`` numbers.

    ``pooling`` last takes what the cell ahead remembers at a row's last step, and the cell back at its first. Of texts,
    and of sequences with a ``stride``, a convolution comes before (:mod:`training.models.steps`).

    Shapes: [N,layout.width] → [N,outputs].
    """

    KINDS = ("sequence", "text")
    CELL: ClassVar[Cell]

    def __init__(
        self,
        layout: Layout,
        outputs: int,
        *,
        width: int = 64,
        depth: int = 1,
        bidirectional: bool = True,
        pooling: str = "last",
        dropout: float = 0.0,
        kernel: int | None = None,
        stride: int | None = None,
    ) -> None:
        super().__init__()
        check_pooling(pooling, "last", "mean", "max", "attention")
        self.steps = Steps(layout.one(*self.KINDS), width, kernel, stride)
        self.width, layers = width, list[Layer]()
        for _ in range(depth):
            layers.append(Layer(self.CELL, layers[-1].size if layers else self.steps.size, width, bidirectional))
        self.layers = nn.ModuleList(layers)
        self.dropout = nn.Dropout(dropout)
        self.pooling = Pooling(pooling, layers[-1].size) if pooling != "last" else None
        self.last = nn.Linear(layers[-1].size, outputs)

    def forward(self, matrix: Tensor) -> Tensor:
        """Encoded rows to ``outputs`` numbers each."""
        steps, there = self.steps(matrix)  # [N,T,C], [N,T]
        lengths = lengths_of(there)
        for layer in self.layers:
            steps = self.dropout(layer(steps, lengths))  # [N,T,size]
        if self.pooling is not None:
            pooled = self.pooling(steps, there)
        else:
            at = (lengths - 1).reshape(-1, 1, 1).expand(-1, 1, self.width)
            pooled = torch.cat([steps[:, :, : self.width].gather(1, at).squeeze(1), steps[:, 0, self.width :]], dim=1)
        out: Tensor = self.last(pooled)  # [N,size] → [N,outputs]
        return out


class RNN(Recurrent):
    """The plain cell: ``tanh`` of a sum of what comes in and what is remembered."""

    CELL = nn.RNN


class LSTM(Recurrent):
    """A cell that learns what to keep, what to take in and what to tell."""

    CELL = nn.LSTM


class GRU(Recurrent):
    """The LSTM's lighter sister, with two gates in place of three."""

    CELL = nn.GRU


def lengths_of(there: Tensor) -> Tensor:
    """Steps up to the last that is there, at least one: gaps inside a row are steps of zeros. Shapes: [N,T] → [N].

    >>> lengths_of(torch.tensor([[True, False, True, False], [False] * 4])).tolist()
    [3, 1]
    """
    places = torch.arange(1, there.shape[1] + 1, device=there.device)
    return (places * there).amax(dim=1).clamp(min=1)


def turned(steps: Tensor, lengths: Tensor) -> Tensor:
    """Each row from its last step to its first; what fills it up stays where it is. Shapes: [N,T,C], [N] → [N,T,C].

    >>> turned(torch.tensor([[[1], [2], [3]], [[4], [5], [6]]]), torch.tensor([2, 3])).squeeze(2).tolist()
    [[2, 1, 3], [6, 5, 4]]
    """
    places = torch.arange(steps.shape[1], device=steps.device)
    mirrored = lengths.unsqueeze(1) - 1 - places  # [N,T]: below zero beyond the row's end
    at = torch.where(mirrored < 0, places, mirrored)
    return steps.gather(1, at.unsqueeze(2).expand(-1, -1, steps.shape[2]))
