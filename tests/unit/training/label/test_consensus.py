"""Majority and Dawid-Skene: on the authors' own data, and on annotators drawn by a known law."""

from __future__ import annotations

import numpy as np
import pytest

from tests.packages import member
from training.data.label.annotations import Annotations, annotated
from training.data.label.consensus import Method, by_dawid_skene, consensus, majority
from training.data.label.dawid_skene import dawid_skene
from training.data.label.returns import returns
from training.data.label.tables import Names, read_wide

ANAESTHETISTS = """
1111111 3334334 1122122 2223121 2223222 2223322 1222111 3333433 2222223 2322223 4444444 2223343 1111111 2223212 1211111
1112111 1111111 1111111 2222221 2221322 2222222 2222221 2223222 2212222 1111111 1111111 2322222 1111111 1111111 1121121
1111111 3333233 1111111 2222222 2223232 4334343 2212232 2323233 3333432 1111111 1111111 1212111 2322222 1211111 2222222
"""
"""Forty-five patients: three labels of the first observer, then one of each of four others (their table 1)."""


def made(rows: list[str]) -> Annotations:
    """Annotations of one text for each item, a letter for each annotator, a point where there is none."""
    given = [(i, r, label) for i, row in enumerate(rows) for r, label in enumerate(row) if label != "."]
    item, annotator, label = (np.array(column) for column in zip(*given, strict=True))
    return annotated(
        [f"i{number}" for number in range(len(rows))], list("ABCDEFGH"[: len(rows[0])]), item, annotator, label
    )


def simulated(items: int, each: int, seed: int) -> tuple[Annotations, np.ndarray, np.ndarray]:
    """Eight annotators with confusions of their own, two of them bad; also the truths, and the confusions [R,K,K]."""
    random = np.random.default_rng(seed)
    right = np.array([0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.35, 0.3])
    confusion = np.stack([np.eye(3) * p + (1 - p) * random.dirichlet(np.ones(3) * 3, 3) for p in right])
    truth = random.choice(3, items, p=[0.5, 0.3, 0.2])
    item = np.repeat(np.arange(items), each)
    annotator = np.concatenate([random.choice(8, each, replace=False) for _ in range(items)])
    label = (random.random((len(item), 1)) > confusion[annotator, truth[item]].cumsum(axis=1)).sum(axis=1)
    names = [str(number) for number in range(items)], list("ABCDEFGH")
    return annotated(*names, item, annotator, label.astype(str)), truth, confusion


def test_the_majority_is_taken_and_a_tie_is_told() -> None:
    """A tie goes to the class that is more frequent among all labels."""
    found = majority(made(["aab", "ab.", "bbb", "..."]))
    assert found.label.tolist() == [0, 1, 1, -1]
    assert found.tied.tolist() == [False, True, False, False]
    assert found.posterior.tolist() == [[2 / 3, 1 / 3], [0.5, 0.5], [0, 1], [0, 0]]
    assert found.sure().tolist() == [2 / 3, 0.5, 1.0, 0.0]


def test_dawid_and_skenes_own_patients_give_their_figures() -> None:
    """Shares of the classes .40 .42 .11 .07 and the first observer's errors, as printed in their table 2."""
    patients = ANAESTHETISTS.split()
    observer = np.tile([0, 0, 0, 1, 2, 3, 4], len(patients))
    item, label = np.repeat(np.arange(45), 7), np.array([label for patient in patients for label in patient])
    found = dawid_skene(annotated([str(n) for n in range(1, 46)], list("12345"), item, observer, label))
    assert found.converged
    assert found.prior == pytest.approx([0.40, 0.42, 0.11, 0.07], abs=0.005)
    assert found.confusion[0, 0] == pytest.approx([0.89, 0.11, 0, 0], abs=0.005)
    assert found.confusion[0, 1] == pytest.approx([0.07, 0.88, 0.05, 0], abs=0.005)


@pytest.mark.parametrize("smoothing", [0.0, 1.0])
def test_what_is_maximised_never_falls(smoothing: float) -> None:
    for seed in range(5):
        found = dawid_skene(simulated(200, 4, seed)[0], smoothing=smoothing)
        assert found.converged
        assert np.diff(found.objective).min() > -1e-9
        assert found.objective[-1] > found.objective[0]


def test_without_smoothing_the_objective_is_the_likelihood_of_the_labels() -> None:
    """Computed label by label from the prior and confusions found."""
    one, _, _ = simulated(150, 4, seed=3)
    found = dawid_skene(one)
    assert found.objective[-1] == found.log_likelihood
    joint = np.tile(found.prior, (150, 1))
    for item, annotator, label in zip(one.item, one.annotator, one.label, strict=True):
        joint[item] *= np.nan_to_num(found.confusion[annotator, :, label])
    assert found.log_likelihood == pytest.approx(np.log(joint.sum(axis=1)).sum())
    assert found.posterior == pytest.approx(joint / joint.sum(axis=1, keepdims=True), abs=1e-5)


def test_known_confusions_are_found_again_and_beat_the_majority() -> None:
    one, truth, confusion = simulated(4000, 4, seed=1)
    found = dawid_skene(one)
    assert np.abs(found.prior - [0.5, 0.3, 0.2]).max() < 0.03
    assert np.abs(found.confusion - confusion).mean() < 0.02
    settled = by_dawid_skene(one)
    right, by_count = (settled.label == truth).mean(), (majority(one).label == truth).mean()
    assert right > by_count + 0.03
    assert found.accuracy() == pytest.approx((np.diagonal(confusion, axis1=1, axis2=2) * found.prior).sum(1), abs=0.05)
    assert abs(settled.sure().mean() - right) < 0.01  # as sure as it is right


def test_smoothing_keeps_few_labels_from_being_believed() -> None:
    """Without it nearly every item is certain, the wrong ones too: the log loss of the truth is far worse."""
    lost = {0.0: 0.0, 1.0: 0.0}
    for seed in range(10):
        one, truth, _ = simulated(60, 3, seed)
        for smoothing in lost:
            likely = dawid_skene(one, smoothing=smoothing).posterior[np.arange(60), truth]
            lost[smoothing] += -np.log(np.maximum(likely, 1e-12)).mean() / 10
    assert lost[1.0] < 0.6 * lost[0.0]


def test_an_item_without_labels_has_the_prior_and_no_label() -> None:
    one = made(["aa", "ab", "bb", "aa", ".."])
    found = by_dawid_skene(one)
    assert found.model is not None
    assert found.posterior[4] == pytest.approx(found.model.prior)
    assert found.label[4] == -1


def test_nothing_is_said_of_an_annotator_without_labels() -> None:
    found = dawid_skene(made(["aa.", "ab.", "bb."]), smoothing=1.0)
    assert np.isnan(found.confusion).all(axis=(1, 2)).tolist() == [False, False, True]
    assert np.isnan(found.accuracy()).tolist() == [False, False, True]


@pytest.mark.parametrize("smoothing", [0.0, 1.0])
@pytest.mark.parametrize("method", ["majority", "dawid-skene"])
def test_one_annotator_is_believed(method: Method, smoothing: float) -> None:
    """Also where a class is so frequent that all labels could be of it."""
    found = consensus(made(list("a" * 16 + "b" * 18 + "c" * 22)), method, smoothing=smoothing)
    assert np.bincount(found.label).tolist() == [16, 18, 22]
    assert found.sure() == pytest.approx(1.0)
    assert (found.model, found.alone) == (None, 0 if method == "majority" else 56)


def test_labels_that_nobody_compared_stay_and_teach_nothing() -> None:
    """One annotator labelled most items alone: the others' estimate is that of the items which two of them labelled."""
    both, alone = ["aa.", "ab.", "bb.", "aa.", "bb.", "a.a"], ["a..", "b..", "..c", "..b"] * 10
    found, compared = by_dawid_skene(made(both + alone)), by_dawid_skene(made([*both, "..c"]))
    assert [found.label[6 + place] for place in range(40)] == [0, 1, 2, 1] * 10
    assert found.posterior[:6] == pytest.approx(compared.posterior[:6])
    assert (found.alone, compared.alone) == (40, 1)


def test_one_against_one_is_a_tie_however_sure_the_model_is() -> None:
    one = made(["aa"] * 20 + ["bb"] * 5 + ["ab", "ba"])
    found = by_dawid_skene(one)
    assert found.sure()[-1] > 0.5 + 1e-6
    assert found.tied.tolist() == [False] * 25 + [True, True]
    reasons = {back.item: back.reason for back in returns(one, found, sure=0.0)}
    assert reasons == dict.fromkeys(["i25", "i26"], "several classes were given as often, annotators disagree")


def test_the_majority_of_the_diagnoses_is_what_pandas_counts() -> None:
    import pandas as pd

    path = member("pyirr==0.84.1.2", "pyirr/data/diagnoses.csv")
    table = pd.read_csv(path, index_col=0)
    found = majority(read_wide(path, Names(item="")))
    one = read_wide(path, Names(item=""))
    modes = table.mode(axis=1)
    alone = modes.iloc[:, 1:].isna().all(axis=1).to_numpy()
    assert found.tied.tolist() == (~alone).tolist()
    names = np.array(one.classes)[found.label]
    assert names[alone].tolist() == modes.loc[alone.tolist(), 0].tolist()


def test_dawid_skene_of_the_diagnoses_is_what_the_papers_equations_give() -> None:
    """Written down once more, patient by patient; each rater's diagnosis is that of 14 to 28 of the 30 in the end."""
    path = member("pyirr==0.84.1.2", "pyirr/data/diagnoses.csv")
    one = read_wide(path, Names(item=""))
    said = np.zeros((30, 6, 5))
    said[one.item, one.annotator, one.label] = 1.0
    posterior = said.mean(axis=1)
    for _ in range(50):
        prior = posterior.mean(axis=0)  # their equation 2.4
        errors = np.einsum("nk,nrl->rkl", posterior, said) / posterior.sum(axis=0)[None, :, None]  # 2.3
        joint = prior * np.prod(errors[None] ** said[:, :, None, :], axis=(1, 3))  # 2.5
        posterior = joint / joint.sum(axis=1, keepdims=True)
    found = dawid_skene(one)
    assert found.converged
    np.testing.assert_allclose(found.posterior, posterior, atol=1e-5)
    np.testing.assert_allclose(found.confusion, errors, atol=1e-5)
    assert found.log_likelihood == pytest.approx(-121.4986, abs=1e-3)
    assert found.prior * 30 == pytest.approx([3, 4, 7, 12, 4], abs=0.01)
    assert found.accuracy() * 30 == pytest.approx([14, 21, 28, 25, 23, 16], abs=0.02)
    settled = by_dawid_skene(one)  # smoothed, as by default
    assert np.bincount(settled.label).tolist() == [3, 4, 7, 12, 4]
    assert np.flatnonzero(settled.label != majority(one).label).tolist() == [1, 12, 19, 22]


def test_items_go_back_in_the_order_of_doubt_with_the_reason() -> None:
    one = made(["aaaa", "aaab", "aabb", "....", "a...", "bbbb"])
    found = returns(one, majority(one), sure=0.9, at_least=2)
    assert [back.item for back in found] == ["i3", "i2", "i1", "i4"]
    assert [back.reason for back in found] == [
        "nobody labelled it",
        "several classes were given as often, annotators disagree",
        "posterior below 0.9, annotators disagree",
        "1 of 2 labels",
    ]
    assert (found[1].entropy, found[1].posterior, found[1].labels) == (1.0, 0.5, {"a": 2, "b": 2})
    assert found[0].label == ""


def test_entropy_ranks_items_that_are_as_sure() -> None:
    one = made(["aaabbb", "aaabbc", "aaabcd"])
    assert [back.item for back in returns(one, majority(one), sure=0.9)] == ["i2", "i1", "i0"]
