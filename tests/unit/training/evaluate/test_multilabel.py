"""Metrics of labels: by hand, as scikit-learn has them, and what is said where they have no value."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.training.evaluate.judging import labels, of


def test_metrics_of_three_rows_by_hand() -> None:
    """Decided: l0 l1, l0, nothing. Of l0 one right of two decided and one true; of l1 one of one and two."""
    part = of(labels([[1, 1], [0, 1], [0, 0]], [[0.9, 0.6], [0.5, 0.2], [0.1, 0.3]]))
    expected = {
        "subset_accuracy": 2 / 3,
        "hamming_loss": 2 / 6,
        "micro_precision": 2 / 3,
        "micro_recall": 2 / 3,
        "micro_f1": 2 / 3,
        "macro_precision": (1 / 2 + 1) / 2,
        "macro_recall": (1 + 1 / 2) / 2,
        "macro_f1": (2 / 3 + 2 / 3) / 2,
        "log_loss": -math.log(0.9 * 0.6 * 0.5 * 0.2 * 0.9 * 0.7) / 6,
        "brier": (0.01 + 0.16 + 0.25 + 0.64 + 0.01 + 0.09) / 6,
        "auc": (1 + 1 / 2) / 2,
        "average_precision": (1 + (1 + 2 / 3) / 2) / 2,
    }
    assert {name: part.metrics[name].value for name in expected} == pytest.approx(expected)
    assert part.by_class["l1"].metrics["recall"].value == 0.5
    # Said 0.1, 0.2, 0.3, 0.5, 0.6, 0.9 of one each, in bins of their own.
    assert part.metrics["calibration_error"].value == pytest.approx((0.1 + 0.8 + 0.3 + 0.5 + 0.4 + 0.1) / 6)


def test_metrics_are_those_of_scikit_learn() -> None:
    from sklearn import metrics as theirs

    draw = np.random.default_rng(1)
    truth, likely = draw.integers(0, 2, (200, 4)), draw.random((200, 4))
    decided, found = likely >= 0.5, of(labels(truth.tolist(), likely.tolist())).metrics
    for average in ("micro", "macro"):
        rates = theirs.precision_recall_fscore_support(truth, decided, average=average)
        for place, name in enumerate(("precision", "recall", "f1")):
            assert found[f"{average}_{name}"].value == pytest.approx(rates[place])
    assert found["subset_accuracy"].value == pytest.approx(theirs.accuracy_score(truth, decided))
    assert found["hamming_loss"].value == pytest.approx(theirs.hamming_loss(truth, decided))
    assert found["auc"].value == pytest.approx(theirs.roc_auc_score(truth, likely))
    assert found["average_precision"].value == pytest.approx(theirs.average_precision_score(truth, likely))
    assert found["log_loss"].low < found["log_loss"].value < found["log_loss"].high


def test_labels_of_which_none_holds_and_none_is_decided_have_no_rates() -> None:
    part = of(labels([[0, 0], [0, 0]], [[0.1, 0.2], [0.3, 0.0]]))
    assert part.metrics["subset_accuracy"].value == 1
    assert part.absent["macro_f1"] == "no label holds; none was decided for"
    assert part.absent["auc"] == "all rows are alike in their truth: nothing to rank"
    decided = of(labels([[0, 0], [0, 0]], [[0.9, 0.2], [0.3, 0.0]]))
    assert decided.metrics["micro_precision"].value == 0
    assert decided.absent["micro_recall"] == "no label holds"


def test_rows_that_lack_a_label_are_left_out_and_odd_answers_are_told() -> None:
    part = of(labels([[1, math.nan], [1, 0]], [[0.9, 0.9], [0.9, 0.1]]))
    assert (part.rows, part.left_out, part.metrics["subset_accuracy"].value) == (1, 1, 1)
    odd = of(labels([[1, 0]], [[math.nan, 0.2]]))
    assert (odd.metrics, odd.absent["auc"]) == ({}, "1 of 1 answers are no finite numbers")
