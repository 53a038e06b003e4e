"""One look: what is judged, and what is left out."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import numpy as np
import pytest

from monitoring.analysis.rows import WindowRows
from monitoring.analysis.windows import Analysis
from staytrue.profile import ReferenceProfile
from staytrue.records import DAY_SECONDS
from staytrue.sections import MonitoringSection
from staytrue.windows import Window
from tests.unit.monitoring.analysis.made import BUNDLE, profile_of, rows_of

WEEKS = 10
TIME = np.arange(24.0 * 7 * WEEKS) * 3600
START, END = 7 * WEEKS * DAY_SECONDS, 7 * (WEEKS + 1) * DAY_SECONDS
LIVE = START + np.arange(168.0) * 3600
MEANS = np.random.default_rng(0).normal(size=WEEKS)


@pytest.fixture
def analysis() -> Analysis:
    """Ten weeks, every second held out."""
    columns: dict[str, Any] = {"x": np.repeat(MEANS, 168), "sky": np.array(["a", "b"] * 840, dtype=object)}
    held = np.arange(len(TIME)) // 168 % 2 == 0
    profile = profile_of(TIME, columns, truth=np.random.default_rng(1).normal(0, 10, len(TIME)), held=held)
    return Analysis(BUNDLE, profile, MonitoringSection(window_days=7), since=START)


@pytest.fixture
def week() -> WindowRows:
    """A week far from the reference in x, with errors as before."""
    columns: dict[str, Any] = {"x": np.full(168, 50.0), "sky": np.array(["a", "b"] * 84, dtype=object)}
    return rows_of(LIVE, columns, truth=np.random.default_rng(2).normal(0, 10, 168))


def test_a_look_holds_checks_drift_and_quality(analysis: Analysis, week: WindowRows) -> None:
    window = analysis.look(week, START, END)
    assert (window.model, window.version, window.rows, window.note) == ("toy", "1", 168, "")
    assert window.drift_evidence > 1
    assert max(window.drift, key=lambda item: item.evidence).feature == "x"
    assert window.quality is not None
    assert window.quality.evidence < 1
    assert ("range", "x") in {(check.name, check.column) for check in window.checks}


def test_the_same_rows_give_the_same_window(analysis: Analysis, week: WindowRows) -> None:
    assert analysis.look(week, START, END) == analysis.look(week, START, END)


def test_a_window_survives_writing_and_reading(analysis: Analysis, week: WindowRows) -> None:
    window = analysis.look(week, START, END)
    assert msgspec.json.decode(msgspec.json.encode(window), type=Window) == window


def test_rows_of_other_versions_and_before_the_promotion_are_not_judged(analysis: Analysis, week: WindowRows) -> None:
    other = rows_of(LIVE, week.columns, truth=week.truth, version="2")
    assert analysis.look(other, START, END).rows == 0
    early = rows_of(LIVE - 5 * DAY_SECONDS, week.columns, truth=week.truth)
    assert analysis.look(early, START - 5 * DAY_SECONDS, END).rows == 48


def test_inputs_are_watched_over_all_versions_and_outputs_over_the_version_s_own(
    analysis: Analysis, week: WindowRows
) -> None:
    """A promotion in the middle of a week: the inputs of the whole week tell, two days of predictions do not."""
    version = np.where(LIVE < START + 5 * DAY_SECONDS, "0", "1").astype(object)
    mixed = WindowRows(LIVE, week.columns, week.prediction + 99, week.truth, week.known, version)
    window = analysis.look(mixed, START, END)
    found = {item.feature: item for item in window.drift}
    assert window.rows == 48
    assert (found["x"].sufficiency, found["x"].evidence > 1) == ("sufficient", True)
    assert found["prediction"].sufficiency == "insufficient"
    assert window.quality is not None
    assert window.quality.sufficiency == "insufficient"


def test_a_sidecar_that_sees_half_of_the_traffic_judges_half_of_the_rows(week: WindowRows) -> None:
    columns: dict[str, Any] = {"x": np.repeat(MEANS, 168), "sky": np.array(["a", "b"] * 840, dtype=object)}
    held = np.arange(len(TIME)) // 168 % 2 == 0
    time = np.repeat(TIME, 4)  # four rows an hour
    quarter = {name: np.repeat(values, 4) for name, values in columns.items()}
    truth = np.random.default_rng(1).normal(0, 10, len(time))
    profile = profile_of(time, quarter, truth=truth, held=np.repeat(held, 4))
    found = {}
    for share in (1.0, 0.25):
        policy = MonitoringSection(window_days=7, traffic_share=share)
        window = Analysis(BUNDLE, profile, policy, since=START).look(week, START, END)
        assert window.quality is not None
        found[share] = ({item.sufficiency for item in window.drift}, window.quality.sufficiency)
    assert found == {1.0: ({"insufficient"}, "insufficient"), 0.25: ({"sufficient"}, "sufficient")}


def test_a_feature_that_only_the_new_version_takes_is_not_missing(analysis: Analysis, week: WindowRows) -> None:
    version = np.where(LIVE < START + 6 * DAY_SECONDS, "0", "1").astype(object)
    columns = {**week.columns, "x": np.where(version == "0", np.nan, 0.5)}
    window = analysis.look(WindowRows(LIVE, columns, week.prediction, week.truth, week.known, version), START, END)
    assert [check for check in window.checks if check.verdict == "fail"] == []


def test_rows_outside_the_span_are_not_judged(analysis: Analysis, week: WindowRows) -> None:
    assert analysis.look(week, START, START + DAY_SECONDS).rows == 24


def test_a_short_window_is_insufficient_evidence_and_says_so(analysis: Analysis, week: WindowRows) -> None:
    window = analysis.look(week.take(week.time < START + DAY_SECONDS), START, END)
    assert window.drift_evidence == 0
    assert {item.sufficiency for item in window.drift} == {"insufficient"}
    assert window.note.startswith("insufficient evidence: 24 rows in 7 days")


def test_an_empty_window_raises_nothing(analysis: Analysis, week: WindowRows) -> None:
    window = analysis.look(week.take(week.time < 0), START, END)
    assert (window.rows, window.drift_evidence, window.quality) == (0, 0.0, None)


def test_a_column_that_fails_its_check_costs_no_other(analysis: Analysis, week: WindowRows) -> None:
    columns = dict(week.columns) | {"sky": np.full(168, None, dtype=object)}
    window = analysis.look(rows_of(LIVE, columns), START, END)
    assert {item.feature for item in window.drift} == {"x", "prediction"}
    assert window.drift_evidence > 1


@pytest.mark.parametrize("texts", [False, True])
def test_a_version_without_reference_rows_is_watched_without_evidence(texts: bool) -> None:
    """As a model has none that was made elsewhere and imported without data; it may answer in texts."""
    profile = ReferenceProfile(columns=[], time=[], split=[], prediction=[], truth=[])
    analysis = Analysis(BUNDLE, profile, MonitoringSection(window_days=7), since=START)
    week = rows_of(LIVE, {"x": np.zeros(168)}, truth=np.zeros(168))
    if texts:
        week = dataclasses.replace(week, prediction=np.full(168, "a", dtype=object))
    window = analysis.look(week, START, END)
    assert (window.rows, window.drift_evidence, window.quality, window.checks) == (168, 0.0, None, [])
    assert "no reference rows" in window.note
