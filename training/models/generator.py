"""The whole generator as it is exported: noise in, pictures in the caller's units out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from staytrue.signature import TensorSpec
from training.data.encode.encoder import CHUNK, tensors
from training.models.model import Model

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from training.data.encode.encoder import Encoder
    from training.data.encode.pictures import ImageState
    from training.models.generative import Generative

NOISE = "noise"
"""Name of the only input: standard normal numbers, any of which give a picture."""
FARTHEST = 6.0
"""Noise beyond is taken for this: a normal number is not so large in a thousand million."""
PROOFS = 256
"""Rows of noise that an artefact is proven on."""


class Generator(Model):
    """What decodes the encoder. Shapes: noise [N,Z] → [N,C,H,W] or [N,H,W,C], as the pictures to learn from came.

    Units: of bytes, 0 to 255, not rounded. Pictures that were resized or cut stay so.
    """

    head: Generative
    location: Tensor
    spread: Tensor

    def __init__(self, encoder: Encoder, head: Generative, state: ImageState) -> None:
        super().__init__(encoder, head)
        self.shape = head.shape
        location, spread = state.scale()
        self.bytes = state.datatype == "UINT8"
        self.last, self.backwards = state.layout == "channels_last", state.channel_order == "reversed"
        unit = 255.0 if self.bytes else 1.0
        for name, values in {"location": location, "spread": spread}.items():
            self.register_buffer(name, unit * torch.tensor(values).reshape(1, -1, 1, 1), persistent=False)
        if self.bytes:
            head.within(
                [-a / b for a, b in _pairs(location, spread)], [(1 - a) / b for a, b in _pairs(location, spread)]
            )

    def forward(self, *tensors: Tensor) -> Tensor:
        """Noise to pictures; missing noise counts as 0."""
        (noise,) = tensors
        known = torch.where(torch.isnan(noise), torch.zeros_like(noise), noise).clamp(-FARTHEST, FARTHEST)
        pictures = self.head.draw(known).reshape(-1, *self.shape) * self.spread + self.location
        if self.bytes:
            pictures = pictures.clamp(0, 255)
        if self.backwards:
            pictures = torch.flip(pictures, dims=[1])
        return pictures.permute(0, 2, 3, 1) if self.last else pictures

    def inputs(self) -> list[TensorSpec]:
        """Noise alone."""
        return [TensorSpec(name=NOISE, datatype="FP32", shape=[-1, self.head.latent])]

    def proofs(self) -> dict[str, NDArray[Any]]:
        """Noise."""
        return {NOISE: self.noise(PROOFS, 0)}

    def noise(self, count: int, seed: int) -> NDArray[np.float32]:
        """Standard normal numbers. Shapes: [count,Z]."""
        return np.random.default_rng(seed).standard_normal((count, self.head.latent), dtype=np.float32)

    def drawn(self, count: int, seed: int) -> NDArray[np.float64]:
        """Made pictures as the encoder would make them. Shapes: [count,C*H*W]."""
        return self._all(self.head.draw, torch.from_numpy(self.noise(count, seed)))

    def encoded(self, columns: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Real pictures as the encoder makes them. Shapes: {name: [N,…]} → [N,C*H*W]."""
        return self._all(self.encoder, *tensors(columns, self.encoder.states))

    def judged(self, columns: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Of real pictures what an epoch is judged by. Shapes: {name: [N,…]} → [N]."""
        return self._all(lambda rows: self.head(self.encoder(rows))[:, 1], *tensors(columns, self.encoder.states))

    def made(self, count: int, seed: int) -> NDArray[np.float32]:
        """Pictures of noise. Shapes: [count,C,H,W], or channels last."""
        return self._all(self, torch.from_numpy(self.noise(count, seed))).astype(np.float32)

    def undone(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """In the caller's units, channels first and as the model sees them. Shapes: [N,C*H*W] → [N,C,H,W]."""
        pictures: NDArray[np.float64] = encoded.reshape(-1, *self.shape) * self.spread.numpy() + self.location.numpy()
        return pictures

    def _all(self, make: Callable[[Tensor], Tensor], rows: Tensor) -> NDArray[np.float64]:
        """A part of the rows after the other."""
        self.eval()
        with torch.no_grad():
            return np.concatenate([make(some).numpy().astype(np.float64) for some in torch.split(rows, CHUNK)])


def _pairs(location: list[float], spread: list[float]) -> list[tuple[float, float]]:
    return list(zip(location, spread, strict=True))
