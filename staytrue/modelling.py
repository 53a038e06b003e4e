"""The section ``model`` of ``staytrue.yaml``: what is predicted, by which architecture, of which size."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from staytrue.bundle import TaskName
from staytrue.section import Count, Option, Section, Share

ARCHITECTURES = ("mlp", "resnet")
"""Names of those that :mod:`training.models` holds."""
OWN = "unset: the architecture's own"


class ModelSection(Section):
    """Which architecture, and its size. A setting that the architecture does not take is refused."""

    task: TaskName = Field(
        default="regression",
        description="regression predicts a number or several, classification the name of a class, "
        "multilabel which of the columns of data.target hold (docs/tasks.md)",
    )
    architecture: str = Field(
        default="mlp",
        description="mlp: multilayer perceptron; resnet: residual network, for one image feature; or a "
        "`package.module:factory` of your own, called with layout, outputs and `options`",
    )
    width: Count | None = Field(
        default=None, description=f"mlp: units of each hidden layer; resnet: channels of the first stage; {OWN}"
    )
    depth: Count | None = Field(
        default=None, description=f"mlp: hidden layers; resnet: residual blocks of each stage; {OWN}"
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        default=None, description=f"share of units dropped in training; {OWN}"
    )
    options: dict[str, Option] = Field(default={}, description="what a factory of your own is called with")
    output: Literal["linear", "positive"] = Field(
        default="linear", description="positive: predictions are above zero, as counts and durations are"
    )
    quantiles: list[Share] = Field(
        default=[], description="regression: levels whose quantiles are predicted too, ascending: [0.1, 0.5, 0.9]"
    )

    @field_validator("architecture")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in ARCHITECTURES and not all(value.partition(":")):
            raise ValueError(f"expected {', '.join(ARCHITECTURES)}, or package.module:factory of your own")
        return value

    @model_validator(mode="after")
    def _asks_for_quantiles_of_a_number(self) -> Self:
        if self.quantiles and self.task != "regression":
            raise ValueError(f"quantiles are of a number: task: regression, not {self.task}")
        if any(low >= high for low, high in itertools.pairwise(self.quantiles)):
            raise ValueError("quantiles are given ascending, each once: [0.1, 0.5, 0.9]")
        return self
