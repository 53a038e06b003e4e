"""Workers: processes that each take one trial after the other of a study, until there is none or time is up."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from staytrue import project as projects
from staytrue.errors import Unavailable
from staytrue.variables import surroundings
from training.tune.material import kept
from training.tune.settings import resolved
from training.tune.space import Space
from training.tune.study import Study
from training.tune.trial import Stopped, attempt, check_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staytrue.project import Project
    from training.tune.material import Material

LOOK_SECONDS, END_SECONDS = 0.2, 60.0
"""Between two looks at the workers; that one may take to end once it is asked to."""
LAST = 2000
"""Characters of a log that are shown."""


def study_of(project: Project, material: Material, folder: Path) -> Study:
    """The project's study in a folder, new or going on.

    Raises:
        Conflict: it is of other settings or data.
    """
    tuning = project.tuning.model_dump(mode="json", include={"space", "method", "seed", "prune"})
    identity = {"settings": f"{project.fingerprint()} {json.dumps(tuning)}", "data": material.sha256}
    return Study(folder, Space.of(project), project.tuning, project.training.epochs, identity)


def work(
    study: Study,
    project: Project,
    material: Material,
    until: float = math.inf,
    *,
    parent: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Do trials in this process. Units: ``until`` in Unix seconds."""
    project = project.model_copy(update={"training": project.training.model_copy(update={"threads": share(project)})})
    with contextlib.suppress(Stopped):
        while True:
            check_time(until, parent)
            claim = study.claim()
            if claim is None:
                return
            try:
                said = attempt(study, claim, project, material, until, parent)
            finally:
                claim.free()
            settings = ", ".join(f"{path}={value}" for path, value in claim.values.items())
            say(f"trial {claim.number}: {said}  ({settings})")


def share(project: Project) -> int:
    """Threads of each worker."""
    return max(1, min(project.training.threads, (os.cpu_count() or 1) // project.tuning.workers))


def work_apart(
    study: Study, project: Project, file: Path, until: float, *, say: Callable[[str], None] = lambda _: None
) -> None:
    """Do trials in processes of their own; one that is killed is replaced.

    They read the project's file, and the rows that lie in the study's folder.

    Raises:
        Unavailable: a process ended with an error of ours; shows the end of its log.
    """
    crew: list[tuple[subprocess.Popen[bytes], Path]] = []
    told, deaths = len(study.trials), 0
    try:
        logs = [study.folder / f"worker-{number}.log" for number in range(project.tuning.workers)]
        crew.extend((_started(study, project, file, until, log), log) for log in logs)
        while crew:
            time.sleep(LOOK_SECONDS)
            told = _tell(study, told, say)
            for process, log in list(crew):
                if process.poll() is None:
                    continue
                crew.remove((process, log))
                if process.returncode > 0:
                    raise _broken(log)
                if process.returncode < 0 and time.time() < until:
                    deaths += 1
                    say(f"a worker was killed by signal {-process.returncode}: another takes its place")
                    if deaths > len(study.trials) + project.tuning.workers:  # it cannot even begin
                        raise _broken(log)
                    crew.append((_started(study, project, file, until, log), log))
    finally:
        _end([process for process, _ in crew])
        _tell(study, told, say)


def _started(study: Study, project: Project, file: Path, until: float, log: Path) -> subprocess.Popen[bytes]:
    flags = ["--project", str(file), "--folder", str(study.folder), "--until", str(until)]
    told = project.tuning.model_dump(mode="json", exclude={"space", "executor", "address"})
    variables = {f"STAYTRUE_TUNING_{name.upper()}": _written(value) for name, value in told.items()}
    threads = {"OMP_NUM_THREADS": str(share(project))}
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", __name__, *flags, "--parent", str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=surroundings(variables | threads),
            start_new_session=True,  # Ctrl-C reaches the command alone, which asks each to end
        )


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _tell(study: Study, told: int, say: Callable[[str], None]) -> int:
    """Tell of trials that ended in other processes, in their order; how many were told of."""
    for trial in study.trials[told:]:
        if not trial.state.is_finished():
            break
        told += 1
        said = trial.user_attrs.get("reason") or (f"{trial.value:.5g}" if trial.value is not None else "")
        values = ", ".join(f"{path}={value}" for path, value in trial.params.items())
        say(f"trial {trial.number}: {trial.state.name.lower()} {said}  ({values})")
    return told


def _broken(log: Path) -> Unavailable:
    return Unavailable(str(log), f"a worker ended: {log.read_text(encoding='utf-8', errors='replace')[-LAST:]}")


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask them to end, so that each gives its trial back."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + END_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """One worker."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="python -m training.tune.workers")
    projects.add_flag(parser)
    parser.add_argument("--folder", type=Path, required=True, help="the study's")
    parser.add_argument("--until", type=float, default=math.inf, help="when to end, in Unix seconds")
    parser.add_argument("--parent", type=int, help="process without which it ends")
    given = parser.parse_args(arguments)
    project, material = resolved(given.project), kept(given.folder)
    with contextlib.suppress(KeyboardInterrupt):
        work(study_of(project, material, given.folder), project, material, given.until, parent=given.parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
