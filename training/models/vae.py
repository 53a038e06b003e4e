"""The variational autoencoder, of linear layers or of convolutions.

Source: Kingma and Welling, 2014, "Auto-encoding variational Bayes"; beta: Higgins et al., 2017; the decoder's one
deviation: Rybkin, Daniilidis and Levine, 2021, "Simple and effective VAE training with calibrated decoders".
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from training.models.generative import Downward, Generative, Upward

if TYPE_CHECKING:
    from torch import Tensor

    from training.models.layout import Layout

RESOLUTION = 0.01
"""Width of what counts as one value of a pixel, in the encoder's unit, a deviation of the channel: about a byte's step.

So a probability is at most 1, and the bound is never below zero.
"""
MOMENTUM = 0.1
"""Share of a batch in the running mean of the squared error."""


class VAE(Generative):
    """Picture → mean and spread of its noise → a draw of them → picture. Judged by the negative evidence lower bound.

    Shapes: [N,C*H*W] → [N,2]: what is minimised, with ``beta`` times the divergence, and the bound itself, in nats.
    In training the draw comes from torch's generator, which a run keeps; in judging the same numbers come each time.
    """

    MEASURE: ClassVar[str] = "validation_negative_elbo"
    variance: Tensor

    def __init__(
        self, layout: Layout, outputs: int = 1, *, latent: int = 32, beta: float = 1.0, width: int = 256, depth: int = 2
    ) -> None:
        super().__init__(layout, latent)
        del outputs
        self.beta, self.pixels = beta, math.prod(self.shape)
        self.encoder, self.decoder = self._parts(width, depth)
        self.register_buffer("variance", torch.ones(()))

    def _parts(self, width: int, depth: int) -> tuple[nn.Module, nn.Module]:
        """What gives means and log variances, [N,C,H,W] → [N,2*latent], and what gives pictures, [N,latent] → [N,…]."""
        down, up = [self.pixels] + [width] * depth, [self.latent] + [width] * depth
        return (
            nn.Sequential(nn.Flatten(), *_stack(down), nn.Linear(width, 2 * self.latent)),
            nn.Sequential(*_stack(up), nn.Linear(width, self.pixels), nn.Unflatten(1, self.shape)),
        )

    def pictures(self, noise: Tensor) -> Tensor:
        """The decoder's mean. Shapes: [N,latent] → [N,C,H,W]."""
        made: Tensor = self.decoder(noise)
        return made

    def forward(self, matrix: Tensor) -> Tensor:
        """Each picture's two sums, in nats."""
        mean, log_variance = self.encoder(matrix.reshape(-1, *self.shape)).chunk(2, dim=1)
        log_variance = log_variance.clamp(-10, 10)
        drawn = mean + torch.exp(log_variance / 2) * self._noise(mean)
        misfit = self._misfit(self.draw(drawn), matrix)
        divergence = divergence_of(mean, log_variance)
        return torch.stack([misfit + self.beta * divergence, misfit + divergence], dim=1)

    def _misfit(self, made: Tensor, matrix: Tensor) -> Tensor:
        """Minus the logarithm of the normal probability of the pixels. Shapes: [N,C*H*W] twice → [N].

        In training the deviation is the best for the batch, so its gradient is none; in judging that of the last ones.
        """
        squared = (made - matrix).square()
        if self.training:
            best = squared.detach().mean().clamp(min=RESOLUTION**2)
            self.variance.lerp_(best.to(self.variance.dtype), MOMENTUM)
        else:
            best = self.variance
        return 0.5 * (squared.sum(dim=1) / best + self.pixels * torch.log(2 * math.pi * best / RESOLUTION**2))

    def _noise(self, like: Tensor) -> Tensor:
        source = None if self.training else torch.Generator().manual_seed(len(like))
        return torch.randn(like.shape, generator=source).to(like.device)


class ConvolutionalVAE(VAE):
    """The same of convolutions. Shapes: [N,C*H*W] → [N,2]; channels of the maps beside picture and noise: ``width``."""

    def __init__(
        self, layout: Layout, outputs: int = 1, *, latent: int = 32, beta: float = 1.0, width: int = 32
    ) -> None:
        super().__init__(layout, outputs, latent=latent, beta=beta, width=width)

    def _parts(self, width: int, depth: int) -> tuple[nn.Module, nn.Module]:
        del depth
        down = Downward(self.shape, width, 2 * self.latent, nn.BatchNorm2d)
        return down, Upward(self.latent, self.shape, width)


def divergence_of(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of independent normals from standard ones, in nats. Shapes: [N,Z] twice → [N]."""
    return 0.5 * (mean.square() + torch.exp(log_variance) - 1 - log_variance).sum(dim=1)


def _stack(sizes: list[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inner, outer in itertools.pairwise(sizes):
        layers += [nn.Linear(inner, outer), nn.ReLU()]
    return layers
