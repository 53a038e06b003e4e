"""Resume: a training that was killed at any step goes on to the very weights of one that was not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import safetensors.torch

from staytrue.checkpoint import WEIGHTS
from staytrue.command import main
from staytrue.errors import Conflict, CorruptData, NotFound
from staytrue.openings import LEDGER
from tests.killing import Killed, cut
from training import checkpoint as checkpoints
from training.checkpoint import METRICS
from training.data.split.ledger import Ledger
from training.prepare import prepare
from training.resume import STATE
from training.run import train

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.project import Project


def brief(project: Project, **training: Any) -> Project:
    """Three epochs of eleven steps, with dropout, keeping the state after every step."""
    settings = {"epochs": 3, "checkpoint_seconds": 0, **training}
    return project.model_copy(
        update={
            "training": project.training.model_copy(update=settings),
            "model": project.model.model_copy(update={"dropout": 0.2}),
        }
    )


def test_a_run_cut_at_any_step_goes_on_to_the_same_weights(project: Project) -> None:
    """Within an epoch, at its end, behind it, at the very end: to the bit, and to the same lines."""
    project = brief(project)
    whole = train(project, opening="skip")
    for kept in (4, 11, 34):
        folder = cut(project, kept)
        assert (folder / STATE).is_file()
        assert train(project, opening="skip", resume=folder) == folder
        assert (folder / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
        assert told(folder) == told(whole)
        assert not (folder / STATE).exists()


def told(folder: Path) -> list[dict[str, float]]:
    """Lines of the journal without their seconds."""
    import json

    lines = [json.loads(line) for line in (folder / METRICS).read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


SCRIPT = """
import sys
from pathlib import Path
from staytrue.project import load
from training.run import train
project = load(Path(sys.argv[1]))
train(project, opening="skip")
"""


def test_a_process_killed_with_kill_9_leaves_a_run_that_goes_on(project: Project, tmp_path: Path) -> None:
    """Wherever it was: the state is replaced in one step."""
    text = (tmp_path / "staytrue.yaml").read_text(encoding="utf-8")
    text = text.replace("epochs: 30", "epochs: 16, checkpoint_seconds: 0").replace("patience: 10", "patience: 16")
    (tmp_path / "long.yaml").write_text(text, encoding="utf-8")
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path / "long.yaml")])
    deadline = time.monotonic() + 60
    while not (found := list(project.retraining.runs.glob(f"*/{STATE}"))) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    weights = safetensors.torch.load_file(found[0])
    assert all(np.isfinite(value.numpy()).all() for name, value in weights.items() if name.startswith("module/"))
    from staytrue.project import load

    long = load(tmp_path / "long.yaml")
    rare = long.training.model_copy(update={"checkpoint_seconds": 60})  # which may change
    long = long.model_copy(update={"training": rare})
    with pytest.raises(Conflict, match="was made with other settings"):
        train(project, resume=found[0].parent)
    folder = train(long, opening="skip", resume=found[0].parent)
    assert (folder / WEIGHTS).read_bytes() == (train(long, opening="skip") / WEIGHTS).read_bytes()


def test_a_run_that_began_with_other_software_says_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on, and the record of its end alone would not tell."""
    project, said = brief(project), list[str]()
    with monkeypatch.context() as patch:
        patch.setattr("torch.__version__", "1.0")
        folder = cut(project, 3)
    train(project, opening="skip", resume=folder, say=said.append)
    assert "resume: this run began with torch 1.0, and goes on with other" in "\n".join(said)
    folder = cut(project, 3)
    train(project, opening="skip", resume=folder, say=said.append)
    assert sum("resume:" in line for line in said) == 1


def test_a_run_of_other_data_does_not_go_on(project: Project) -> None:
    """Says what is another."""
    project = brief(project)
    folder = cut(project, 3)
    source = project.retraining.runs.parent / "toy.csv"
    source.write_text(source.read_text(encoding="utf-8").replace("sun", "moon"), encoding="utf-8")
    with pytest.raises(Conflict, match="was made with other data; put them back as they were, or start a new run"):
        train(project, resume=folder)


def test_a_state_with_a_changed_byte_does_not_go_on_silently(project: Project) -> None:
    """Cut short, it cannot be read; a changed number would go unseen."""
    project = brief(project)
    folder = cut(project, 3)
    whole = (folder / STATE).read_bytes()
    (folder / STATE).write_bytes(whole[:-1])
    with pytest.raises(CorruptData, match=r"cannot be read.*start a new run"):
        train(project, resume=folder)
    (folder / STATE).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CorruptData, match="its bytes are not those that were written; start a new run"):
        train(project, resume=folder)
    (folder / STATE).write_bytes(re.sub(rb'(\\"step\\": )\d', rb"\g<1>9", whole))
    with pytest.raises(CorruptData, match="its bytes are not those that were written"):
        train(project, resume=folder)


def test_a_run_that_another_process_trains_is_left_to_it(project: Project) -> None:
    project = brief(project)
    folder = cut(project, 3)
    with (
        checkpoints.claimed(folder),
        pytest.raises(Conflict, match="is being trained by another process; wait for it, or end it"),
    ):
        train(project, resume=folder)
    train(project, opening="skip", resume=folder)


def test_a_run_of_other_settings_says_which(project: Project) -> None:
    project = brief(project)
    folder = cut(project, 3)
    training = project.training.model_copy(update={"learning_rate": 0.5, "checkpoint_seconds": 60})
    told = r"was made with other settings: training\.learning_rate was 0\.02 and is 0\.5; put them back"
    with pytest.raises(Conflict, match=told):
        train(project.model_copy(update={"training": training}), resume=folder)
    with pytest.raises(Conflict, match=told):  # what it was made by is still there
        train(project.model_copy(update={"training": training}), resume=folder)


def test_a_run_without_a_state_says_that_it_begins_anew(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    folder = cut(project, 3)
    flags = ["--project", str(project.folder / "staytrue.yaml"), "--test", "skip", "--resume", str(folder)]
    (folder / STATE).unlink(missing_ok=True)
    assert main(["train", *flags]) == 0
    assert f"run {folder} has saved no state yet: it begins anew" in capsys.readouterr().out


def test_a_file_in_the_place_of_the_runs_is_told(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.retraining.runs.write_text("")
    assert main(["train", "--project", str(project.folder / "staytrue.yaml")]) == 2
    told = f"retraining.runs: expected a folder to write, got {project.retraining.runs}, which is a file"
    assert told in capsys.readouterr().err


def test_what_is_no_killed_run_is_refused(project: Project) -> None:
    """None there, a finished one, a folder of something else."""
    runs = project.retraining.runs
    with pytest.raises(NotFound, match="not finished"):
        checkpoints.unfinished(runs, "toy")
    finished = train(brief(project, epochs=1), opening="skip")
    with pytest.raises(NotFound, match="not finished"):
        checkpoints.unfinished(runs, "toy")
    with pytest.raises(Conflict, match="is a finished run"):
        checkpoints.unfinished(runs, "toy", finished)
    with pytest.raises(NotFound, match="holds no run"):
        checkpoints.unfinished(runs, "toy", runs)


def test_a_run_killed_before_its_record_has_opened_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test split opens for finished runs alone: once the run has gone on to its end."""
    project = brief(project, epochs=1)

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "finish", die)
        with pytest.raises(Killed):
            train(project, opening="once")
    assert not (project.retraining.runs / LEDGER).exists()
    folder = checkpoints.unfinished(project.retraining.runs, "toy")
    train(project, opening="once", resume=folder)
    record = checkpoints.load(folder)[0]
    assert [line.run for line in Ledger(project.retraining.runs).openings(prepare(project).sealed.keys.all)] == [
        folder.name
    ]
    assert ("test" in record.evaluation, record.lineage.test_openings) == (True, 1)
