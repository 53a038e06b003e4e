"""Workers: killed at any moment, alone or one of several, they leave a study that goes on and loses no trial."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from staytrue.errors import Conflict, Unavailable
from training.tune import report, search, workers
from training.tune.material import keep
from training.tune.workers import study_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.project import Project
    from training.tune.material import Material
    from training.tune.report import Line

WIDTHS = [4, 5, 6]


def waited(path: Path, process: subprocess.Popen[bytes] | None = None) -> None:
    """Until a training has written its first epoch."""
    deadline = time.monotonic() + 90
    while not (path.is_file() and path.stat().st_size):
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None
        time.sleep(0.002)


def check_all_done_once(found: list[Line]) -> None:
    """Each width came to its end once; what was killed says so and was repeated."""
    assert sorted(line.settings["model.width"] for line in found if line.state == "complete") == WIDTHS
    killed = [line for line in found if line.state != "complete"]
    assert [(line.state, line.reason) for line in killed] == [("failed", "killed")]
    (again,) = (line for line in found if line.anew is not None)
    assert (again.anew, again.settings) == (killed[0].trial, killed[0].settings)


def test_a_command_killed_with_kill_9_goes_on_where_it_was(tuned: Callable[..., Project], prepared: Material) -> None:
    """Finished trials are not run again, the killed one is marked and run anew."""
    project = tuned(f"space: {{model.width: {WIDTHS}}}, method: grid", epochs=30)
    folder, file = project.folder / "tuning/toy", project.folder / "staytrue.yaml"
    process = subprocess.Popen([sys.executable, "-m", "staytrue", "tune", "--project", str(file)])
    waited(folder / "trials/0001/metrics.jsonl", process)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    study, _ = search.search(project, file, prepared, folder)
    found = report.lines(study)
    assert [line.state for line in found[:3]] == ["complete", "failed", "complete"]
    check_all_done_once(found)


def test_workers_share_a_study_and_replace_one_that_is_killed(
    tuned: Callable[..., Project], prepared: Material
) -> None:
    """Two processes; the trial of the killed one is done by another."""
    project = tuned(f"space: {{model.width: {WIDTHS}}}, method: grid, workers: 2", epochs=30)
    folder, file = project.folder / "tuning/toy", project.folder / "staytrue.yaml"
    killed: list[int] = []
    begun = workers._started

    def started(*given: object) -> subprocess.Popen[bytes]:
        process = begun(*given)  # type: ignore[arg-type]
        if not killed:
            killed.append(process.pid)
            waited(folder / "trials/0000/metrics.jsonl", process)
            os.kill(process.pid, signal.SIGKILL)
        return process

    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "_started", started)
        study, _ = search.search(project, file, prepared, folder, say=said.append)
    check_all_done_once(report.lines(study))
    assert "a worker was killed by signal 9: another takes its place" in said
    assert sum(line.startswith("trial ") for line in said) == 4
    assert len({line.settings["model.width"] for line in report.lines(study)}) == 3


def test_a_worker_that_fails_itself_ends_the_search_with_its_log(
    tuned: Callable[..., Project], prepared: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that finds other settings than the command had."""
    project = tuned("space: {model.width: [4]}, method: grid, workers: 2")
    other = project.model_copy(update={"model": project.model.model_copy(update={"depth": 2})})
    file, folder = project.folder / "staytrue.yaml", project.folder / "tuning/toy"
    study_of(other, prepared, folder)
    keep(prepared, folder)
    with pytest.raises(Conflict, match="holds a study of other settings"):
        workers.main(["--project", str(file), "--folder", str(folder)])
    monkeypatch.setattr(sys, "executable", "/bin/false")
    (folder / "worker-0.log").write_text("what it said", encoding="utf-8")
    with pytest.raises(Unavailable, match=r"worker-.\.log: a worker ended"):
        search.search(other, file, prepared, folder)


def test_a_worker_whose_command_is_gone_gives_its_trial_back(tuned: Callable[..., Project], prepared: Material) -> None:
    """At the end of an epoch: its parent is another process by then."""
    project = tuned("space: {model.width: [4]}, method: grid")
    study = study_of(project, prepared, project.folder / "tuning/toy")
    workers.work(study, project, prepared, parent=os.getppid() + 1)
    assert report.lines(study) == []


@pytest.mark.parametrize(("threads", "count", "each"), [(1, 2, 1), (8, 1, None), (8, 1000, 1)])
def test_workers_share_the_threads(tuned: Callable[..., Project], threads: int, count: int, each: int | None) -> None:
    """No more than there are, at least one."""
    project = tuned()
    training = project.training.model_copy(update={"threads": threads})
    tuning = project.tuning.model_copy(update={"workers": count})
    found = workers.share(project.model_copy(update={"training": training, "tuning": tuning}))
    assert found == (each or min(threads, (os.cpu_count() or 1)))
