"""Section of ``staytrue.yaml`` on regularisation: what keeps weights small, steps short and answers modest."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from staytrue.section import Positive, Section


class RegularisationSection(Section):
    """Beside `weight_decay`, `averaging`, `patience` and model.dropout."""

    l1: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="times the sign of each weight, added to its gradient: pulls weights to zero"
    )
    l2: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="times each weight, added to its gradient; weight_decay stays apart from the gradient"
    )
    decayed: Literal["all", "weights"] = Field(
        default="all",
        description="what l1, l2 and weight_decay act on; weights: neither biases nor the scales and shifts of norms",
    )
    clip_norm: Positive | None = Field(default=None, description="largest norm of the gradient of all weights together")
    clip_value: Positive | None = Field(default=None, description="largest part of the gradient, up and down")
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="classification: share of the truth that is spread over all classes"
    )
