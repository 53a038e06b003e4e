"""Dates: Unix seconds become parts of the calendar, by whole numbers inside the graph."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import torch
from torch import nn

from staytrue.signature import MISSING_INTEGER, TensorSpec
from training.data.encode.numbers import CLIP

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.feature import Feature

DAY_SECONDS = 86_400
EARLIEST, LATEST = -62_135_596_800, 253_402_300_799
"""The years 1 to 9999, in Unix seconds: what lies beyond counts as their ends."""
_MARCH_0000_DAYS = 719_468
"""From 1 March of the year 0 to 1 January 1970; years that begin in March end with the leap day."""
_ERA_DAYS, _ERA_YEARS = 146_097, 400
"""The Gregorian calendar repeats itself."""
_ROUNDS = {"month": (1, 12), "day": (1, 31), "weekday": (0, 7)}
"""Where each part begins, and how many there are."""


class DateState(msgspec.Struct, frozen=True, kw_only=True, tag="date", tag_field="kind"):
    """What is known of a column of dates: the parts that are taken, and mean and deviation of the years in training."""

    name: str
    unit: str
    parts: list[Literal["year", "month", "day", "weekday", "hour"]]
    mean: float
    deviation: float

    def spec(self) -> TensorSpec:
        """What callers send."""
        return TensorSpec(name=self.name, datatype="INT64", shape=[-1, 1], unit=self.unit)

    def module(self) -> DateColumn:
        """What encodes it."""
        return DateColumn(self)

    def tensor(self, column: NDArray[Any]) -> Tensor:
        """A raw column as the module takes it. Shapes: [N] → [N,1]."""
        return torch.from_numpy(np.ascontiguousarray(column, dtype=np.int64).reshape(-1, 1))


def learn_dates(name: str, present: NDArray[Any], feature: Feature) -> DateState:
    """The state of a column of dates from those that are there."""
    within = np.clip(present, EARLIEST, LATEST).astype("datetime64[s]")
    years = within.astype("datetime64[Y]").astype(np.int64) + 1970
    mean, deviation = float(years.mean()), float(years.std()) or 1.0
    return DateState(name=name, unit=feature.unit, parts=list(feature.parts), mean=mean, deviation=deviation)


class DateColumn(nn.Module):
    """The year centred and scaled, other parts as sine and cosine of their place in their round; a missing date is 0.

    Shapes: Unix seconds [N,1] → [N,width], a column of the year, two of any other part.
    """

    def __init__(self, state: DateState) -> None:
        super().__init__()
        self.parts, self.mean, self.deviation = list(state.parts), state.mean, state.deviation
        self.width = sum(1 if part == "year" else 2 for part in state.parts)

    def forward(self, seconds: Tensor) -> Tensor:
        """Seconds to the parts, side by side."""
        gone = seconds == MISSING_INTEGER
        found = calendar(seconds)
        columns = []
        for part in self.parts:
            if part == "year":
                years = (found["year"].to(torch.float32) - self.mean) / self.deviation
                columns.append(torch.clamp(years, -CLIP, CLIP))
                continue
            if part == "hour":
                share = found["second"].to(torch.float32) / DAY_SECONDS
            else:
                first, count = _ROUNDS[part]
                share = (found[part] - first).to(torch.float32) / count
            columns += [torch.sin(2 * math.pi * share), torch.cos(2 * math.pi * share)]
        parts = torch.cat(columns, dim=1)
        return torch.where(gone, torch.zeros_like(parts), parts)


def calendar(seconds: Tensor) -> dict[str, Tensor]:
    """Year, month and day (from 1), weekday (Monday is 0), and second of the day, in UTC.

    All numbers are whole and none is negative, so that a division rounds down in every runtime. Shapes: any, the same.

    Source: Hinnant, 2013, "chrono-Compatible Low-Level Date Algorithms", ``civil_from_days``.
    """
    since = torch.clamp(seconds, EARLIEST, LATEST) + _MARCH_0000_DAYS * DAY_SECONDS
    days = _over(since, DAY_SECONDS)
    era = _over(days, _ERA_DAYS)
    day_of_era = days - era * _ERA_DAYS
    leaps = _over(day_of_era, 1460) - _over(day_of_era, 36_524) + _over(day_of_era, _ERA_DAYS - 1)
    year_of_era = _over(day_of_era - leaps, 365)
    day_of_year = day_of_era - (365 * year_of_era + _over(year_of_era, 4) - _over(year_of_era, 100))
    month_from_march = _over(5 * day_of_year + 2, 153)
    late = (month_from_march >= 10).to(torch.int64)  # January and February: of the year that began in March before
    return {
        "year": year_of_era + era * _ERA_YEARS + late,
        "month": month_from_march + 3 - 12 * late,
        "day": day_of_year - _over(153 * month_from_march + 2, 5) + 1,
        "weekday": days + 2 - _over(days + 2, 7) * 7,  # 1 March of the year 0 was a Wednesday
        "second": since - days * DAY_SECONDS,
    }


def _over(number: Tensor, by: int) -> Tensor:
    # ``torch.div`` with a rounding mode becomes a division of float32 in ONNX, which seconds do not fit into.
    return torch.floor_divide(number, by)
