"""A whole model as it is exported: raw features in, answers out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from training.data.encode.encoder import input_specs, tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.signature import TensorSpec
    from training.data.encode.encoder import Encoder


class Model(nn.Module):
    """Encoder and head; what the head's numbers become is up to the task.

    The encoder has no weights: those of ``head`` are all there are.
    """

    def __init__(self, encoder: Encoder, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, *tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Raw features, in the order of the signature's inputs, to the signature's outputs."""
        return self.told(self.numbers(*tensors))

    def numbers(self, *tensors: Tensor) -> Tensor:
        """What the outputs are made of: probabilities, or numbers in the target's unit. Shapes: → [N,M]."""
        return self.meant(self.head(self.encoder(*tensors)))

    def meant(self, made: Tensor) -> Tensor:
        """What the head's numbers mean. Shapes: [N,M] → [N,M]."""
        return made

    def unmeant(self, numbers: Tensor) -> Tensor:
        """The way back: what a head would have given. Shapes: [N,M] → [N,M]."""
        return numbers

    def votes(self, numbers: Tensor) -> Tensor:
        """1 for what is decided for, else 0. Shapes: [N,M] → [N,M].

        Raises:
            TypeError: numbers decide nothing.
        """
        del numbers
        raise TypeError(f"{type(self).__name__} decides for no class")

    def told(self, numbers: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The signature's outputs. Shapes: [N,M] → [N,…] each."""
        return numbers

    def answers(self, columns: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """All outputs of raw columns, in the order of the signature. Shapes: {name: [N,…]} → [N,…] each."""
        self.eval()
        parts = []
        with torch.no_grad():
            for some in self.encoder.chunks(columns):
                made = self(*tensors(some, self.encoder.states))
                parts.append([out.numpy() for out in (made if isinstance(made, tuple) else (made,))])
        return [np.concatenate(same) for same in zip(*parts, strict=True)]

    def inputs(self) -> list[TensorSpec]:
        """What callers send: one tensor a feature."""
        return input_specs(self.encoder.states)

    def proofs(self) -> dict[str, NDArray[Any]]:
        """Rows to prove an artefact on where those of the data are not what callers send: none."""
        return {}
