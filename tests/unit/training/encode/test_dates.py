"""Dates: the calendar of the graph beside Python's own."""

from __future__ import annotations

import datetime
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from export.onnx import to_onnx
from serving.runtimes.onnx import OnnxRuntime
from staytrue.errors import InvalidInput
from staytrue.feature import Feature
from staytrue.signature import MISSING_INTEGER, Signature, TensorSpec
from tests.encoders import encoded, learnt
from training.data.dates import whole_seconds
from training.data.encode.dates import EARLIEST, LATEST, DateState, calendar

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - UTC throughout, as the graph has it
FIRST, LAST = (int((datetime.datetime(year, 1, 1) - EPOCH).total_seconds()) for year in (1900, 2200))  # noqa: DTZ001
PARTS = ("year", "month", "day", "weekday", "second")


def pythons(seconds: int) -> list[int]:
    """The parts by Python's own calendar."""
    moment = EPOCH + datetime.timedelta(seconds=seconds)
    of_day = moment.hour * 3600 + moment.minute * 60 + moment.second
    return [moment.year, moment.month, moment.day, moment.weekday(), of_day]


class Calendar(torch.nn.Module):
    """The parts, side by side."""

    def forward(self, seconds: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,1] → [N,5]."""
        found = calendar(seconds)
        return torch.cat([found[part] for part in PARTS], dim=1)


@given(st.lists(st.integers(FIRST, LAST - 1), min_size=1, max_size=100))
def test_any_second_from_1900_to_2200_has_pythons_date(seconds: list[int]) -> None:
    got = Calendar()(torch.tensor(seconds).reshape(-1, 1))
    assert got.tolist() == [pythons(second) for second in seconds]


def test_every_day_from_1900_to_2200_has_pythons_date_in_the_servers_runtime(tmp_path: Path) -> None:
    """Leap days of 1904, 2000 and 2096, and none of 1900 and 2100, among 109,573 days, each at another second."""
    signature = Signature(
        inputs=[TensorSpec(name="at", datatype="INT64", shape=[-1, 1])],
        outputs=[TensorSpec(name="parts", datatype="INT64", shape=[-1, 5])],
    )
    to_onnx(Calendar().eval(), signature, tmp_path / "m.onnx", 8)
    days = np.arange(FIRST, LAST, 86_400)
    seconds = days + np.random.default_rng(0).integers(0, 86_400, len(days))
    got = OnnxRuntime(tmp_path / "m.onnx", signature).run({"at": seconds.reshape(-1, 1)})["parts"]
    assert len(days) == 109_573
    assert got.tolist() == [pythons(second) for second in seconds.tolist()]


@pytest.mark.parametrize("second", [EARLIEST, LATEST, -1, 0, 951_782_400, 4_107_542_399])
def test_ends_of_the_calendar_and_leap_days(second: int) -> None:
    """The years 1 and 9999, the epoch, 29 February 2000, and the last second of 28 February 2100."""
    assert Calendar()(torch.tensor([[second]])).tolist() == [pythons(second)]


@pytest.mark.parametrize("second", [MISSING_INTEGER + 1, -(2**62), 2**62, 2**63 - 1])
def test_what_lies_beyond_the_calendar_counts_as_its_end(second: int) -> None:
    assert Calendar()(torch.tensor([[second]])).tolist() == [pythons(EARLIEST if second < 0 else LATEST)]


def test_parts_are_a_scaled_year_and_points_on_circles() -> None:
    """Closed forms at 3 October 2021, a Sunday, 18:00; years 2020 and 2022 in training."""
    stamps = np.array(["2020-05-01", "2022-05-01"], dtype="datetime64[s]").astype(np.int64)
    encoder = learnt({"at": stamps}, {"at": Feature(kind="date")})
    state = encoder.states[0]
    assert isinstance(state, DateState)
    assert (state.mean, state.deviation) == (2021, 1)
    at = np.array(["2021-10-03T18:00"], dtype="datetime64[s]").astype(np.int64)
    rounds = [9 / 12, 2 / 31, 6 / 7, 18 / 24]
    points = [trig(2 * math.pi * share) for share in rounds for trig in (math.sin, math.cos)]
    np.testing.assert_allclose(encoded(encoder, {"at": at})[0], [0.0, *points], atol=1e-6)


def test_only_the_parts_asked_for_are_taken_in_their_order() -> None:
    encoder = learnt({"at": np.array([0, 1])}, {"at": Feature(kind="date", parts=["hour", "year"])})
    assert encoder.width == 3
    np.testing.assert_allclose(encoded(encoder, {"at": np.array([6 * 3600])})[0], [1, 0, 0], atol=1e-6)


def test_a_missing_date_is_in_the_middle_of_all_circles() -> None:
    encoder = learnt({"at": np.array([0, 10**9, MISSING_INTEGER])}, {"at": Feature(kind="date")})
    assert encoded(encoder, {"at": np.array([MISSING_INTEGER])}).tolist() == [[0.0] * 9]


def test_every_form_of_a_moment_becomes_the_same_second() -> None:
    """Timestamps, dates, texts with and without a zone, numbers; fractions are cut off also before 1970."""
    expected = [1_633_284_000, MISSING_INTEGER]
    stamps = np.array(["2021-10-03T18:00:00.9", "NaT"], dtype="datetime64[us]")
    texts = np.array(["2021-10-03T20:00:00+02:00", ""], dtype=object)
    plain = np.array(["2021-10-03 18:00", None], dtype=object)
    for values in (stamps, texts, plain, np.array([1_633_284_000.5, np.nan])):
        assert whole_seconds(values, "here").tolist() == expected
    days = np.array([datetime.date(1969, 12, 31), datetime.datetime(1969, 12, 31, 0, 0, 0, 5)], dtype=object)  # noqa: DTZ001
    assert whole_seconds(days, "here").tolist() == [-86_400, -86_400]
    masked = np.ma.masked_array(np.array([5, 6]), mask=[False, True])
    assert whole_seconds(masked, "here").tolist() == [5, MISSING_INTEGER]


@pytest.mark.parametrize("values", [np.array(["soon"], dtype=object), np.array([1e300])])
def test_what_is_no_moment_is_refused(values: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match=r'data.csv, column "at", row 1: expected .*Unix seconds, got'):
        whole_seconds(values, 'data.csv, column "at"')
