"""What bodies that make pictures have in common: noise goes in, and pictures as an encoder makes them come out."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from training.models.layout import Layout

LEAST = 4
"""A picture is halved until its shorter side would be shorter."""


class Generative(nn.Module):
    """A body that is trained on pictures and makes others. Whatever has these methods plugs in.

    Its forward gives each picture what is minimised and what it is judged by. Shapes: [N,C*H*W] → [N,2].
    """

    KINDS: ClassVar[tuple[str, ...]] = ("image",)
    GENERATES: ClassVar[bool] = True
    MEASURE: ClassVar[str] = "validation_score"
    """Name of what an epoch is judged by; smaller is better."""
    low: Tensor
    span: Tensor

    def __init__(self, layout: Layout, latent: int) -> None:
        super().__init__()
        self.shape, self.latent, self.bounded = tuple(layout.one("image").shape), latent, False
        for name in ("low", "span"):
            self.register_buffer(name, torch.zeros(self.shape[0], 1, 1), persistent=False)

    def within(self, low: Sequence[float], high: Sequence[float]) -> None:
        """Tell what encoded pictures lie between, of each channel; without, they may be any numbers."""
        self.low = torch.tensor(low).reshape(-1, 1, 1)
        self.span, self.bounded = torch.tensor(high).reshape(-1, 1, 1) - self.low, True

    def draw(self, noise: Tensor) -> Tensor:
        """Pictures of noise. Shapes: [N,latent] → [N,C*H*W]."""
        pictures = self.pictures(noise)
        if self.bounded:
            pictures = self.low + self.span * torch.sigmoid(pictures)
        return pictures.flatten(1)

    @abstractmethod
    def pictures(self, noise: Tensor) -> Tensor:
        """Before they are brought between their bounds. Shapes: [N,latent] → [N,C,H,W]."""


def halvings(shape: Sequence[int]) -> int:
    """How often a picture is halved.

    >>> [halvings((1, size, size)) for size in (4, 8, 28, 64)]
    [0, 1, 2, 4]
    """
    times, size = 0, min(shape[1:])
    while size // 2 >= LEAST:
        times, size = times + 1, size // 2
    return times


def smallest(shape: Sequence[int]) -> tuple[int, int, int]:
    """How often a picture is halved, its height and its width then, rounded up."""
    times = halvings(shape)
    high, wide = (-(-size // 2**times) for size in shape[1:])
    return times, high, wide


class Upward(nn.Module):
    """Noise to a small map of many channels, which is doubled until it is a picture.

    Shapes: [N,latent] → [N,width*2^k,h,w] → … → [N,C,H,W]. Source: Radford, Metz and Chintala, 2016.
    """

    def __init__(self, latent: int, shape: Sequence[int], width: int) -> None:
        super().__init__()
        times, high, wide = smallest(shape)
        self.shape, self.start = tuple(shape), (width * 2**times, high, wide)
        self.first = nn.Linear(latent, self.start[0] * high * wide, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(self.start[0]), nn.ReLU()]
        for channels in [width * 2**left for left in range(times, 0, -1)]:
            doubled = nn.ConvTranspose2d(channels, channels // 2, 4, stride=2, padding=1, bias=False)
            layers += [doubled, nn.BatchNorm2d(channels // 2), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, shape[0], 3, padding=1))

    def forward(self, noise: Tensor) -> Tensor:
        """Noise to numbers without bounds."""
        maps: Tensor = self.layers(self.first(noise).reshape(-1, *self.start))
        return maps[:, :, : self.shape[1], : self.shape[2]]


class Downward(nn.Module):
    """A picture is halved while its channels double, then becomes ``outputs`` numbers.

    Shapes: [N,C,H,W] → [N,width*2^k,h,w] → [N,outputs]. ``norm`` is given channels, and makes what stands behind each
    convolution but the first.
    """

    def __init__(self, shape: Sequence[int], width: int, outputs: int, norm: Callable[[int], nn.Module] | None) -> None:
        super().__init__()
        times, high, wide = smallest(shape)
        layers: list[nn.Module] = [nn.Conv2d(shape[0], width, 3, padding=1), nn.LeakyReLU(0.2)]
        for channels in [width * 2**done for done in range(times)]:
            layers.append(nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=norm is None))
            layers += [*([norm(2 * channels)] if norm else []), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.last = nn.Linear(width * 2**times * high * wide, outputs)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures to numbers."""
        out: Tensor = self.last(self.layers(pictures).flatten(1))
        return out
