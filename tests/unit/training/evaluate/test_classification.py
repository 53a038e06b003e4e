"""Metrics of classes: by hand, as scikit-learn has them, and what is said where they have no value."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.training.evaluate.judging import classes, daily, draws_of, hourly, names, of
from training.evaluate import classification, rates
from training.evaluate.classification import LEAST_PROBABILITY, ClassJudge

FOUR = ("a", "a", "b", "c"), [[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3]]
"""Answers a b b b: right 2 of 4; b is answered three times, c never."""


FEW = "{} days, so few that the interval is rough"


def test_metrics_of_four_rows_by_hand() -> None:
    """Precision of a 1, b 1/3, c 0; recall 1/2, 1, 0; F1 2/3, 2/4, 0."""
    metrics = of(classes(*FOUR, ("a", "b", "c"))).metrics
    expected = {
        "accuracy": 1 / 2,
        "error_rate": 1 / 2,
        "balanced_accuracy": (1 / 2 + 1 + 0) / 3,
        "micro_precision": 1 / 2,
        "micro_recall": 1 / 2,
        "micro_f1": 1 / 2,
        "macro_precision": (1 + 1 / 3 + 0) / 3,
        "macro_recall": (1 / 2 + 1 + 0) / 3,
        "macro_f1": (2 / 3 + 1 / 2 + 0) / 3,
        "log_loss": -math.log(0.7 * 0.3 * 0.8 * 0.3) / 4,
        "brier": ((0.09 + 0.04 + 0.01) + (0.49 + 0.36 + 0.01) + (0.01 + 0.04 + 0.01) + (0.04 + 0.25 + 0.49)) / 4,
        "auc": (4 / 4 + 3 / 3 + 3 / 3) / 3,
        "average_precision": 1,
        "calibration_error": (0.3 + 0.6 + 0.2 + 0.5) / 4,
    }
    assert {name: metric.value for name, metric in metrics.items()} == pytest.approx(expected)
    assert metrics["accuracy"].low < 1 / 2 < metrics["accuracy"].high
    assert metrics["macro_precision"].note == f"never answered, counted as 0: c; {FEW.format(4)}"


def test_each_class_by_itself_and_the_confusion_by_hand() -> None:
    part = of(classes(*FOUR, ("a", "b", "c")))
    assert {name: (one.rows, one.predicted) for name, one in part.by_class.items()} == {
        "a": (2, 1),
        "b": (1, 3),
        "c": (1, 0),
    }
    rates = {name: {key: metric.value for key, metric in one.metrics.items()} for name, one in part.by_class.items()}
    assert rates["a"] == pytest.approx({"precision": 1, "recall": 0.5, "f1": 2 / 3, "auc": 1, "average_precision": 1})
    assert rates["c"] == pytest.approx({"recall": 0, "f1": 0, "auc": 1, "average_precision": 1})
    assert part.by_class["c"].absent == {"precision": "never answered"}
    assert part.confusion is not None
    assert part.confusion.rows == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert part.confusion.other == [0, 0, 0]


def test_metrics_are_those_of_scikit_learn() -> None:
    """Of rows drawn, all classes there."""
    from sklearn import metrics as theirs

    draw = np.random.default_rng(0)
    true, likely = draw.integers(0, 4, 300), draw.dirichlet(np.ones(4), 300)
    answers, named = likely.argmax(axis=1), list("abcd")
    part = of(classes([named[place] for place in true], likely.tolist(), named))
    expected = {
        "accuracy": theirs.accuracy_score(true, answers),
        "balanced_accuracy": theirs.balanced_accuracy_score(true, answers),
        "log_loss": theirs.log_loss(true, likely),
        "brier": theirs.brier_score_loss(true, likely, labels=range(4)),
        "auc": theirs.roc_auc_score(true, likely, multi_class="ovr"),
        "average_precision": theirs.average_precision_score(true, likely),
    }
    for average in ("micro", "macro"):
        rates = theirs.precision_recall_fscore_support(true, answers, average=average)
        expected |= {f"{average}_{name}": rates[place] for place, name in enumerate(("precision", "recall", "f1"))}
    assert {name: part.metrics[name].value for name in expected} == pytest.approx(expected)
    assert part.confusion is not None
    assert part.confusion.rows == theirs.confusion_matrix(true, answers).tolist()
    binary = (true > 1).astype(int)
    two = of(classes(np.where(binary, "y", "n").tolist(), [[1 - p[0], p[0]] for p in likely], ("n", "y"))).metrics
    assert two["auc"].value == pytest.approx(theirs.roc_auc_score(binary, likely[:, 0]))
    assert two["brier"].value == pytest.approx(theirs.brier_score_loss(binary, likely[:, 0]))


def test_the_resamples_are_those_of_scikit_learn_with_weights() -> None:
    """Each resample of the rates counts rows as often as their day was drawn."""
    from sklearn.metrics import balanced_accuracy_score, f1_score

    draw = np.random.default_rng(0)
    true, likely = draw.integers(0, 3, 60), draw.dirichlet(np.ones(3), 60)
    judge = ClassJudge(true, likely, list("abc"), daily(60))
    draws = draws_of(judge.times)
    drawn = classification._metrics(draws.often @ judge._sums(draws))
    for place in range(20):
        weights, answers = draws.often[place][draws.blocks], likely.argmax(axis=1)
        expected = f1_score(true, answers, sample_weight=weights, average="macro")
        assert drawn["macro_f1"][place] == pytest.approx(expected)
        expected = balanced_accuracy_score(true, answers, sample_weight=weights)
        assert drawn["balanced_accuracy"][place] == pytest.approx(expected)


def test_a_sure_and_right_classifier_has_no_error_and_shares_as_sure_as_ten_days() -> None:
    """Probabilities of exactly 0 and 1; that one class is never there counts for nothing in the means."""
    part = of(classes(["a", "b"] * 120, [[1.0, 0, 0], [0, 1, 0]] * 120, ("a", "b", "never"), hourly(10)))
    ones = {"accuracy", "balanced_accuracy", "auc", "average_precision"}
    for name, metric in part.metrics.items():
        right = 1 if name in ones or name.startswith(("micro", "macro")) else 0
        near = 0.0 if name in {"auc", "average_precision", "log_loss", "brier", "calibration_error"} else 1 - 0.025**0.1
        ends = (1 - near, 1) if right else (0, near)
        assert (metric.value, metric.low, metric.high) == pytest.approx((right, *ends)), name
    assert part.metrics["auc"].note == "without never: no row, or every one, is of it"
    assert part.by_class["never"].metrics == {}
    assert set(part.by_class["never"].absent) == {"precision", "recall", "f1", "auc", "average_precision"}
    assert part.absent == {}


def test_a_classifier_that_knows_nothing_has_the_log_loss_of_chance() -> None:
    """Log K, whatever the truth, and areas of a guess."""
    metrics = of(classes(["a", "b", "c", "d"] * 60, [[0.25] * 4] * 240, ("a", "b", "c", "d"), hourly(10))).metrics
    assert metrics["log_loss"].value == pytest.approx(math.log(4))
    assert metrics["macro_f1"].value == pytest.approx(2 * 60 / (240 + 60) / 4)
    assert (metrics["auc"].value, metrics["average_precision"].value) == (0.5, 0.25)
    assert metrics["brier"].value == pytest.approx(0.75**2 + 3 * 0.25**2)


def test_one_class_present_has_rates_but_nothing_to_rank() -> None:
    part = of(classes(["a", "a"], [[0.9, 0.1], [0.4, 0.6]], ("a", "b")))
    assert part.absent == dict.fromkeys(
        ("auc", "average_precision"), "all rows are alike in their truth: nothing to rank"
    )
    assert part.metrics["accuracy"].value == 0.5
    assert part.metrics["balanced_accuracy"].value == 0.5
    assert part.metrics["macro_recall"].note == f"never true, counted as 0: b; {FEW.format(2)}"
    assert part.by_class["a"].absent["auc"] == "every row is of it"
    assert part.by_class["b"].absent["recall"] == "no row is of it"


def test_a_sure_error_and_an_unknown_class_cost_much_but_not_everything() -> None:
    """The log loss stays finite, and neither counts as right."""
    part = of(classes(["a", "z"], [[0.0, 1.0], [0.4, 0.6]], ("a", "b")))
    metrics = part.metrics
    assert metrics["log_loss"].value == pytest.approx(-math.log(LEAST_PROBABILITY))
    assert [metrics[name].value for name in ("accuracy", "error_rate", "macro_f1")] == [0, 1, 0]
    assert metrics["brier"].value == pytest.approx((2 + 0.16 + 0.36) / 2 / 2)
    assert part.confusion is not None
    assert (part.confusion.rows, part.confusion.other) == ([[0, 1], [0, 0]], [0, 1])


def test_rows_without_a_truth_are_left_out_and_counted() -> None:
    part = of(classes(["a", "", "b"], [[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]], ("a", "b")))
    assert (part.rows, part.left_out, part.metrics["accuracy"].value) == (2, 1, 1)
    nothing = of(classes(["", ""], [[0.9, 0.1]] * 2, ("a", "b")))
    assert (nothing.rows, nothing.left_out, nothing.metrics) == (0, 2, {})
    assert nothing.absent == {"all": "no row has a truth"}


def test_answers_that_are_no_numbers_give_reasons_and_no_metrics() -> None:
    part = of(classes(["a", "b"], [[math.nan, 0.1], [0.4, 0.6]], ("a", "b")))
    assert part.metrics == {}
    assert part.absent["accuracy"] == "1 of 2 answers are no finite numbers"
    assert (part.by_class, part.confusion) == ({}, None)


def test_a_single_row_is_judged() -> None:
    metrics = of(classes(["b"], [[0.25, 0.75]], ("a", "b"))).metrics
    assert metrics["accuracy"].value == 1
    assert metrics["log_loss"].value == pytest.approx(-math.log(0.75))
    assert metrics["calibration_error"].value == pytest.approx(0.25)


def test_very_many_classes_have_no_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classification, "MOST_CONFUSED", 1)
    assert of(classes(["a"], [[0.9, 0.1]], ("a", "b"))).confusion is None


def test_calibration_by_hand() -> None:
    """Said 0.75 four times, right three: no error. Said 0.95 twice, right once: 0.45 of two rows in six."""
    likely = [[0.75, 0.25]] * 4 + [[0.95, 0.05]] * 2
    part = of(classes(["a", "a", "a", "b", "a", "b"], likely, ("a", "b")))
    assert part.metrics["calibration_error"].value == pytest.approx(0.45 * 2 / 6)
    assert [(one.low, one.rows, one.right.value) for one in part.calibration] == [(0.7, 4, 0.75), (0.9, 2, 0.5)]
    assert [one.said for one in part.calibration] == pytest.approx([0.75, 0.95])
    assert part.calibration[0].right.low < 0.75 < part.calibration[0].right.high


def test_the_interval_of_the_calibration_error_holds_the_value() -> None:
    """Of a model that says what is true every resample errs more than the value: noise only adds to it."""
    draw = np.random.default_rng(0)
    sure = draw.uniform(0.5, 1, 2400)
    truth = np.where(draw.random(2400) < sure, "a", "b")
    judge = ClassJudge.of(names(*truth), np.stack([sure, 1 - sure], axis=1), ("a", "b"), hourly(100))
    metric = of(judge).metrics["calibration_error"]
    assert metric.low < metric.value < metric.high
    assert metric.value < 0.04


def test_of_very_many_rows_some_from_all_over_them_are_ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    """And every figure of it says so; a class that none of them is of has no area. Rates are those of all rows."""
    monkeypatch.setattr(rates, "MOST_RANKED", 0)
    monkeypatch.setattr(rates, "LEAST_RANKED", 5)
    truth = [
        "a",
        "b",
        "c",
        "b",
        "a",
        "b",
        "a",
        "b",
        "a",
    ]  # the first, third, fifth, seventh and last of them are ranked
    likely = [[0.8, 0.1, 0.1] if name == "a" else [0.1, 0.8, 0.1] for name in truth]
    part = of(classes(truth, likely, ("a", "b", "c")))
    assert part.metrics["auc"].value == pytest.approx((1 + 0.5) / 2)
    assert part.metrics["auc"].note.startswith("without b: no row, or every one, is of it; of 5 of 9 rows")
    assert part.by_class["b"].absent["auc"] == "no row, or every one, of 5 of 9 rows that are ranked is of it"
    assert part.metrics["accuracy"].value == pytest.approx(8 / 9)
    assert part.by_class["b"].rows == 4
