"""Partition: a run refuses leakage, or tells of what was let through, in its records and in the model card."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from export.card import card
from staytrue.errors import InvalidConfig, InvalidInput
from staytrue.feature import Feature
from staytrue.project import Project, load
from staytrue.splitting import SplitSection
from staytrue.store import Store
from training import checkpoint as checkpoints
from training.data.rows import Rows
from training.data.split.partition import chapter, partition, warnings_of
from training.data.split.plan import Split
from training.prepare import prepare
from training.retrain import publish_run
from training.run import train

if TYPE_CHECKING:
    from pathlib import Path

YAML = """
name: toy
data:
  source: toy.csv
  time: at
  target: y
  features: {{x: {{kind: numeric}}, z: {{kind: numeric}}}}
split: {split}
model: {{width: 4, depth: 1}}
training: {{epochs: 1}}
export: {{formats: [onnx], max_batch: 8}}
"""
X = {"x": Feature(kind="numeric")}


def written(folder: Path, split: str) -> Project:
    """Two hundred rows of hundred people, each of whom stands there twice with the same features."""
    draw = np.random.default_rng(0)
    values = draw.normal(size=(100, 2))
    lines = ["at,x,z,y,who,part"]
    for place in range(200):
        x, z = values[place % 100]
        part = "train" if place < 120 else "validation" if place < 170 else "test"
        lines.append(
            f"2024-01-{1 + place // 10:02d}T{place % 10:02d}:00:00,{x:.6f},{z:.6f},{x + z:.6f},p{place % 100},{part}"
        )
    (folder / "toy.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "staytrue.yaml").write_text(YAML.format(split=split), encoding="utf-8")
    return load(folder / "staytrue.yaml")


def test_a_run_with_leakage_does_not_begin(tmp_path: Path) -> None:
    """No folder of a run is made, and the message says what lets it through."""
    project = written(tmp_path, "{method: random, group: who}")
    with pytest.raises(
        InvalidInput, match=r"split: .*test rows have the features.*split\.allow: \[duplicates, groups\]"
    ):
        train(project)
    assert not project.retraining.runs.exists()


def test_groups_keep_copies_together(tmp_path: Path) -> None:
    """The column of the groups is no feature, and need not be one."""
    prepared = prepare(written(tmp_path, "{method: grouped, group: who}"))
    assert set(prepared.rows.columns) == {"x", "z"}
    who = prepared.rows.marks["who"]
    owners = [set(who[part]) for part in prepared.split.parts.values()]
    assert sum(map(len, owners)) == len(set.union(*owners)) == 100


def test_what_was_let_through_is_in_record_split_and_card(tmp_path: Path) -> None:
    """Method, seed and indices are in split.json; the same sentence stands everywhere, and is said."""
    project = written(tmp_path, "{method: random, seed: 3, allow: [duplicates]}")
    said: list[str] = []
    folder = train(project, say=said.append)
    split = msgspec.json.decode((folder / checkpoints.SPLIT).read_bytes(), type=Split)
    assert (split.method, split.seed, sum(map(len, split.parts.values()))) == ("random", 3, 200)
    assert [sentence.split(" rows have")[0].split(" of ")[1] for sentence in split.let_through] == [
        "40 validation",
        "20 test",
        "20 test",
    ]
    bundle = publish_run(Store(project.store), folder, project)
    assert bundle.lineage.let_through == split.let_through
    for sentence in split.let_through:
        assert f"split: let through: {sentence}" in said
        assert f"**Let through by `split.allow`: {sentence}.**" in card(bundle)
    report = json.loads((folder / checkpoints.DATA).read_text())["split"]
    assert [finding["verdict"] for finding in report["leakage"] if finding["kind"] == "duplicates"] == [
        "let through"
    ] * 3


def test_given_parts_come_from_a_column_of_the_source(tmp_path: Path) -> None:
    """They are older and newer here, and hold copies of each other."""
    project = written(tmp_path, "{method: given, column: part, allow: [duplicates]}")
    assert {name: len(part) for name, part in prepare(project).split.parts.items()} == {
        "train": 120,
        "validation": 50,
        "test": 30,
    }


def test_a_column_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With those that there are."""
    with pytest.raises(InvalidConfig, match=r'no column "whom".*there are at, x, z, y, who, part'):
        prepare(written(tmp_path, "{method: grouped, group: whom}"))


def shifted() -> Rows:
    """A thousand rows whose last tenth is another's."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=1000).astype(np.float32)
    x[900:] += 2
    return Rows(np.arange(0.0, 3.6e6, 3600.0, dtype=np.float64), {"x": x}, draw.normal(size=1000))


def test_the_chapter_tells_shares_leakage_and_what_differs() -> None:
    """In one sentence, two tables and a warning."""
    _, report = partition(shifted(), SplitSection(method="time"), X)
    told = chapter(report)
    assert (
        told.summary == "1000 rows by method time, seed 0: 700 train (70.0%), 200 validation (20.0%), 100 test (10.0%)."
    )
    assert told.warnings == warnings_of(report) == ["1 of 2 columns differ between train and test: x"]
    leakage, alikeness = told.tables
    assert [row[6] for row in leakage.rows if row[0] == "time"] == ["none"] * 3
    assert [row[6] for row in alikeness.rows] == ["alike", "alike", "differs", "alike"]
    assert {len(row) for row in leakage.rows} == {len(leakage.columns)}
    assert {len(row) for row in alikeness.rows} == {len(alikeness.columns)}
    assert "follow each other in time" in alikeness.note


def test_of_blocks_the_note_says_that_the_test_is_too_eager() -> None:
    """Neighbours in time count for less than they are."""
    _, report = partition(shifted(), SplitSection(block_days=1), X)
    assert "too eager" in chapter(report).tables[1].note


def test_the_same_rows_and_settings_give_the_same_report() -> None:
    """Samples are drawn by the seed."""
    settings = SplitSection(method="random", seed=5)
    assert partition(shifted(), settings, X) == partition(shifted(), settings, X)


def test_the_split_of_an_earlier_version_reads_back() -> None:
    """Without method, seed and what was let through it was one by blocks."""
    old = b'{"block_days":7,"parts":{"train":[0],"validation":[1],"test":[2]},"first_times":{},"seal":"s"}'
    split = msgspec.json.decode(old, type=Split)
    assert (split.method, split.seed, split.let_through) == ("blocks", 0, [])


def test_a_part_that_misses_its_share_is_told_of() -> None:
    """Three groups of 600, 300 and 100 rows, of which the parts are to get 50, 25 and 25 in 100."""
    rows = dataclasses.replace(shifted(), marks={"who": np.repeat(np.array(list("abc"), object), [600, 300, 100])})
    settings = SplitSection(method="grouped", group="who", validation=0.25, test=0.25)
    _, report = partition(rows, settings, X)
    told = [warning for warning in warnings_of(report) if "asks for" in warning]
    assert len(told) == sum(abs(count / 1000 - report.asked[name]) > 0.05 for name, count in report.rows.items()) > 0
    assert "of the rows where split asks for 25.0%: groups are dealt whole" in " ".join(told)
    assert not any(
        "asks for" in warning for warning in warnings_of(partition(rows, SplitSection(method="random"), X)[1])
    )
