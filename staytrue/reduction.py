"""The section ``export.reduction``: artefacts of fewer bits, and how far they may be from the model itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from staytrue.section import Count, Positive, Section


class ReductionSection(Section):
    """What int8 and fp16 are made with, and what they may cost."""

    calibration_rows: Count = Field(default=256, description="training rows whose ranges int8_static is made for")
    calibration: Literal["minmax", "percentile"] = Field(
        default="minmax", description="ranges: all that those rows reach, or without the outermost 0.01%"
    )
    differing: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.02, description="largest share of decisions (classes, labels) that may be others than the model's own"
    )
    apart: Positive = Field(
        default=0.05,
        description="largest mean distance of a row's answer from the model's own: of numbers in the target's standard "
        "deviations, of classes the total variation distance of their probabilities, of labels the largest change",
    )
    far: Positive = Field(
        default=0.2, description="distance, measured likewise, that 19 of 20 rows have to stay within"
    )
    lost: Annotated[float, Field(ge=0)] = Field(
        default=0.01,
        description="most of the accuracy that may be lost on validation rows; of numbers the share that their mean "
        "absolute error may grow by",
    )
