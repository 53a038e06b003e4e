"""Agreement against published figures, scikit-learn and statsmodels."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa  # type: ignore[import-untyped]

from staytrue.errors import InvalidInput
from tests.packages import member
from training.data.label.agreement import agree
from training.data.label.alpha import Scale, alpha_by_class, alpha_without, alphas
from training.data.label.annotations import Annotations, annotated, in_order
from training.data.label.figures import Resampling
from training.data.label.kappa import NO_PAIR, ONE_CLASS, cohen, fleiss
from training.data.label.tables import Names, read_wide

POINT = Resampling(times=0)
KRIPPENDORFF = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
"""Four observers (rows) and twelve units, a point where one is missing: Krippendorff, 2011, section C."""


def made(*rows: str) -> Annotations:
    """Annotations of one text for each annotator, labels of items side by side."""
    given = [(i, r, label) for r, row in enumerate(rows) for i, label in enumerate(row.split()) if label != "."]
    items = [str(number) for number in range(len(rows[0].split()))]
    item, annotator, label = (np.array(column) for column in zip(*given, strict=True))
    return annotated(items, [f"r{number}" for number in range(len(rows))], item, annotator, label)


@pytest.fixture(scope="module")
def diagnoses() -> Annotations:
    """Thirty patients by six raters each (Fleiss, 1971)."""
    return read_wide(member("pyirr==0.84.1.2", "pyirr/data/diagnoses.csv"), Names(item=""))


def drawn(items: int, raters: int, classes: int, missing: float, seed: int) -> tuple[Annotations, np.ndarray]:
    """Raters who often say the truth; and their labels as a table, -1 where missing."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, (items, 1))
    said = np.where(random.random((items, raters)) < 0.7, truth, random.integers(0, classes, (items, raters)))
    said[random.random(said.shape) < missing] = -1
    item, annotator = np.nonzero(said >= 0)
    names = [str(number) for number in range(items)], [str(number) for number in range(raters)]
    return annotated(*names, item, annotator, said[item, annotator].astype(str)), said


def test_fleiss_kappa_of_the_diagnoses_is_the_published_one(diagnoses: Annotations) -> None:
    found = fleiss(diagnoses.counts(), diagnoses.classes, POINT)
    assert found.kappa.value == pytest.approx(0.430, abs=5e-4)
    published = {"1": 0.245, "2": 0.245, "3": 0.520, "4": 0.471, "5": 0.566}
    assert {name[0]: figure.value for name, figure in found.by_class.items()} == pytest.approx(published, abs=5e-4)


def test_fleiss_kappa_is_that_of_statsmodels(diagnoses: Annotations) -> None:
    for one in (diagnoses, drawn(200, 4, 3, 0.0, seed=1)[0]):
        assert fleiss(one.counts(), one.classes, POINT).kappa.value == pytest.approx(fleiss_kappa(one.counts()))


def test_fleiss_kappa_with_missing_labels_weighs_items_alike() -> None:
    """Three items, by hand: agreement 1, 1/3 and 0; shares a (1 + 2/3 + 1/2)/3."""
    found = fleiss(made("a a a", "a a b", ". b .").counts(), ("a", "b"), POINT)
    share = (1 + 2 / 3 + 1 / 2) / 3
    chance = share**2 + (1 - share) ** 2
    assert found.observed.value == pytest.approx(4 / 9)
    assert found.kappa.value == pytest.approx((4 / 9 - chance) / (1 - chance))
    assert found.by_class["a"].value == pytest.approx(found.kappa.value)  # with two classes there is one kappa


@pytest.mark.parametrize(("scale", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_krippendorffs_own(scale: Scale, published: float) -> None:
    assert alphas(made(*KRIPPENDORFF), scale, POINT)[scale].value == pytest.approx(published, abs=5e-4)


@pytest.mark.parametrize("scale", ["nominal", "ordinal", "interval"])
def test_alpha_is_what_its_definition_says_of_each_pair(scale: Scale) -> None:
    """Disagreement of all pairs within items over that of all pairs whatever, one by one, on 20 small sets."""
    for seed in range(20):
        one, said = drawn(12, 4, 4, 0.3, seed)
        units = [row[row >= 0] for row in said if (row >= 0).sum() > 1]
        pooled = np.concatenate(units)
        often = np.bincount(pooled, minlength=4)

        def apart(a: int, b: int, often: np.ndarray = often) -> float:
            low, high = sorted((a, b))
            ranks = often[low : high + 1].sum() - (often[low] + often[high]) / 2
            return float({"nominal": a != b, "ordinal": ranks**2, "interval": (a - b) ** 2}[scale])

        within = sum(sum(itertools.starmap(apart, itertools.permutations(u, 2))) / (len(u) - 1) for u in units)
        anywhere = sum(itertools.starmap(apart, itertools.permutations(pooled, 2))) / (len(pooled) - 1)
        assert alphas(one, scale, POINT)[scale].value == pytest.approx(1 - within / anywhere)


def test_alpha_of_an_interval_scale_asks_for_no_unit() -> None:
    """Numbers a thousand million apart, or nearly alike, agree as those of the example do."""
    for factor, offset in ((1e-9, 0.0), (1e9, 5e12)):
        rows = [" ".join("." if x == "." else str(float(x) * factor + offset) for x in r.split()) for r in KRIPPENDORFF]
        assert alphas(made(*rows), "interval", POINT)["interval"].value == pytest.approx(0.8491071428)


def test_alpha_by_class_is_that_of_the_class_against_all_others() -> None:
    one, said = drawn(60, 4, 3, 0.2, seed=2)
    for kind, figure in alpha_by_class(one, POINT).items():
        item, annotator = np.nonzero(said >= 0)
        binary = np.where(said[item, annotator] == int(kind), "yes", "no")
        alone = annotated(one.items, one.annotators, item, annotator, binary)
        assert figure.value == pytest.approx(alphas(alone, "nominal", POINT)["nominal"].value)


def test_alpha_without_an_annotator_is_that_of_the_others_alone() -> None:
    one, said = drawn(60, 5, 3, 0.3, seed=3)
    for number, figure in enumerate(alpha_without(one, "ordinal", POINT).values()):
        others = said.copy()
        others[:, number] = -1
        item, annotator = np.nonzero(others >= 0)
        rest = annotated(one.items, one.annotators, item, annotator, others[item, annotator].astype(str))
        assert figure.value == pytest.approx(alphas(rest, "ordinal", POINT)["ordinal"].value)


def test_cohens_kappas_are_those_of_scikit_learn() -> None:
    """On the items that both labelled, which differ from pair to pair."""
    one, said = drawn(80, 5, 4, 0.3, seed=4)
    found = cohen(one, POINT)
    expected = {}
    for first, second in itertools.combinations(range(5), 2):
        both = (said[:, first] >= 0) & (said[:, second] >= 0)
        expected[str(first), str(second)] = cohen_kappa_score(said[both, first], said[both, second])
        assert next(p.items for p in found.pairs if (p.first, p.second) == (str(first), str(second))) == both.sum()
    assert {(p.first, p.second): p.kappa.value for p in found.pairs} == pytest.approx(expected)
    assert found.mean.value == pytest.approx(np.mean(list(expected.values())))
    mine = [kappa for pair, kappa in expected.items() if "2" in pair]
    assert found.by_annotator["2"].value == pytest.approx(np.mean(mine))
    others = (np.delete(said, 2, axis=1) >= 0).any(axis=1)
    assert found.by_annotator["2"].items == (others & (said[:, 2] >= 0)).sum()


def test_the_raters_of_the_diagnoses_agree_in_pairs_as_scikit_learn_says(diagnoses: Annotations) -> None:
    """All thirty patients, each two of six raters; a rater's own figure is the mean of its five."""
    table = pd.read_csv(member("pyirr==0.84.1.2", "pyirr/data/diagnoses.csv"), index_col=0)
    found = cohen(diagnoses, POINT)
    expected = {(a, b): cohen_kappa_score(table[a], table[b]) for a, b in itertools.combinations(table.columns, 2)}
    assert {(p.first, p.second): p.kappa.value for p in found.pairs} == pytest.approx(expected)
    for rater, figure in found.by_annotator.items():
        assert figure.value == pytest.approx(np.mean([kappa for pair, kappa in expected.items() if rater in pair]))


def test_alpha_of_the_diagnoses_follows_from_fleiss_published_shares(diagnoses: Annotations) -> None:
    """0.433: of 180 labels in the published shares two differ by chance as often as drawn without putting back."""
    counts = np.array([26, 26, 30, 55, 43])
    assert np.round(counts / 180, 3).tolist() == [0.144, 0.144, 0.167, 0.306, 0.239]  # Fleiss, 1971, table 1
    apart = 1 - (counts * (counts - 1)).sum() / (180 * 179)
    observed = 1 - 0.5556  # the mean share of pairs of raters that agree, there
    found = alphas(diagnoses, "nominal", Resampling(times=300))["nominal"]
    assert found.value == pytest.approx(1 - observed / apart, abs=2e-4)
    assert found.low < found.value < found.high  # type: ignore[operator]


def test_the_interval_of_the_diagnoses_is_scipys_percentiles(diagnoses: Annotations) -> None:
    """Of Fleiss' kappa over patients drawn anew."""
    counts = diagnoses.counts()
    found = fleiss(counts, diagnoses.classes, Resampling(times=2000, seed=1)).kappa
    plain = stats.bootstrap(
        (np.arange(len(counts)),),
        lambda drawn: fleiss_kappa(counts[drawn]),
        n_resamples=2000,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.015)


def test_intervals_are_percentiles_over_items_drawn_anew() -> None:
    """Against items drawn one by one, and kappa by statsmodels; both know their ends to a standard error or two."""
    one = drawn(100, 3, 3, 0.0, seed=5)[0]
    found = fleiss(one.counts(), one.classes, Resampling(times=2000, seed=7)).kappa
    random, counts = np.random.default_rng(8), one.counts()
    plain = [fleiss_kappa(counts[random.integers(0, 100, 100)]) for _ in range(2000)]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.015)


def test_intervals_of_cohens_and_krippendorffs_hold_the_value_and_come_again_with_the_seed() -> None:
    one = drawn(60, 3, 3, 0.2, seed=6)[0]
    first, again, other = (agree(one, "ordinal", Resampling(times=300, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    figures = [first.cohen.mean, *(p.kappa for p in first.cohen.pairs), *first.alpha.values()]
    for figure in [*figures, *first.alpha_by_class.values(), *first.cohen.by_annotator.values()]:
        assert figure.value is not None
        assert figure.low is not None
        assert figure.high is not None
        assert -1 <= figure.low < figure.value < figure.high <= 1


def test_an_interval_covers_what_many_more_items_would_show() -> None:
    """Alpha of 20,000 items is the law's own; 95% intervals from 60 items hold it in most of 60 sets."""
    law = alphas(drawn(20_000, 3, 3, 0.2, seed=0)[0], "nominal", POINT)["nominal"].value
    held = 0
    for seed in range(1, 61):
        figure = alphas(drawn(60, 3, 3, 0.2, seed=seed)[0], "nominal", Resampling(times=300))["nominal"]
        held += figure.low <= law <= figure.high  # type: ignore[operator]
    assert held >= 51  # 57 expected; fewer than 51 has a chance below 1% at 95%


def test_the_odd_one_out_is_seen_by_annotator(diagnoses: Annotations) -> None:
    one, said = drawn(300, 4, 3, 0.0, seed=9)
    said[:, 3] = np.random.default_rng(1).integers(0, 3, 300)  # says anything
    item, annotator = np.nonzero(said >= 0)
    odd = annotated(one.items, one.annotators, item, annotator, said[item, annotator].astype(str))
    found = agree(odd, "nominal", Resampling(times=200)).by_annotator
    assert min(found, key=lambda name: found[name].with_majority.value or 0.0) == "3"
    assert max(found, key=lambda name: found[name].alpha_without.value or 0.0) == "3"
    assert found["3"].kappa.high < found["0"].kappa.low  # type: ignore[operator]
    assert agree(diagnoses, "nominal", POINT).by_annotator["rater4"].labels == 30


def test_agreement_with_the_majority_leaves_out_the_annotators_own_label() -> None:
    """r0 agrees with the two others on the first item, with one of two on the second, with none on the third."""
    found = agree(made("a a a b", "a b b .", "a a b ."), "nominal", POINT).by_annotator["r0"].with_majority
    assert found.value == pytest.approx((1 + 0.5 + 0) / 3)
    assert found.items == 3


def test_one_class_alone_gives_no_coefficient_and_says_why() -> None:
    found = agree(made("a a a", "a a a"), "nominal", Resampling(times=50))
    assert found.fleiss.observed.value == 1.0
    for figure in (found.fleiss.kappa, found.cohen.mean, found.cohen.pairs[0].kappa, found.alpha["nominal"]):
        assert (figure.value, figure.low, figure.note) == (None, None, ONE_CLASS)
    assert "no other one" in found.alpha_by_class["a"].note


@pytest.mark.parametrize(
    ("rows", "why"), [(("a b a",), "only one annotator"), (("a b . .", ". . a b"), NO_PAIR)], ids=["one", "apart"]
)
def test_one_annotator_or_none_in_common_gives_no_coefficient_and_says_why(rows: tuple[str, ...], why: str) -> None:
    found = agree(made(*rows), "nominal", Resampling(times=50))
    assert found.cohen.pairs == []
    assert found.cohen.mean.note == why
    for figure in (found.fleiss.kappa, found.alpha["nominal"], *found.alpha_by_class.values()):
        assert (figure.value, figure.note) == (None, NO_PAIR)
    assert found.by_annotator["r0"].with_majority.note == "nobody else labelled these items"


def test_draws_that_hold_one_class_alone_are_counted() -> None:
    rows = "a a a a a a a b", "a a a a a a a b"
    figure = alphas(made(*rows), "nominal", Resampling(times=200))["nominal"]
    assert figure.value == pytest.approx(1.0)
    assert figure.note.endswith("of 200 draws had no value")
    assert 0.25 < int(figure.note.split()[0]) / 200 < 0.45  # (7/8)^8 = 0.34 of them lack the b


def test_ordinal_alpha_follows_the_order_that_is_given() -> None:
    """Neighbours confused cost less than ends confused, whatever their names."""
    one = made("low mid high low mid high low", "mid mid high low high high low")
    right = alphas(in_order(one, ["low", "mid", "high"], others=False), "ordinal", POINT)["ordinal"].value
    wrong = alphas(in_order(one, ["mid", "low", "high"], others=False), "ordinal", POINT)["ordinal"].value
    assert right is not None
    assert wrong is not None
    assert right > wrong + 0.1


def test_an_interval_scale_of_names_is_refused() -> None:
    with pytest.raises(InvalidInput, match="scale interval: expected labels that are numbers, got 'a'"):
        agree(made("a 2", "1 2"), "interval", POINT)


def test_a_crowd_is_compared_in_bounded_time_and_space() -> None:
    """A thousand annotators, 15,000 labels: of some 15,000 pairs those with most items in common are looked at."""
    random = np.random.default_rng(0)
    item, annotator = np.repeat(np.arange(5000), 3), random.integers(0, 1000, 15_000)
    keys = np.unique(item * 1000 + annotator)
    item, annotator = keys // 1000, keys % 1000
    names = [str(number) for number in range(5000)], [str(number) for number in range(1000)]
    crowd = annotated(*names, item, annotator, random.integers(0, 3, len(item)).astype(str))
    found = cohen(crowd, Resampling(times=20))
    assert len(found.pairs) == 1000
    assert found.left_out > 10_000
    assert abs(fleiss(crowd.counts(), crowd.classes, POINT).kappa.value or 1.0) < 0.03  # drawn without agreement
