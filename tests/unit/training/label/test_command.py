"""``staytrue label``: figures on the terminal, files in a folder, and the exit code."""

from __future__ import annotations

import contextlib
import csv
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pandas as pd
import pytest

from staytrue.command import main
from staytrue.labelling import LabellingSection
from tests.packages import member
from training.data.label.chapter import chapter
from training.data.label.report import LabelReport
from training.data.label.settling import PARTS, settle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from training.progress import Advance

GUIDELINE = """
question: Which of these does the patient have?
classes:
  1. Depression: {definition: low spirits, examples: ["18"], max_share: 0.5}
  2. Personality Disorder: {definition: see the manual}
  3. Schizophrenia: {definition: see the manual}
  4. Neurosis: {definition: see the manual, examples: ["1"]}
  5. Other: {definition: none of the above}
rules: {annotators_per_item: 6}
"""


@pytest.fixture
def diagnoses() -> Path:
    """Thirty patients by six raters, a column for each."""
    return member("pyirr==0.84.1.2", "pyirr/data/diagnoses.csv")


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV file that was written."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_diagnoses_are_settled_and_written(
    diagnoses: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "guideline.yaml").write_text(GUIDELINE)
    output = tmp_path / "out"
    arguments = ["--item", "", "--guideline", str(tmp_path / "guideline.yaml"), "--output", str(output)]
    assert main(["label", str(diagnoses), *arguments]) == 0
    told = capsys.readouterr().out
    assert "6 annotators gave 30 items 180 labels of 5 classes" in told
    assert "Fleiss' kappa                  0.430" in told
    assert "annotators hardly agree: alpha 0.433 is below 0.667" in told
    labels = rows(output / "labels.csv")
    assert [row["item"] for row in labels] == [str(number) for number in range(1, 31)]
    assert {**labels[0], "posterior": ""} == {
        "item": "1",
        "label": "4. Neurosis",
        "posterior": "",
        "labels": "6",
        "tied": "0",
    }
    assert 0.99 < float(labels[0]["posterior"]) <= 1
    back = rows(output / "send_back.csv")
    unanimous = {"1", "4", "10", "21", "30"}
    assert {row["item"] for row in back} == {row["item"] for row in labels} - unanimous
    assert [row["rank"] for row in back] == [str(number) for number in range(1, 26)]
    report = msgspec.json.decode((output / "report.json").read_bytes(), type=LabelReport)
    assert report.agreement.fleiss.kappa.value == pytest.approx(0.430, abs=5e-4)
    assert (report.items, report.labels, report.returns, report.breaches) == (30, 180, 25, [])
    assert not (output / "suspects.csv").exists()


def test_a_broken_guideline_ends_with_1_and_says_so(
    diagnoses: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "guideline.yaml"
    path.write_text(GUIDELINE.replace("max_share: 0.5", "max_share: 0.4"))
    output = tmp_path / "out"
    assert main(["label", str(diagnoses), "--item", "", "--guideline", str(path), "--output", str(output)]) == 1
    told = capsys.readouterr().out
    assert '0.433 of 30 labels are "1. Depression", the guideline wants at most 0.4' in told
    assert f"the labels break the guideline {path}: 1 findings above" in told
    assert json.loads((output / "report.json").read_bytes())["breaches"][0]["what"] == "rater1"


def test_suspects_are_looked_for_where_there_are_features(tmp_path: Path) -> None:
    """Two numbers tell the class; one item of each class is labelled wrong by all, and one has no features."""
    random = np.random.default_rng(0)
    truth = np.repeat([0, 1], 40)
    points = np.stack([truth * 6 + random.normal(size=80), random.normal(size=80)], axis=1)
    said = truth.copy()
    said[[3, 50]] = 1 - said[[3, 50]]
    names = [f"i{number}" for number in range(81)]
    who = {name: [*np.array(["no", "yes"])[said], "no"] for name in ("ann", "bob", "cem")}
    pd.DataFrame({"item": names, **who}).to_csv(tmp_path / "labels.csv", index=False)
    pd.DataFrame({"item": names[:80], "x": points[:, 0], "y": points[:, 1]}).to_csv(
        tmp_path / "points.csv", index=False
    )
    arguments = ["--features", str(tmp_path / "points.csv"), "--learner", "logistic", "--resamples", "50"]
    assert main(["label", str(tmp_path / "labels.csv"), *arguments, "--output", str(tmp_path / "out")]) == 0
    found = rows(tmp_path / "out" / "suspects.csv")
    assert {(row["item"], row["label"], row["suggested"]) for row in found[:2]} == {
        ("i3", "yes", "no"),
        ("i50", "no", "yes"),
    }
    report = msgspec.json.decode((tmp_path / "out" / "report.json").read_bytes(), type=LabelReport)
    assert report.suspicion is not None
    assert (report.suspicion.judged, report.suspicion.left_out) == (80, 1)
    assert "Suspected label errors" in [table.title for table in chapter(report).tables]
    assert "1 items have no features" in " ".join(chapter(report).warnings)


@pytest.mark.parametrize("method", ["dawid-skene", "majority"])
def test_a_chapter_has_a_cell_for_each_column(diagnoses: Path, method: str) -> None:
    settings = LabellingSection.model_validate({"item": "", "consensus": method, "resamples": 20})
    told = chapter(settle(diagnoses, settings).report)
    titles = [table.title for table in told.tables]
    assert titles[:4] == ["Agreement", "Classes", "Annotators", "Pairs of annotators"]
    learnt = "learnt from the labels of all items, those of a later test part too, and from no feature"
    assert (learnt in told.tables[1].note) == (method == "dawid-skene")
    assert ("Confusion of rater1" in titles) == (method == "dawid-skene")
    assert titles[-1] == "Items to send back"
    for table in told.tables:
        assert {len(row) for row in table.rows} == {len(table.columns)}, table.title


def test_what_may_take_long_is_watched_and_comes_to_its_end(diagnoses: Path, tmp_path: Path) -> None:
    """Each annotator and each fold moves the bar on."""
    seen: dict[str, list[int | None]] = {}

    @contextlib.contextmanager
    def watch(name: str, units: int | None = None, /) -> Iterator[Advance]:
        seen[name] = [units, 0]
        yield lambda count: seen[name].__setitem__(1, (seen[name][1] or 0) + count)

    table = pd.read_csv(diagnoses, index_col=0)
    features = table.assign(item=[str(number) for number in range(1, 31)])[["item", "rater1", "rater2"]]
    features.to_csv(tmp_path / "features.csv", index=False)
    given = {"item": "", "resamples": 20, "features": tmp_path / "features.csv", "folds": 2, "learner": "logistic"}
    settle(diagnoses, LabellingSection.model_validate(given), watch=watch)
    assert seen == {"annotations": [None, 0], "agreement": [11, 11], "consensus": [None, 0], "suspects": [3, 3]}
    assert len(seen) == PARTS


@pytest.mark.parametrize("layout", ["long", "label-studio"])
def test_the_diagnoses_come_out_alike_in_every_layout(diagnoses: Path, tmp_path: Path, layout: str) -> None:
    table = pd.read_csv(diagnoses, index_col=0)
    long = table.reset_index(names="item").melt("item", var_name="annotator", value_name="label")
    path = tmp_path / "labels.csv"
    if layout == "long":
        long.sample(frac=1, random_state=0).to_csv(path, index=False)
    else:
        path = tmp_path / "export.json"
        tasks = [
            {
                "id": str(item),
                "annotations": [
                    {"completed_by": who, "result": [{"from_name": "d", "value": {"choices": [label]}}]}
                    for who, label in row.items()
                ],
            }
            for item, row in table.iterrows()
        ]
        path.write_text(json.dumps(tasks))
    found = settle(path, LabellingSection(resamples=0)).report
    wide = settle(diagnoses, LabellingSection(item="", resamples=0)).report
    assert found.agreement.fleiss.kappa.value == pytest.approx(0.430, abs=5e-4)
    assert found.agreement.alpha["nominal"].value == pytest.approx(wide.agreement.alpha["nominal"].value)
    pairs = {frozenset((p.first, p.second)): p.kappa.value for p in wide.agreement.cohen.pairs}
    assert {frozenset((p.first, p.second)): p.kappa.value for p in found.agreement.cohen.pairs} == pytest.approx(pairs)
    assert found.consensus.items == wide.consensus.items
    assert found.consensus.log_likelihood == pytest.approx(wide.consensus.log_likelihood)


def test_a_silent_annotator_one_class_and_a_name_of_the_guideline_alone_are_told(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("item,ann,bob\nx,a,\ny,a,\n")
    classes = "classes: {a: {definition: one}, b: {definition: two}}\n"
    (tmp_path / "guideline.yaml").write_text(classes + "rules: {allowed: {an: [a]}}\n")
    settings = LabellingSection(guideline=tmp_path / "guideline.yaml")
    report = settle(tmp_path / "labels.csv", settings).report
    assert (report.consensus.method, report.consensus.confusion) == ("majority", {})
    assert report.agreement.by_annotator["bob"].labels == 0
    told = chapter(msgspec.json.decode(msgspec.json.encode(report), type=LabelReport))
    assert "the guideline names annotators who gave no label: an" in told.warnings


def test_lists_of_flags_are_words_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("item,ann,bob\nx,low,mid\ny,high,NA\nz,low,low\n")
    flags = ["--missing", "NA", "?", "--scale", "ordinal", "--order", "low", "mid", "high"]
    assert main(["label", str(path), *flags, "--output", str(tmp_path / "out")]) == 0
    assert "5 labels of 3 classes" in capsys.readouterr().out


def test_help_brings_in_nothing_heavy() -> None:
    code = (
        "import sys, training.data.label.commands; print({'sklearn', 'duckdb', 'scipy', 'pyarrow'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


def test_labels_of_one_annotator_are_settled_and_told_to_have_no_agreement(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("item,annotator,label\nx,ann,a\ny,ann,b\n")
    report = settle(path, LabellingSection()).report
    disagreement, taken = chapter(report).warnings
    assert disagreement == "agreement cannot be told: no item has labels of two annotators"
    assert taken.startswith("no item has labels of two annotators, from which Dawid-Skene would learn")
    assert "consensus by majority" in chapter(report).summary
    assert report.consensus.items == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["label"], "staytrue label: ANNOTATIONS: expected a file of annotations, got none; name it"),
        (["rate", "--steps", "1"], "staytrue rate: --lowest, --highest, --steps: expected 0 < --lowest"),
    ],
)
def test_a_complaint_says_the_command_once(
    command: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(command) == 2
    assert capsys.readouterr().err.startswith(told)


def test_a_projects_section_counts_where_no_flag_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Paths in it mean its own folder; STAYTRUE_LABELLING_... wins over it."""
    (tmp_path / "labels.csv").write_text("doc,ann,bob\nx,1,1\ny,2,3\nz,3,3\n")
    (tmp_path / "staytrue.yaml").write_text(
        "name: toy\ndata: {source: a.csv, time: t, target: y, features: {x: {kind: numeric}}}\n"
        "labelling: {annotations: labels.csv, item: doc, scale: interval, resamples: 10}\n"
    )
    arguments = ["--project", str(tmp_path / "staytrue.yaml"), "--output", str(tmp_path / "out")]
    assert main(["label", *arguments]) == 0
    assert "Krippendorff's alpha, interval" in capsys.readouterr().out
    monkeypatch.setenv("STAYTRUE_LABELLING_CONSENSUS", "majority")
    monkeypatch.chdir(tmp_path)
    assert main(["label", "--scale", "ordinal"]) == 0
    told = capsys.readouterr().out
    assert "consensus by majority" in told
    assert "alpha, interval" not in told


def test_without_a_file_or_with_a_wrong_flag_it_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["label"]) == 2
    assert "expected a file of annotations, got none" in capsys.readouterr().err
    assert main(["label", str(tmp_path / "none.csv"), "--scale", "nominall"]) == 2
    assert "did you mean 'nominal'?" in capsys.readouterr().err
    assert main(["label", str(tmp_path / "none.csv"), "--output", str(tmp_path)]) == 1
    assert "none.csv: is no file" in capsys.readouterr().err


def test_label_studios_export_is_settled_on_an_ordinal_scale(tmp_path: Path) -> None:
    """The guideline gives the order, and its classes that nobody gave are there."""
    given = {"ann": ["low", "mid", "mid", "low"], "bob": ["low", "mid", "low", "low"]}
    tasks = [
        {
            "id": number,
            "annotations": [
                {"completed_by": {"email": who}, "result": [{"from_name": "q", "value": {"choices": [said[number]]}}]}
                for who, said in given.items()
            ],
        }
        for number in range(4)
    ]
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    classes = "\n".join(f"  {name}: {{definition: {name}}}" for name in ("low", "mid", "high"))
    (tmp_path / "guideline.yaml").write_text(f"classes:\n{classes}\n")
    settings = LabellingSection(scale="ordinal", guideline=tmp_path / "guideline.yaml")
    report = settle(tmp_path / "export.json", settings).report
    assert list(report.classes.items()) == [("low", 5), ("mid", 3), ("high", 0)]
    assert list(report.agreement.alpha) == ["nominal", "ordinal"]
    assert [(one.kind, one.what) for one in report.breaches] == [("unused class", "high")]
