"""The network of Resemblyzer (Apache-2.0), whose own code needs what reads sounds: speech to a voice's place."""

from __future__ import annotations

import torch
from torch import nn


class Voice(nn.Module):
    """Mel spectrograms to embeddings of unit length.

    Source: Wan et al. 2018, Generalized End-to-End Loss for Speaker Verification; resemblyzer 0.1.4, voice_encoder.py.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(40, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)
        self.similarity_weight, self.similarity_bias = (nn.Parameter(torch.zeros(1)) for _ in range(2))

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,T,40] → [N,256]."""
        _, (hidden, _) = self.lstm(mels)
        made = torch.relu(self.linear(hidden[-1]))
        length: torch.Tensor = torch.linalg.vector_norm(made, dim=1, keepdim=True)
        return made / length
