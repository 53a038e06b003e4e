"""Times of rows: what is told of them, and which pauses are warned of."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.spacing import chapter

HOUR = 3600.0


def test_span_usual_step_and_the_longest_pauses_are_told() -> None:
    hours = np.delete(np.arange(300.0), np.arange(100, 170))  # none from 99 to 170
    made = chapter(np.repeat(hours, 2) * HOUR)
    assert made.summary == (
        "460 rows at 230 times, usually 1:00:00 apart, from 1970-01-01T00:00:00.000Z to 1970-01-13T11:00:00.000Z."
    )
    assert made.tables[0].rows[0] == ["2 days, 23:00:00", "1970-01-05T03:00:00.000Z", "1970-01-08T02:00:00.000Z"]
    (warning,) = made.warnings
    assert warning.startswith("no rows for 2 days, 23:00:00 from 1970-01-05T03:00:00.000Z to 1970-01-08T02:00:00.000Z,")


@pytest.mark.parametrize(
    "time",
    [
        np.cumsum(np.random.default_rng(0).exponential(HOUR, 5000)),  # as events come by chance
        np.concatenate([day * 24 * HOUR + np.arange(0, 8 * HOUR, 300) for day in range(60)]),  # nights are no gaps
        np.array([5.0]),
        np.array([5.0, 5.0, 5e6]),
    ],
    ids=["events", "nights", "one row", "two times"],
)
def test_pauses_as_series_have_them_are_no_gaps(time: np.ndarray) -> None:
    assert chapter(time).warnings == []
