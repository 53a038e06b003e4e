"""Guideline files, and what is found where labels do not keep to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from staytrue.errors import InvalidConfig
from tests.packages import member
from training.data.label.alpha import alphas
from training.data.label.annotations import Annotations, annotated
from training.data.label.breaches import Breach, breaches
from training.data.label.consensus import majority
from training.data.label.figures import Figure, Resampling
from training.data.label.guideline import Guideline, load
from training.data.label.tables import Names, read_wide

if TYPE_CHECKING:
    from pathlib import Path

SURE = Figure(value=0.9)
POINT = Resampling(times=0)
CLASSES = "classes:\n  cat: {definition: it purrs}\n  dog: {definition: it barks}\n"


def written(folder: Path, text: str) -> Path:
    """A guideline file."""
    path = folder / "guideline.yaml"
    path.write_text(text)
    return path


def made(rows: list[str]) -> Annotations:
    """A word for each item, the labels of annotators ann, bob, cem; - where there is none."""
    names = {"c": "cat", "d": "dog", "b": "bird", "g": "dgo"}
    given = [(i, a, names[x]) for i, row in enumerate(rows) for a, x in enumerate(row) if x != "-"]
    item, annotator, label = (np.array(column) for column in zip(*given, strict=True))
    return annotated([f"x{n}" for n in range(len(rows))], ["ann", "bob", "cem"], item, annotator, label)


def found(rows: list[str], guideline: Guideline, alpha: Figure = SURE) -> list[Breach]:
    """Breaches of these labels."""
    one = made(rows)
    return breaches(one, majority(one), guideline, alpha)


def test_labels_that_keep_to_the_guideline_break_nothing(tmp_path: Path) -> None:
    text = CLASSES.replace("barks}", "barks, examples: [x1, elsewhere], max_share: 0.6, min_share: 0.4}")
    text += "rules: {annotators_per_item: 2, labels_to_judge: 2, min_agreement: 0.8, allowed: {cem: [dog]}}\n"
    assert found(["cc-", "ddd"], load(written(tmp_path, text))) == []


def test_labels_outside_the_guideline_and_classes_never_used_are_found(tmp_path: Path) -> None:
    assert found(["cb-", "cbg", "cc-"], load(written(tmp_path, CLASSES))) == [
        Breach(kind="unknown class", what="bird", found="2 labels by bob", count=2),
        Breach(kind="unknown class", what="dgo", found="1 labels by cem; did you mean 'dog'?"),
        Breach(kind="unused class", what="dog", found="nobody gave it", count=0),
    ]


def test_examples_whose_consensus_differs_are_found(tmp_path: Path) -> None:
    text = CLASSES.replace("purrs}", "purrs, examples: [x0, x1, x2, x9]}")
    breach = Breach(kind="example", what="x1", found='consensus is "dog", the guideline says "cat"')
    assert found(["cc-", "ddc", "---", "d--"], load(written(tmp_path, text))) == [breach]


def test_annotators_that_give_too_much_too_little_or_what_they_may_not_are_found(tmp_path: Path) -> None:
    """Of cem there are too few labels to judge shares by."""
    text = CLASSES.replace("purrs}", "purrs, min_share: 0.3, max_share: 0.8}")
    text += "rules: {labels_to_judge: 4, allowed: {cem: [cat], nobody: [dog]}}\n"
    assert found(["cdd", "cdd", "cd-", "cd-"], load(written(tmp_path, text))) == [
        Breach(kind="share", what="ann", found='1 of 4 labels are "cat", the guideline wants at most 0.8', count=4),
        Breach(kind="share", what="bob", found='0 of 4 labels are "cat", the guideline wants at least 0.3', count=4),
        Breach(kind="allowed classes", what="cem", found='gave "dog" 2 times, may give cat', count=2),
    ]


def test_items_with_too_few_annotators_are_counted(tmp_path: Path) -> None:
    guideline = load(written(tmp_path, CLASSES + "rules: {annotators_per_item: 2}\n"))
    text = "2 of 3 items have labels of fewer than 2 annotators"
    assert found(["cd-", "c--", "---"], guideline) == [
        Breach(kind="annotators per item", what="x1, x2", found=text, count=2)
    ]


@pytest.mark.parametrize(
    ("alpha", "text"),
    [
        (Figure(value=0.512), "alpha is 0.512, the guideline wants 0.7"),
        (Figure(value=None, note="only one annotator"), "alpha has no value: only one annotator, the guideline wants"),
    ],
)
def test_too_little_agreement_is_found(tmp_path: Path, alpha: Figure, text: str) -> None:
    guideline = load(written(tmp_path, CLASSES + "rules: {min_agreement: 0.7}\n"))
    only = found(["cd-"], guideline, alpha)
    assert [one.kind for one in only] == ["agreement"]
    assert only[0].found.startswith(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("classes: {a: {definition: x}}\n", r"guideline\.yaml:1 classes: expected a mapping.*at least 2"),
        (CLASSES + "rule: {}\n", r"guideline\.yaml:4 rule: unknown key; did you mean 'rules'"),
        (CLASSES.replace("definition: it barks", ""), r":3 classes\.dog\.definition: is missing"),
        (CLASSES.replace("barks}", "barks, min_share: 0.5, max_share: 0.2}"), "min_share 0.5 is above max_share 0.2"),
        ("clases:\n  a: {definition: x}\n", r"guideline\.yaml:1 clases: unknown key; did you mean 'classes'"),
        (CLASSES.replace("definition: it barks", "defintion: it barks"), r":3 .*defintion: .*mean 'definition'"),
        (
            CLASSES + "rules: {allowed: {ann: [bird]}}\n",
            'rules.allowed of "ann" names "bird", which is no class; classes: ',
        ),
        (CLASSES + "rules: {allowed: {ann: [dogs]}}\n", "which is no class; did you mean 'dog'"),
        (
            CLASSES.replace("purrs}", "purrs, examples: [x]}").replace("barks}", "barks, examples: [x]}"),
            'item "x" is an example of "cat" and of "dog"',
        ),
        ("classes:\n  1: {definition: x}\n  b: {definition: y}\n", r"write it in quotes"),
        (CLASSES + "classes: {}\n", r"guideline\.yaml:4: key 'classes' stands there twice"),
        ("- a\n", "expected a mapping of sections, got a list of 1; docs/labels.md shows one"),
        ("a: [\n", "is not YAML"),
    ],
)
def test_a_guideline_that_is_wrong_says_where(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidConfig, match=told):
        load(written(tmp_path, text))
    with pytest.raises(InvalidConfig, match=r"cannot be read: No such file .*; docs/labels\.md shows one"):
        load(tmp_path / "none.yaml")


def test_the_diagnoses_break_a_guideline_by_as_much_as_pandas_counts(tmp_path: Path) -> None:
    """It knows of no "Other", wants a seventh rater and more agreement, and lets rater 1 say nothing but neurosis."""
    path = member("pyirr==0.84.1.2", "pyirr/data/diagnoses.csv")
    table = pd.read_csv(path, index_col=0)
    names = ["1. Depression", "2. Personality Disorder", "3. Schizophrenia", "4. Neurosis"]
    text = "classes:\n" + "".join(f"  {name}: {{definition: see the manual}}\n" for name in names)
    text += "rules: {annotators_per_item: 7, min_agreement: 0.667, allowed: {rater1: [4. Neurosis]}}\n"
    one = read_wide(path, Names(item=""))
    broken = breaches(one, majority(one), load(written(tmp_path, text)), alphas(one, "nominal", POINT)["nominal"])
    others, first = int((table == "5. Other").sum().sum()), table["rater1"].value_counts()
    assert others == 43  # the share of 0.239 that Fleiss published, of 180
    assert [(breach.kind, breach.count) for breach in broken] == [
        ("unknown class", others),
        *(("allowed classes", int(first[name])) for name in names[:3] if name in first),
        ("annotators per item", len(table)),
        ("agreement", 1),
    ]
    assert broken[-1].found == "alpha is 0.433, the guideline wants 0.667"
