"""Areas: by hand, and with any weights those of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.training.evaluate.judging import daily, draws_of, hourly
from training.evaluate import ranking
from training.evaluate.ranking import areas, ranked

ONE = np.ones((1, 1))


def alone(scores: list[float], holds: list[int], most: int = 100) -> tuple[float, float]:
    """Both areas of rows that count alike."""
    found = areas(np.array(scores), np.array(holds) > 0, np.zeros(len(scores), dtype=np.int64), ONE, most=most)
    return float(found.auc[0]), float(found.average_precision[0])


def test_areas_by_hand() -> None:
    """Of the pairs 0.9>0.8, 0.9>0.1, 0.4<0.8, 0.4>0.1 three are right; precision 1 at recall 1/2, 2/3 at 1."""
    assert alone([0.9, 0.8, 0.4, 0.1], [1, 0, 1, 0]) == pytest.approx((3 / 4, (1 + 2 / 3) / 2))
    assert alone([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0]) == (1, 1)
    assert alone([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0]) == pytest.approx((0, (1 / 3 + 2 / 4) / 2))
    assert alone([0.5] * 4, [1, 0, 0, 0]) == (0.5, 0.25)  # all tied


def test_areas_where_one_truth_is_missing_are_not_defined() -> None:
    assert np.isnan(alone([0.5, 0.6], [0, 0])).all()
    auc, precision = alone([0.5, 0.6], [1, 1])
    assert (np.isnan(auc), precision) == (True, 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 30).flatmap(lambda n: st.tuples(*(st.lists(st.integers(0, 5), min_size=n, max_size=n),) * 3)))
def test_weighted_areas_are_those_of_scikit_learn(columns: tuple[list[int], list[int], list[int]]) -> None:
    """Ties, rows that do not count and fractions among them; a group may hold several rows."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    scores, holds = np.array(columns[0]) / 5, np.array(columns[1]) > 2
    groups = np.array(columns[2])
    weights = np.stack([np.arange(6.0), np.arange(6.0)[::-1] / 3, [0.5, 0, 2, 1, 0, 3]], axis=1)
    found = areas(scores, holds, groups, weights, most=100)
    for column in range(3):
        rows = weights[groups, column]
        if rows[holds].sum() > 0:
            expected = average_precision_score(holds, scores, sample_weight=rows)
            assert found.average_precision[column] == pytest.approx(expected)
            if rows[~holds].sum() > 0:
                assert found.auc[column] == pytest.approx(roc_auc_score(holds, scores, sample_weight=rows))


def test_few_thresholds_move_neither_the_value_nor_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranked at 256 scores or at all 1200, the ends of the intervals agree to a thousandth."""
    draw = np.random.default_rng(0)
    holds = draw.random(2400) < 0.5
    scores, draws = draw.normal(size=2400) + holds, draws_of(hourly(100))
    value, coarse = ranked(scores, holds, draws)
    monkeypatch.setattr(ranking, "MOST", 2400)
    same, exact = ranked(scores, holds, draws)
    assert value == same
    for some, every in zip(coarse, exact, strict=True):
        assert np.quantile(some, [0.025, 0.975]) == pytest.approx(np.quantile(every, [0.025, 0.975]), abs=1e-3)


def test_a_resample_is_ranked_as_its_rows_would_be_alone() -> None:
    draw = np.random.default_rng(3)
    scores, holds, draws = np.round(draw.random(12), 1), np.arange(12) % 3 == 0, draws_of(daily(12))
    drawn = ranked(scores, holds, draws)[1]
    for place in range(20):
        rows = np.repeat(np.arange(12), draws.often[place][draws.blocks].astype(int))
        found = alone(scores[rows].tolist(), holds[rows].tolist())
        assert (drawn.auc[place], drawn.average_precision[place]) == pytest.approx(found, nan_ok=True)
