"""The command ``tune``."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from staytrue import project as projects

if TYPE_CHECKING:
    import argparse

    from staytrue.project import Project
    from training.tune.study import Study

BEST = "best.yaml"


def _say(text: str) -> None:
    print(text, flush=True)


class Tune:
    """``staytrue tune``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        projects.add_flag(parser)
        parser.add_argument("--method", choices=["grid", "random", "tpe"], help="instead of tuning.method")
        parser.add_argument("--trials", type=int, help="instead of tuning.trials")
        parser.add_argument("--minutes", type=float, help="instead of tuning.minutes")
        parser.add_argument("--workers", type=int, help="instead of tuning.workers")
        parser.add_argument("--ensemble", type=int, help="instead of tuning.ensemble")
        parser.add_argument("--seed", type=int, help="instead of tuning.seed")
        parser.add_argument("--executor", choices=["local", "ray"], help="instead of tuning.executor")
        parser.add_argument("--address", help="of a Ray cluster, instead of tuning.address")
        parser.add_argument("--study", help="name of the study (default: the model's)")
        parser.add_argument(
            "--output", type=Path, help="project file with the best settings (default: best.yaml beside the project's)"
        )

    def run(self, arguments: argparse.Namespace) -> int:
        """Begin the study or go on with it; print the best trials and write the files."""
        from training.tune.settings import check, folder_of, resolved

        began = time.time()
        output = _output(arguments.project, arguments.output)
        names = ("method", "trials", "minutes", "workers", "ensemble", "seed", "executor", "address")
        flags = {name: getattr(arguments, name) for name in names}
        project = resolved(arguments.project, **flags)
        folder = folder_of(project, arguments.study)
        check(project)
        from training.prepare import STEPS, prepare
        from training.progress import LONG_SECONDS, watched
        from training.tune.material import Material
        from training.tune.search import search

        with watched(len(STEPS), _say, least_seconds=LONG_SECONDS) as watch:
            material = Material.of(prepare(project, watch=watch))
        minutes = project.tuning.minutes
        until = math.inf if minutes is None else began + 60 * minutes
        study, interrupted = search(project, arguments.project, material, folder, until=until, say=_say)
        _tell(study, arguments.project, output)
        if interrupted:
            return 130
        if project.tuning.ensemble > 1:
            _combine(study, project)
        return 0


tune = Tune()


def _output(file: Path, given: Path | None) -> Path:
    """Where the best settings go: beside the project's file, as its relative paths mean its folder."""
    from staytrue.errors import InvalidConfig

    output = given or file.with_name(BEST)
    if output.resolve().parent != file.resolve().parent or output.resolve() == file.resolve():
        hint = "relative paths in it mean the folder it lies in"
        raise InvalidConfig("--output", expected=f"another file beside {file}", got=str(output), hint=hint)
    return output


def _tell(study: Study, file: Path, output: Path) -> None:
    """Print the best trials and write all there is.

    Raises:
        Conflict: no trial came to its end.
    """
    from staytrue.errors import Conflict
    from staytrue.records import write_atomically
    from training.suggest.writing import written
    from training.tune import report

    found = report.lines(study)
    paths = report.write(study)
    best = report.best(found)
    if best is not None:
        _say(report.table(found, study.measure))
        write_atomically(output, written(file.read_bytes().decode(), best.settings).encode())
        projects.load(output)
        paths.append(output)
    for path in paths:
        _say(f"wrote {path}")
    if best is None:
        if not found:
            raise Conflict(str(study.folder), "time was up before a trial began", hint="allow more minutes")
        why = next((line.reason for line in found if line.reason), "time was up")
        raise Conflict(str(study.folder), f"none of {len(found)} trials came to its end: {why}")
    _say(f"`staytrue train --project {output}` trains with the best settings")


def _combine(study: Study, project: Project) -> None:
    """Make one run of the best settings, and print how it compares with each of them."""
    from training.ensemble import comparison
    from training.tune import report
    from training.tune.together import best_of, together

    asked = project.tuning.ensemble
    lines = best_of(report.lines(study), asked)
    if len(lines) < asked:
        _say(f"only {len(lines)} trials of different settings came to their end, of {asked} that were asked for")
    folder, told = together(project, study.folder, lines, say=_say)
    _say(comparison.table(told))
    _say("these rows chose the settings of all of them too: judge by rows that chose nothing (docs/tuning.md)")
    _say(f"run: {folder}")
