"""Generation: pictures like those it learnt from, out of noise."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import numpy as np
import torch

from staytrue.errors import InvalidConfig
from staytrue.signature import TensorSpec
from training.data.encode.pictures import ImageState
from training.data.pictures import seen_size
from training.data.rows import evenly
from training.evaluate.generation import PictureJudge
from training.models.generator import Generator
from training.models.vae import VAE

if TYPE_CHECKING:
    from torch import Tensor, nn

    from staytrue.feature import Feature
    from staytrue.profile import ReferenceColumn
    from staytrue.sections import TrainingSection
    from training.data.encode.encoder import Encoder
    from training.data.rows import Rows
    from training.models.model import Model
    from training.objectives import Objective

MOST = 4000
"""Pictures of a part that are compared with made ones."""


@dataclasses.dataclass(frozen=True)
class Generation:
    """Pictures. The body says what is minimised and by what an epoch is judged; no target is learnt."""

    target: str
    picture: TensorSpec
    measure: str
    outputs: ClassVar[int] = 1
    classes: ClassVar[tuple[str, ...]] = ()

    def model(self, encoder: Encoder, body: nn.Module) -> Model:
        """A generator.

        Raises:
            InvalidConfig: the body makes no pictures, or they cannot be brought back to the caller's units.
        """
        (state,) = encoder.states
        if not isinstance(state, ImageState) or not hasattr(body, "draw"):
            expected = "an architecture that makes pictures, of one image feature, for task generation"
            raise InvalidConfig("model.architecture", expected=expected, got=type(body).__name__)
        if state.normalise == "picture":
            hint = "channel is the default"
            where = f"data.features.{state.name}.normalise"
            raise InvalidConfig(where, "picture cannot be undone for a made picture", hint=hint)
        return Generator(encoder, body, state)  # type: ignore[arg-type]  # it has what is asked of it

    def truth(self, rows: Rows) -> Tensor:
        """Nothing. Shapes: [N,1]."""
        return torch.zeros(len(rows), 1)

    def loss(self, settings: TrainingSection) -> Objective:
        """What the body says.

        Raises:
            InvalidConfig: another.
        """
        if settings.loss is not None:
            hint = "remove it: the architecture has its own"
            raise InvalidConfig("training.loss", f"{settings.loss} is not for generation", hint=hint)
        return lambda made, _: made[:, :1]

    def miss(self, made: Tensor, truth: Tensor) -> Tensor:
        """What the body says."""
        del truth
        return made[:, 1:]

    def specs(self) -> list[TensorSpec]:
        """The picture."""
        return [self.picture]

    def judge(self, model: Model, rows: Rows, *, seed: int) -> PictureJudge:
        """Made pictures beside those of some of the rows, as an encoder sees both; and a bound, where the body has one.

        The bound is what an epoch of such a body is judged by.
        """
        generator, some = _generator(model), rows.take(evenly(len(rows), MOST))
        bound = generator.judged(some.columns) if self.measure == VAE.MEASURE else None
        real = generator.encoded(some.columns)
        return PictureJudge(real, generator.drawn(len(real), seed), bound, some.time, seed)

    def told(self, rows: Rows) -> list[float | str]:
        """Nothing: no label says how good a picture is."""
        return list(rows.target.tolist())

    def predictions(self, model: Model, rows: Rows) -> tuple[list[float | str], list[ReferenceColumn]]:
        """The mean of a made picture, for each row: no label will be compared with it."""
        made = _generator(model).made(min(len(rows), MOST), 0)
        means = made.reshape(len(made), -1).mean(axis=1, dtype=np.float64)
        return np.resize(means, len(rows)).tolist(), []

    def described(self) -> dict[str, Any]:
        """What it makes, and what it is judged by."""
        return {"picture": msgspec.to_builtins(self.picture), "measure": self.measure}


def picture_of(name: str, feature: Feature) -> TensorSpec:
    """What is made of such pictures: numbers, of the size that the model sees them in."""
    channels, *size = seen_size(feature)
    shape = [-1, *size, channels] if feature.layout == "channels_last" else [-1, channels, *size]
    return TensorSpec(name=name, datatype="FP32", shape=shape, unit=feature.unit)


def _generator(model: Model) -> Generator:
    if not isinstance(model, Generator):
        raise TypeError("a generator makes pictures")
    return model
