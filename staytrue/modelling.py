"""The section ``model`` of ``staytrue.yaml``: what is predicted, by which architecture, of which size."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from staytrue.bundle import TaskName
from staytrue.nearest import meant
from staytrue.section import Count, Option, Positive, Refused, Section, Share

ARCHITECTURES = (
    *("mlp", "resnet", "inception", "rnn", "lstm", "gru", "transformer"),
    *("vae", "vae_conv", "dcgan", "wgan_gp"),
)
"""Names of those that :mod:`training.models` holds."""
OWN = "unset: the architecture's own"


class ModelSection(Section):
    """Which architecture, and its size. A setting that the architecture does not take is refused."""

    task: TaskName = Field(
        default="regression",
        description="regression predicts a number or several, classification the name of a class, "
        "multilabel which of the columns of data.target hold (docs/tasks.md); generation makes pictures like those it "
        "learnt from",
    )
    architecture: str = Field(
        default="mlp",
        description="mlp: multilayer perceptron; resnet: residual network, inception: branches side by side, both for "
        "one image feature; rnn, lstm, gru: recurrent networks, for one sequence or text; transformer: for all kinds "
        "of features; vae, vae_conv, dcgan, wgan_gp: generators of pictures (docs/generation.md); or a "
        "`package.module:factory` of your own, called with layout, outputs and `options`",
    )
    width: Count | None = Field(
        default=None,
        description="mlp: units of each hidden layer; resnet: channels of the first stage, with dense links those that "
        "a block adds; inception: a quarter of the first stage's; rnn, lstm, gru: units of each layer and direction; "
        f"transformer: numbers a token, a multiple of `heads`; {OWN}",
    )
    depth: Count | None = Field(
        default=None,
        description="mlp: hidden layers, or blocks with residual links; resnet: blocks of each stage; inception: "
        f"modules of each stage; rnn, lstm, gru: layers; transformer: blocks; {OWN}",
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        default=None, description=f"share of units dropped in training; {OWN}"
    )
    stages: Annotated[list[Count], Field(min_length=1)] | None = Field(
        default=None,
        description="resnet, inception: blocks or modules of each stage, as [3, 4, 6, 3], in place of `depth`; unset: "
        "as many stages as the pictures' size allows",
    )
    block: Literal["basic", "bottleneck"] | None = Field(
        default=None,
        description="resnet: two convolutions of 3 by 3 (basic), or one on fewer channels between two of 1 by 1; "
        f"{OWN}, basic",
    )
    links: Literal["plain", "residual", "dense"] | None = Field(
        default=None,
        description="mlp, resnet: a block's input is gone, added to its output, or put beside it; unset: plain of mlp, "
        "residual of resnet",
    )
    attention: Literal["none", "channel"] | None = Field(
        default=None, description=f"resnet, inception: channel weighs channels by squeeze and excitation; {OWN}, none"
    )
    activation: Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh"] | None = Field(
        default=None,
        description="mlp, resnet, inception, transformer: the non-linear function between layers; unset: gelu of "
        "transformer, else relu",
    )
    normalisation: Literal["none", "batch", "group", "layer"] | None = Field(
        default=None, description="mlp, resnet, inception: over what numbers are scaled; unset: none of mlp, else batch"
    )
    stem: Literal["by_size", "small", "pooled", "large"] | None = Field(
        default=None,
        description="resnet, inception: the first convolution. small: 3 by 3; pooled: 3 by 3 and a pooling, "
        "which halves; large: 7 by 7, halving, and a pooling; "
        f"by_size: 3 by 3, halving pictures from 24 pixels on, and a pooling from 96 on; {OWN}, by_size",
    )
    memory_format: Literal["channels_first", "channels_last"] | None = Field(
        default=None,
        description="resnet, inception: how maps lie in memory; channels_last trains in a third less time on "
        "processors, and rounds otherwise; unset: channels_first of resnet, channels_last of inception",
    )
    bidirectional: bool | None = Field(
        default=None, description=f"rnn, lstm, gru: read each row backwards as well; {OWN}"
    )
    pooling: Literal["last", "token", "mean", "max", "attention"] | None = Field(
        default=None,
        description="how steps become one answer. rnn, lstm, gru: what is remembered last, or the mean, maximum or "
        f"learnt mean of all; transformer: a token of its own, or those three of all tokens; {OWN}",
    )
    heads: Count | None = Field(default=None, description=f"transformer: heads of attention; {OWN}")
    feed_forward: Count | None = Field(
        default=None, description="transformer: units between the two layers after attention; unset: twice the width"
    )
    positions: Literal["learnt", "sinusoidal", "none"] | None = Field(
        default=None, description=f"transformer: how a token knows its place in text, sequence or picture; {OWN}"
    )
    patch: Count | None = Field(
        default=None, description=f"transformer: pixels of the side of a picture's patch; {OWN}"
    )
    kernel: Count | None = Field(
        default=None,
        description="resnet, inception: size of the first convolution; unset: that of `stem`. rnn, lstm, gru, "
        "transformer: steps or bytes that a convolution in front looks at; unset: 7, and for sequences none unless "
        "`stride` is above 1",
    )
    stride: Count | None = Field(
        default=None,
        description="resnet, inception: stride of the first convolution; unset: that of `stem`. rnn, lstm, gru, "
        "transformer: steps or bytes of which it keeps the strongest signs as one step; unset: 8 of texts, 1 of "
        "sequences",
    )
    latent: Count | None = Field(default=None, description=f"generators: numbers that a picture is made of; {OWN}")
    beta: Positive | None = Field(default=None, description="vae, vae_conv: weight of the divergence; unset: 1")
    critic_steps: Count | None = Field(
        default=None, description="dcgan (1), wgan_gp (5): steps of the critic before each of the generator"
    )
    penalty: Positive | None = Field(default=None, description="wgan_gp: weight of the gradient penalty; unset: 10")
    options: dict[str, Option] = Field(default={}, description="what a factory of your own is called with")
    output: Literal["linear", "positive"] = Field(
        default="linear", description="positive: predictions are above zero, as counts and durations are"
    )
    quantiles: list[Share] = Field(
        default=[], description="regression: levels whose quantiles are predicted too, ascending: [0.1, 0.5, 0.9]"
    )

    @model_validator(mode="after")
    def _counts_blocks_once(self) -> Self:
        if self.depth is not None and self.stages is not None:
            raise ValueError("depth and stages both say how many blocks there are: one of them")
        return self

    @field_validator("architecture")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in ARCHITECTURES and not all(value.partition(":")):
            expected = f"expected {', '.join(ARCHITECTURES)}, or package.module:factory of your own"
            raise Refused(expected, meant(value, ARCHITECTURES))
        return value

    @model_validator(mode="after")
    def _asks_for_quantiles_of_a_number(self) -> Self:
        if self.quantiles and self.task != "regression":
            raise ValueError(f"quantiles are of a number: task: regression, not {self.task}")
        if any(low >= high for low, high in itertools.pairwise(self.quantiles)):
            raise ValueError("quantiles are given ascending, each once: [0.1, 0.5, 0.9]")
        return self
