"""The example's year through the analysis as shipped, with a stand-in for the model: silence first, then the season."""

from __future__ import annotations

import csv
import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from monitoring.analysis.rows import WindowRows
from monitoring.analysis.windows import Analysis
from staytrue.profile import ReferenceColumn, ReferenceProfile
from staytrue.records import DAY_SECONDS
from staytrue.sections import MonitoringSection

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.bundle import Bundle
    from staytrue.windows import Window

FILE = Path(__file__).parents[4] / "examples" / "bikeshare" / "hourly.csv"
NUMBERS = ("temp", "atemp", "hum", "windspeed")
CATEGORIES = ("hr", "weekday", "workingday", "holiday", "weathersit")
NEW_YEAR = datetime.datetime(2011, 1, 1, tzinfo=datetime.UTC).timestamp()
MAY = 120
"""Days of 2011 before the first of May, where the model's data ends."""
TEST_WEEKS, HELD_WEEKS = (0, 10), (3, 7, 13)
POLICY = MonitoringSection()


class Year:
    """The rows of 2011, a model of January to April, and the analysis calibrated on its profile."""

    def __init__(self, bundle: Bundle) -> None:
        with FILE.open(newline="", encoding="utf-8") as file:
            table = list(csv.DictReader(file))
        self.columns: dict[str, NDArray[Any]] = {
            **{name: np.array([float(row[name]) for row in table]) for name in NUMBERS},
            **{name: np.array([row[name] for row in table], dtype=object) for name in CATEGORIES},
        }
        self.day = np.array([int(row["day"]) - 1 for row in table])
        self.time = NEW_YEAR + self.day * DAY_SECONDS + np.array([int(row["hr"]) for row in table]) * 3600.0
        self.truth = np.array([float(row["bikers"]) for row in table])
        week, past = self.day // 7, self.day < MAY
        held = past & np.isin(week, HELD_WEEKS)
        train = past & ~held & ~np.isin(week, TEST_WEEKS)
        inputs = np.column_stack([_number(self.columns[name]) for name in (*NUMBERS, *CATEGORIES)])
        model = HistGradientBoostingRegressor(loss="absolute_error", max_iter=60, random_state=0)
        self.prediction = model.fit(inputs[train], self.truth[train]).predict(inputs)
        profile = self._profile(train | held, held)
        self.analysis = Analysis(bundle, profile, POLICY, since=0.0)
        self.live = Analysis(bundle, profile, POLICY, since=NEW_YEAR + MAY * DAY_SECONDS)

    def look(self, analysis: Analysis, until_day: int) -> Window:
        """The look over the seven days before a day."""
        which = (self.day >= until_day - 7) & (self.day < until_day)
        rows = WindowRows(
            time=self.time[which],
            columns={name: values[which] for name, values in self.columns.items()},
            prediction=self.prediction[which],
            truth=self.truth[which],
            known=self.time[which] + 3600,
            version=np.full(int(which.sum()), "1", dtype=object),
        )
        end = NEW_YEAR + until_day * DAY_SECONDS
        return analysis.look(rows, end - 7 * DAY_SECONDS, end)

    def _profile(self, which: NDArray[np.bool_], held: NDArray[np.bool_]) -> ReferenceProfile:
        return ReferenceProfile(
            columns=[
                ReferenceColumn(
                    name=name, kind="numeric" if name in NUMBERS else "category", values=values[which].tolist()
                )
                for name, values in self.columns.items()
            ],
            time=self.time[which].tolist(),
            split=["validation" if one else "train" for one in held[which]],
            prediction=self.prediction[which].tolist(),
            truth=self.truth[which].tolist(),
        )


def _number(values: NDArray[Any]) -> NDArray[np.float64]:
    """A column as trees take it."""
    return (np.unique(values, return_inverse=True)[1] if values.dtype == object else values).astype(np.float64)


def first_alarm(evidence: list[float]) -> int | None:
    """Index of the look at which ``for_looks`` in a row have reached the threshold."""
    above = 0
    for place, value in enumerate(evidence):
        above = above + 1 if value >= 1 else 0
        if above >= POLICY.for_looks:
            return place
    return None


@pytest.fixture
def year() -> Year:
    return Year(cast("Bundle", SimpleNamespace(name="bikes", version="1")))


def test_year_is_silent_on_held_out_weeks_then_quality_and_temperature_raise_their_alarms(year: Year) -> None:
    held = [year.look(year.analysis, 7 * week + 7) for week in sorted(TEST_WEEKS + HELD_WEEKS)]
    assert max(window.drift_evidence for window in held) < 1
    assert max(window.quality.evidence for window in held if window.quality) < 1

    days = list(range(MAY + 1, MAY + 60))
    windows = [year.look(year.live, day) for day in days]
    outputs = {item.feature: item.sufficiency for item in windows[0].drift}
    assert outputs["prediction"] == "insufficient"  # one day of its own
    assert outputs["temp"] == "sufficient"  # whoever answered: the inputs of a whole week are there
    assert windows[0].drift_evidence < 1

    quality = first_alarm([window.quality.evidence if window.quality else 0.0 for window in windows])
    assert quality is not None
    assert days[quality] <= MAY + 14

    warmth = [max(item.evidence for item in window.drift if item.feature in {"temp", "atemp"}) for window in windows]
    named = first_alarm(warmth)
    assert named is not None
    assert NEW_YEAR + days[named] * DAY_SECONDS <= datetime.datetime(2011, 6, 15, tzinfo=datetime.UTC).timestamp()
