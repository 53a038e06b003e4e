"""Chapter: what a report of labels tells people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.data.chapters import Chapter, Table, many

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.data.chapters import Cell
    from training.data.label.figures import Figure
    from training.data.label.report import LabelReport, Settled

RELIABLE, TENTATIVE = 0.8, 0.667
"""Alpha from which conclusions may be drawn, and below which none should.

Source: Krippendorff, 2004, "Content Analysis", chapter 11.
"""
SHOWN = 20
LEARNT = (
    " How annotators err is learnt from the labels of all items, those of a later test part too, and from no feature: "
    "it makes truths, and tells a model nothing of them."
)
CONFUSIONS = 12
"""Annotators whose confusions are shown; more would fill pages."""


def chapter(report: LabelReport) -> Chapter:
    """The chapter of a report."""
    settled = report.consensus
    summary = (
        f"{many(report.annotators, 'annotator')} gave {many(report.items, 'item')} {many(report.labels, 'label')} of "
        f"{many(len(report.classes), 'class', 'classes')}; consensus by {settled.method}, "
        f"{many(report.returns, 'item')} to send back."
    )
    tables = [
        _coefficients(report),
        _classes(report),
        _annotators(report),
        *_pairs(report),
        *_confusions(report),
        *_returns(report),
        *_suspects(report),
        *_breaches(report),
    ]
    return Chapter(title="Labels", summary=summary, tables=tables, warnings=list(_warnings(report)))


def cells(figure: Figure) -> list[Cell]:
    """Value, low, high and note."""
    return [figure.value, figure.low, figure.high, figure.note]


def _coefficients(report: LabelReport) -> Table:
    agreement = report.agreement
    named = {
        "observed agreement": agreement.fleiss.observed,
        "Fleiss' kappa": agreement.fleiss.kappa,
        "mean of Cohen's kappas": agreement.cohen.mean,
        **{f"Krippendorff's alpha, {scale}": figure for scale, figure in agreement.alpha.items()},
    }
    return Table(
        title="Agreement",
        columns=["coefficient", "value", "low", "high", "note", "items"],
        rows=[[name, *cells(figure), figure.items] for name, figure in named.items()],
        note=f"95% percentile intervals over items, {report.resamples} draws, seed {report.seed}. Of alpha: from "
        f"{RELIABLE} conclusions may be drawn, below {TENTATIVE} none should.",
    )


def _classes(report: LabelReport) -> Table:
    agreement, settled = report.agreement, report.consensus
    rows: list[list[Cell]] = []
    for name, labels in report.classes.items():
        kappa, alpha = agreement.fleiss.by_class[name], agreement.alpha_by_class[name]
        prior = settled.prior.get(name)
        rows.append([name, labels, settled.items[name], prior, kappa.value, kappa.low, kappa.high, *cells(alpha)])
    columns = ["class", "labels", "items", "prior", "kappa", "kappa low", "kappa high"]
    return Table(
        title="Classes",
        columns=[*columns, "alpha", "alpha low", "alpha high", "note"],
        rows=rows,
        note="Each class against all others together: Fleiss' kappa and nominal alpha. Items: by the consensus."
        + (LEARNT if settled.prior else ""),
    )


def _annotators(report: LabelReport) -> Table:
    rows: list[list[Cell]] = []
    for name, one in report.agreement.by_annotator.items():
        found = report.consensus.confusion.get(name)
        with_others, kappa, without = one.with_majority, one.kappa, one.alpha_without
        accuracy = found.accuracy if found else None
        rows.append([name, one.labels, *cells(with_others)[:3], kappa.value, kappa.low, kappa.high])
        rows[-1] += [without.value, without.low, without.high, accuracy, with_others.note]
    columns = ["annotator", "labels", "with majority", "low", "high", "kappa", "kappa low", "kappa high"]
    return Table(
        title="Annotators",
        columns=[*columns, "alpha without", "alpha low", "alpha high", "accuracy", "note"],
        rows=rows,
        note="With majority: share of labels that most of the others gave too. Kappa: mean of Cohen's with each other "
        "one. Alpha without: of all others; larger than that of all where this one is unlike them. Accuracy: as "
        "Dawid and Skene estimate it.",
    )


def _pairs(report: LabelReport) -> Iterator[Table]:
    cohen = report.agreement.cohen
    worst = sorted(cohen.pairs, key=lambda pair: (pair.kappa.value is None, pair.kappa.value or 0.0))[:SHOWN]
    left_out = f" {cohen.left_out} pairs with the fewest items in common were not looked at." if cohen.left_out else ""
    if worst:
        yield Table(
            title="Pairs of annotators",
            columns=["first", "second", "items", "same", "kappa", "low", "high", "note"],
            rows=[[pair.first, pair.second, pair.items, pair.observed, *cells(pair.kappa)] for pair in worst],
            note=f"Cohen's kappa, the {len(worst)} lowest of {len(cohen.pairs)}.{left_out}",
        )


def _confusions(report: LabelReport) -> Iterator[Table]:
    found = sorted(report.consensus.confusion.items(), key=lambda one: one[1].accuracy or 0.0)
    for name, one in found[:CONFUSIONS]:
        yield Table(
            title=f"Confusion of {name}",
            columns=["class", *report.classes],
            rows=[[kind, *row] for kind, row in zip(report.classes, one.confusion, strict=True)],
            note="Probability of each label to an item of the row's class, by Dawid and Skene.",
        )


def _returns(report: LabelReport) -> Iterator[Table]:
    if report.first_returns:
        rows: list[list[Cell]] = [
            [one.item, one.label, one.posterior, one.entropy, told(one.labels), one.reason]
            for one in report.first_returns
        ]
        yield Table(
            title="Items to send back",
            columns=["item", "label", "posterior", "entropy", "labels", "reason"],
            rows=rows,
            note=f"The first {len(rows)} of {report.returns}. Entropy of the labels in bits.",
        )


def _suspects(report: LabelReport) -> Iterator[Table]:
    suspicion = report.suspicion
    if suspicion is not None:
        rows: list[list[Cell]] = [
            [one.item, one.given, one.suggested, one.given_probability, one.suggested_probability]
            for one in suspicion.first
        ]
        left_out = f" {suspicion.left_out} items have no features." if suspicion.left_out else ""
        yield Table(
            title="Suspected label errors",
            columns=["item", "label", "suggested", "its probability", "suggested's"],
            rows=rows,
            note=f"The first {len(rows)} of {suspicion.found} among {suspicion.judged} items, by a {suspicion.learner} "
            f"that never saw the label it judges ({suspicion.folds} folds).{left_out}",
        )


def _breaches(report: LabelReport) -> Iterator[Table]:
    if report.guideline:
        yield Table(
            title="Guideline",
            columns=["broken", "what", "found"],
            rows=[[one.kind, one.what, one.found] for one in report.breaches],
            note=f"{report.guideline}: {'broken' if report.breaches else 'the labels keep to it'}.",
        )


def _warnings(report: LabelReport) -> Iterator[str]:
    alpha = report.agreement.alpha[report.agreement.scale]
    if alpha.value is None:
        yield f"agreement cannot be told: {alpha.note}"
    elif alpha.value < TENTATIVE:
        yield f"annotators hardly agree: alpha {alpha.value:.3f} is below {TENTATIVE}"
    yield from _unsettled(report.consensus)
    if report.unheard:
        yield f"the guideline names annotators who gave no label: {', '.join(report.unheard)}"
    if report.breaches:
        yield f"the labels break the guideline in {len(report.breaches)} ways"
    if report.suspicion is not None and report.suspicion.left_out:
        yield f"{report.suspicion.left_out} items have no features, so nothing is known of their labels"


def _unsettled(settled: Settled) -> Iterator[str]:
    """What the consensus could not tell."""
    if settled.unlabelled:
        yield f"{settled.unlabelled} items have no label"
    if settled.tied:
        yield f"{settled.tied} items are tied, as several classes were given as often: have them labelled once more"
    if settled.alone and settled.method == "majority":
        yield (
            "no item has labels of two annotators, from which Dawid-Skene would learn how each of them errs: every "
            "label was taken as it was given; have some items labelled twice"
        )
    elif settled.alone:
        yield f"{settled.alone} items have the label of one annotator, which was taken as it was given"
    if not settled.converged:
        yield f"Dawid-Skene did not settle within {settled.steps} steps"


def told(labels: dict[str, int]) -> str:
    """Labels of an item in words.

    >>> told({"cat": 2, "dog": 1})
    'cat 2, dog 1'
    """
    return ", ".join(f"{name} {count}" for name, count in labels.items())
