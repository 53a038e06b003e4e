"""A run whose sparse feature was left out: it is judged, diagnosed, compared and combined as any other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from staytrue.errors import Conflict, CorruptData
from staytrue.evaluation import EVALUATION
from staytrue.project import load
from tests.command import run as command
from tests.unit.training.conftest import write_project
from training import checkpoint as checkpoints
from training.judgement.restored import restore
from training.prepare import prepare
from training.run import train


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project with a feature that few rows have, one of which is else a row once more; two runs."""
    folder = tmp_path_factory.mktemp("sparse")
    write_project(folder)
    head, *lines = (folder / "toy.csv").read_text(encoding="utf-8").splitlines()
    told = [f"{line},{place if place % 10 == 0 else ''}" for place, line in enumerate(lines)]
    told.insert(100, f"{lines[100]},7")
    (folder / "toy.csv").write_text("\n".join([f"{head},seldom", *told]) + "\n", encoding="utf-8")
    path = folder / "staytrue.yaml"
    text = path.read_text(encoding="utf-8").replace("epochs: 30, patience: 10", "epochs: 2, patience: 2")
    text = text.replace("    sky: {kind: category}", "    seldom: {kind: numeric}\n    sky: {kind: category}")
    text += "cleaning: {max_missing_column: 0.5, on_sparse_column: drop, outliers: {method: iqr, columns: [seldom]}}\n"
    path.write_text(text, encoding="utf-8")
    for seed in ("1", "2"):
        command(folder, "train", "--seed", seed)
    return folder


def test_its_rows_are_those_that_it_was_trained_on(made: Path) -> None:
    """The row that only the sparse feature tells from another stays, and stays where it was dealt."""
    project = load(made / "staytrue.yaml")
    run = restore(project, checkpoints.newest_run(made / "runs", "toy"))
    assert list(run.training.columns) == ["x", "hour", "sky"]
    prepared = prepare(project)
    assert (len(run.training), len(run.validation)) == (len(prepared.training), len(prepared.validation))
    assert len(prepared.rows) == 40 * 24 + 1


def test_it_is_evaluated_as_when_it_was_trained_and_opened_once(made: Path) -> None:
    newest = checkpoints.newest_run(made / "runs", "toy")
    told = json.loads(command(made, "evaluate", "--json"))
    assert told["parts"]["validation"] == json.loads((newest / EVALUATION).read_text())["parts"]["validation"]
    assert "test" in command(made, "evaluate", "--final")


def test_it_is_diagnosed_compared_and_combined(made: Path) -> None:
    first, second = sorted(path.parent.name for path in (made / "runs").glob("*/project.yaml"))
    assert "diagnosis.json" in command(made, "diagnose", f"runs/{first}")
    assert "all rows" in command(made, "compare", first, second)
    assert "ensemble, mean" in command(made, "ensemble", first, second)
    newest = checkpoints.newest_run(made / "runs", "toy")
    assert newest.name not in {first, second}
    assert "validation" in command(made, "evaluate")


def test_a_run_from_before_they_were_kept_is_told_so_and_restored_by_the_projects_features(
    made: Path, tmp_path: Path
) -> None:
    """Not that its data have changed, which they have not."""
    folder = Path(shutil.copytree(made, tmp_path / "toy"))
    first, second = sorted(path.parent for path in (folder / "runs").glob("*/asked.yaml"))[:2]
    for run in (first, second):
        (run / checkpoints.ASKED).unlink()
    project = load(folder / "staytrue.yaml")
    assert restore(project, first).training.columns.keys() == {"x", "hour", "sky"}
    assert "all rows" in command(folder, "compare", first.name, second.name)
    path = folder / "staytrue.yaml"
    text = path.read_text(encoding="utf-8").replace("    seldom: {kind: numeric}\n", "").replace("seldom", "x")
    path.write_text(text, encoding="utf-8")
    alone = restore(load(path), first)
    with pytest.raises(Conflict, match=r"before runs kept their sparse features \(seldom\).*may be the same data"):
        _ = alone.validation
    (first / checkpoints.DATA).write_bytes(b"{")
    with pytest.raises(CorruptData, match=r"data\.json: cannot be read"):
        restore(load(path), first)


def test_runs_without_a_sparse_feature_keep_nothing_more(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    brief = project.training.model_copy(update={"epochs": 1})
    assert not (train(project.model_copy(update={"training": brief})) / checkpoints.ASKED).exists()
