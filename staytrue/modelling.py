"""The section ``model`` of ``staytrue.yaml``: what is predicted, by which architecture, of which size."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from staytrue.section import Count, Option, Section

ARCHITECTURES = ("mlp", "resnet", "inception")
"""Names of those that :mod:`training.models` holds."""
OWN = "unset: the architecture's own"


class ModelSection(Section):
    """Which architecture, and its size. A setting that the architecture does not take is refused."""

    task: Literal["regression", "classification"] = Field(
        default="regression", description="regression predicts a number, classification the name of a class"
    )
    architecture: str = Field(
        default="mlp",
        description="mlp: multilayer perceptron; resnet: residual network, inception: branches side by side, both for "
        "one image feature; or a `package.module:factory` of your own, called with layout, outputs and `options`",
    )
    width: Count | None = Field(
        default=None,
        description="mlp: units of each hidden layer; resnet: channels of the first stage, with dense links those that "
        f"a block adds; inception: a quarter of the first stage's; {OWN}",
    )
    depth: Count | None = Field(
        default=None,
        description="mlp: hidden layers, or blocks with residual links; resnet: blocks of each stage; inception: "
        f"modules of each stage; {OWN}",
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
        default=None, description=f"mlp, resnet, inception: the non-linear function between layers; {OWN}, relu"
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
    kernel: Count | None = Field(
        default=None, description="resnet, inception: size of the first convolution; unset: that of `stem`"
    )
    stride: Count | None = Field(
        default=None, description="resnet, inception: stride of the first convolution; unset: that of `stem`"
    )
    memory_format: Literal["channels_first", "channels_last"] | None = Field(
        default=None,
        description="resnet, inception: how maps lie in memory; channels_last trains in a third less time on "
        "processors, and rounds otherwise; unset: channels_first of resnet, channels_last of inception",
    )
    options: dict[str, Option] = Field(default={}, description="what a factory of your own is called with")
    output: Literal["linear", "positive"] = Field(
        default="linear", description="positive: predictions are above zero, as counts and durations are"
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
            raise ValueError(f"expected {', '.join(ARCHITECTURES)}, or package.module:factory of your own")
        return value
