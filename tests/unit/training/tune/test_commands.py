"""``staytrue tune``: a table, files, pictures and a project file that trains with the best settings."""

from __future__ import annotations

import csv
import importlib.util
import json
from typing import TYPE_CHECKING

import pytest

from staytrue.command import main
from staytrue.project import load
from training.tune import search, workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from staytrue.project import Project

SPACE = "space: {model.width: [2, 16], training.optimisation.warmup: [0, 2]}, method: grid"


def test_the_command_writes_what_it_found(tuned: Callable[..., Project], capsys: pytest.CaptureFixture[str]) -> None:
    """And the same command again trains nothing."""
    project = tuned(SPACE)
    path = project.folder / "staytrue.yaml"
    path.write_text(f"# ours\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    assert main(["tune", "--project", str(path)]) == 0
    told = capsys.readouterr().out
    assert "trial  validation_mae  epoch  seconds  settings" in told
    assert "\n4 complete\n" in told
    folder = project.folder / "tuning/toy"
    lines = json.loads((folder / "trials.json").read_text(encoding="utf-8"))
    best = min(lines, key=lambda line: line["value"])
    rows = list(csv.DictReader((folder / "trials.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(row["value"]) for row in rows] == [line["value"] for line in lines]
    assert rows[best["trial"]]["model.width"] == str(best["settings"]["model.width"])
    for picture in ("history.png", "importance.png"):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")
    text = (project.folder / "best.yaml").read_text(encoding="utf-8")
    made = load(project.folder / "best.yaml")
    assert text.startswith("# ours\n")
    assert made.model.width == best["settings"]["model.width"]
    assert made.data == project.data
    assert made.training.optimisation.warmup == best["settings"]["training.optimisation.warmup"]
    assert main(["tune", "--project", str(path)]) == 0
    assert not any(line.startswith("trial ") and ":" in line for line in capsys.readouterr().out.splitlines())


def test_ctrl_c_ends_with_what_there_is(
    tuned: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is that of an interrupted command; the files are written."""
    project = tuned(SPACE)
    work = workers.work

    def interrupted(*given: object, **options: object) -> None:
        work(*given, **options)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(search, "work", interrupted)
    flags = ["--method", "random", "--trials", "1", "--study", "other", "--output", str(project.folder / "b.yaml")]
    assert main(["tune", "--project", str(project.folder / "staytrue.yaml"), *flags]) == 130
    assert "1 complete" in capsys.readouterr().out
    assert (project.folder / "b.yaml").is_file()
    assert (project.folder / "tuning/other/trials.json").is_file()


def test_a_study_in_which_all_failed_says_why(
    tuned: Callable[..., Project], capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no best one to write."""
    project = tuned("space: {training.optimisation.momentum: [0.5, 0.6]}, method: grid")
    assert main(["tune", "--project", str(project.folder / "staytrue.yaml")]) == 1
    assert "none of 2 trials came to its end: training: optimisation.momentum" in capsys.readouterr().err
    assert not (project.folder / "best.yaml").exists()


@pytest.mark.parametrize(
    ("tuning", "flags", "said"),
    [
        ("method: grid", [], "tuning.space: names no setting to try"),
        (SPACE, ["--trials", "0"], "--trials: expected a whole number"),
        (SPACE, ["--study", "a/b"], "--study: expected a name without a slash"),
        (SPACE, ["--output", "/other.yaml"], "--output: expected another file beside"),
        ("space: {training.averaging: {low: 0, high: 0.5}}", ["--method", "grid"], "a grid is finite"),
        (f"{SPACE}, executor: ray", [], "tuning.executor: ray needs ray, which is not installed; pip install"),
        (SPACE, ["--ensemble", "0"], "--ensemble: expected a whole number ≥ 1, got 0"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_prepared(
    tuned: Callable[..., Project],
    tuning: str,
    flags: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With what to do."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else find(name))
    project = tuned(tuning)
    assert main(["tune", "--project", str(project.folder / "staytrue.yaml"), *flags]) == 2
    assert said in capsys.readouterr().err
