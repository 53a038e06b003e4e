"""Writing: settings go into a project file, and nothing else of it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from staytrue.command import main
from staytrue.errors import Conflict
from staytrue.project import load
from training.suggest.proposals import UNSET
from training.suggest.writing import fitting, written

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.project import Project


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("model:\n  # why\n  width: 8 # small\n", "model:\n  # why\n  width: 16 # small\n"),
        ("model: {width: 8, depth: 2} # flow\n", "model: {width: 16, depth: 2} # flow\n"),
        ("model: {depth: 2}\n", "model: {width: 16, depth: 2}\n"),
        ("model: {}\n", "model: {width: 16}\n"),
        ("model: # yet empty\nname: a\n", "model: # yet empty\n  width: 16\nname: a\n"),
        ("model:", "model:\n  width: 16\n"),
        ("name: a # last", "name: a # last\n\nmodel:\n  width: 16\n"),
        ("model:\n    depth: 2\n", "model:\n    width: 16\n    depth: 2\n"),
        ("model:\r\n  depth: 2\r\nname: é\r\n", "model:\r\n  width: 16\r\n  depth: 2\r\nname: é\r\n"),
        ("model:\n  width: '8' # text\n", "model:\n  width: 16 # text\n"),
    ],
)
def test_one_value_changes_and_no_comment_is_lost(before: str, after: str) -> None:
    assert written(before, {"model.width": 16}) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("split:\n  block_days: 1 # days\n  test: 0.1\n", "split:\n  test: 0.1\n"),
        ("split:\n  test: 0.1\n  block_days: 1", "split:\n  test: 0.1\n"),
        ("split: {block_days: 1, test: 0.1} # flow\n", "split: {test: 0.1} # flow\n"),
        ("split: {test: 0.1, block_days: 1}\n", "split: {test: 0.1}\n"),
        ("name: a\n", "name: a\n"),
        ("split: {test: 0.1}\n", "split: {test: 0.1}\n"),
    ],
)
def test_what_must_not_be_set_is_taken_out(before: str, after: str) -> None:
    assert written(before, {"split.block_days": UNSET}) == after


@pytest.mark.parametrize("line", ["  block_days: 1\n", "  block_days: 7 # as by default\n"])
def test_another_method_takes_out_what_it_does_not_read(tmp_path: Path, line: str) -> None:
    """Also what says the same as the default: the file would be refused."""
    path = tmp_path / "staytrue.yaml"
    data = "{source: a.csv, time: t, target: y, features: {x: {kind: numeric}}}"
    path.write_text(f"name: a\ndata: {data}\nsplit:\n{line}  test: 0.1\n")
    text, refused = fitting(path, {"split.method": "random", "split.block_days": UNSET})
    assert (text.partition("split:\n")[2], refused) == ("  method: random\n  test: 0.1\n", {})


@pytest.mark.parametrize(
    "text",
    [
        "one: &it {width: 8}\nmodel: *it\n",
        "model:\n  width: &w 8\n  depth: *w\n",
        "model:\n  width:\n    a: 1\n  depth: 2\n",
    ],
)
def test_what_cannot_be_set_without_harm_is_left_alone(text: str) -> None:
    with pytest.raises(Conflict, match=r"model\.width"):
        written(text, {"model.width": 16})


def test_the_command_proposes_and_writes_only_when_asked(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    path = project.folder / "staytrue.yaml"
    before = path.read_text(encoding="utf-8")
    assert main(["suggest", "--project", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == before
    assert "model.architecture: mlp  # 3 columns" in capsys.readouterr().out
    assert main(["suggest", "--project", str(path), "--write"]) == 0
    changed = load(path)
    assert (changed.model.width, changed.training.loss) == (32, "huber")
    assert changed.data == project.data
    assert changed.export.max_batch == 8


@pytest.mark.parametrize(
    ("own", "left"),
    [
        ("optimiser: momentum, optimisation: {momentum: 0.8}, ", ["training.optimiser: adamw"]),
        ("optimiser: adam, weight_decay: 0.0, ", []),
    ],
)
def test_what_does_not_go_with_somebodys_own_setting_is_left_out(
    project: Project, own: str, left: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = project.folder / "staytrue.yaml"
    text = path.read_text(encoding="utf-8").replace("\ntraining: {", f"\ntraining: {{{own}")
    path.write_text(text, encoding="utf-8")
    files = {each.name for each in path.parent.iterdir()}
    assert main(["suggest", "--project", str(path), "--write"]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "left out" in line]
    assert [line.removeprefix("left out: ").split(", since")[0] for line in told] == left
    assert load(path).model.width == 32
    assert {each.name for each in path.parent.iterdir()} == files


def test_balanced_classes_are_not_balanced_twice(tmp_path: Path) -> None:
    path = tmp_path / "staytrue.yaml"
    text = "name: a\ndata: {source: a.csv, time: t, target: y, features: {x: {kind: numeric}}}\n"
    path.write_text(text + "training: {sampling: balanced}\n", encoding="utf-8")
    settings: dict[str, str | int | float] = {"training.class_weights": "balanced", "training.epochs": 7}
    made, refused = fitting(path, settings)
    assert yaml.safe_load(made)["training"] == {"sampling": "balanced", "epochs": 7}
    assert list(refused) == ["training.class_weights"]
    assert "class_weights and sampling both balanced" in refused["training.class_weights"]
    assert f"{path}:" in refused["training.class_weights"]


@pytest.mark.parametrize(
    ("before", "name", "value", "after"),
    [
        ("a:\n  b:\n    c: 1 # one\n", "a.b.c", 2, "a:\n  b:\n    c: 2 # one\n"),
        ("a:\n  b:\n    c: 1\n", "a.b.d", True, "a:\n  b:\n    d: true\n    c: 1\n"),
        ("a:\n  x: 1\n", "a.b.c", 2, "a:\n  b:\n    c: 2\n  x: 1\n"),
        ("a: {x: 1}\n", "a.b.c", [1, 2], "a: {b: {c: [1, 2]}, x: 1}\n"),
        ("a:\n  b:\n", "a.b.c", 2, "a:\n  b:\n    c: 2\n"),
        ("x: 1\n", "a.b.c", 1e-05, "x: 1\n\na:\n  b:\n    c: 1.0e-05\n"),
        ("a:\n  b: 1\n", "a.b", None, "a:\n  b: null\n"),
        ("a:\n  b: 1\n", "a.b", "1e-3", "a:\n  b: 1e-3\n"),
        ("a:\n  b: 1\n", "a.b", "yes", "a:\n  b: 'yes'\n"),
    ],
)
def test_a_setting_of_a_section_within_another_is_written_where_it_belongs(
    before: str, name: str, value: object, after: str
) -> None:
    assert written(before, {name: value}) == after
