"""Generative adversarial networks: a generator, and a critic that tells its pictures from real ones, trained in turns.

A turn is a step: of the critic for so many steps, then of the generator for one. Whose turn it is not has no gradient,
so the optimiser leaves its weights, and what it remembers of them, as they are. Hence a loop that knows nothing of
turns trains them, with one optimiser, whose state and the count of steps are all that a resumed run needs.
"""

from __future__ import annotations

import contextlib
import math
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from staytrue.errors import InvalidConfig
from training.models.generative import Downward, Generative, Upward

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from training.models.layout import Layout

SAMPLE = 512
"""Made pictures that real ones are compared with when an epoch is judged."""


class GAN(Generative):
    """Generator and critic. An epoch is judged by the energy score of its pictures.

    Shapes: [N,C*H*W] → [N,2]: the loss of whose turn it is, and 0; in judging 0 and the score. Noise comes from torch's
    generator, which a run keeps.
    """

    MEASURE: ClassVar[str] = "validation_energy"
    TURNS: ClassVar[bool] = True
    """Not all weights have a gradient in each step, which processes that share a step would wait for."""
    turn: Tensor

    def __init__(
        self,
        layout: Layout,
        latent: int,
        width: int,
        critic_steps: int,
        norm: Callable[[int], nn.Module] | None,
    ) -> None:
        super().__init__(layout, latent)
        self.generator = Upward(latent, self.shape, width)
        self.critic = Downward(self.shape, width, 1, norm)
        self.critic_steps = critic_steps
        self.register_buffer("turn", torch.zeros((), dtype=torch.int64))
        self.apply(_begin)

    def pictures(self, noise: Tensor) -> Tensor:
        """What the generator makes. Shapes: [N,latent] → [N,C,H,W]."""
        made: Tensor = self.generator(noise)
        return made

    def forward(self, matrix: Tensor) -> Tensor:
        """Each picture's part of the loss, or of the score."""
        if not self.training:
            found = energy_score(matrix, self.draw(self._noise(SAMPLE, matrix, torch.Generator().manual_seed(0))))
            return torch.cat([torch.zeros_like(found), found], dim=1)
        of_critic = self.turn.item() < self.critic_steps
        self.turn.copy_((self.turn + 1) % (self.critic_steps + 1))
        noise = self._noise(len(matrix), matrix)
        loss = self._critics(matrix, noise) if of_critic else self._generators(noise)
        if torch.is_grad_enabled() and not loss.requires_grad:
            part = "critic" if of_critic else "generator"
            expected, got = f"some of the {part} to train, whose turn it is", f"all of {part}.* frozen"
            raise InvalidConfig("training.transfer.freeze", expected=expected, got=got)
        return torch.cat([loss, torch.zeros_like(loss)], dim=1)

    def rewind(self) -> None:
        """Give the turn back, for a step to be run again and looked into."""
        self.turn.copy_((self.turn - 1) % (self.critic_steps + 1))

    def _critics(self, matrix: Tensor, noise: Tensor) -> Tensor:
        with torch.no_grad():
            made = self.draw(noise).to(matrix.dtype)  # in 16 bits where the rest is, and the real ones are not
        return self.critics_loss(matrix.reshape(-1, *self.shape), made.reshape(-1, *self.shape))

    def _generators(self, noise: Tensor) -> Tensor:
        with _frozen(self.critic):
            return self.generators_loss(self.critic(self.draw(noise).reshape(-1, *self.shape)))

    @abstractmethod
    def critics_loss(self, real: Tensor, made: Tensor) -> Tensor:
        """What the critic minimises. Shapes: [N,C,H,W] twice → [N,1]."""

    @abstractmethod
    def generators_loss(self, judged: Tensor) -> Tensor:
        """What the generator minimises, of what the critic says of its pictures. Shapes: [N,1] → [N,1]."""

    def _noise(self, count: int, like: Tensor, source: torch.Generator | None = None) -> Tensor:
        return torch.randn((count, self.latent), generator=source).to(like.device)


class DCGAN(GAN):
    """Of convolutions, with the loss by which the generator does not saturate.

    Source: Goodfellow et al., 2014; Radford, Metz and Chintala, 2016, "Unsupervised representation learning with deep
    convolutional generative adversarial networks".
    """

    def __init__(
        self, layout: Layout, outputs: int = 1, *, latent: int = 64, width: int = 32, critic_steps: int = 1
    ) -> None:
        del outputs
        super().__init__(layout, latent, width, critic_steps, nn.BatchNorm2d)

    def critics_loss(self, real: Tensor, made: Tensor) -> Tensor:
        """Cross-entropy: real is 1, made is 0."""
        loss: Tensor = nn.functional.softplus(-self.critic(real)) + nn.functional.softplus(self.critic(made))
        return loss

    def generators_loss(self, judged: Tensor) -> Tensor:
        """Cross-entropy: made ought to be 1."""
        return nn.functional.softplus(-judged)


class WassersteinGAN(GAN):
    """The critic's difference is a distance of the two laws, as its slope is held near 1 by a penalty.

    Its norms must not tie the pictures of a batch together: it has none. Source: Gulrajani et al., 2017, "Improved
    training of Wasserstein GANs".
    """

    def __init__(
        self,
        layout: Layout,
        outputs: int = 1,
        *,
        latent: int = 64,
        width: int = 32,
        critic_steps: int = 5,
        penalty: float = 10.0,
    ) -> None:
        del outputs
        super().__init__(layout, latent, width, critic_steps, None)
        self.penalty = penalty

    def critics_loss(self, real: Tensor, made: Tensor) -> Tensor:
        """What it says of made less what it says of real, and the penalty between the two."""
        between = torch.rand(len(real), 1, 1, 1).to(real.device)
        with torch.autocast(real.device.type, enabled=False):  # small differences, which 16 bits lose
            slope = slopes(self.critic, torch.lerp(made, real, between))
        difference: Tensor = self.critic(made) - self.critic(real)
        return difference + self.penalty * (slope - 1).square()

    def generators_loss(self, judged: Tensor) -> Tensor:
        """What it says of made, the other way."""
        return -judged


def slopes(critic: nn.Module, pictures: Tensor) -> Tensor:
    """Length of the critic's gradient at each picture. Shapes: [N,C,H,W] → [N,1].

    Where it is 0 the root has no slope; it is taken for 0, or one such picture would make all weights NaN.
    """
    at = pictures.detach().requires_grad_()
    gradient: Tensor = torch.autograd.grad(critic(at).sum(), at, create_graph=True)[0]
    squares = gradient.flatten(1).square().sum(dim=1, keepdim=True)
    sloping = squares > 0
    return torch.where(sloping, torch.where(sloping, squares, 1.0).sqrt(), 0.0)


def energy_score(real: Tensor, made: Tensor) -> Tensor:
    """Mean distance of each real point to made ones, less half of theirs to each other, a number being the unit.

    Its mean is least where both come from one law. Shapes: [N,D], [M,D] → [N,1]. Source: Gneiting and Raftery, 2007,
    "Strictly proper scoring rules, prediction, and estimation", section 4.3.
    """
    root = math.sqrt(made.shape[1])
    apart: Tensor = torch.cdist(real, made).mean(dim=1, keepdim=True)
    among: Tensor = torch.pdist(made).mean()
    return (apart - among / 2) / root


@contextlib.contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Gradients go through it, and not to its weights; those that a transfer froze stay frozen behind it."""
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    for weight in trained:
        weight.requires_grad = False
    try:
        yield
    finally:
        for weight in trained:
            weight.requires_grad = True


def _begin(layer: nn.Module) -> None:
    """Small weights to begin with, as the source has them."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
