"""``python -m benchmarks.training``: trains each case and prints the figure, the time, and what it must be.

``worked`` are the seconds that the processor worked, of all threads together: on a machine that does other things as
well, half of them is about what two idle cores would have taken.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from benchmarks.training.cases import CASES
from staytrue.errors import NotFound
from staytrue.project import load
from training import checkpoint as checkpoints
from training.run import train

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.training.cases import Case
    from staytrue.bundle import Metric


def main(given: Sequence[str] | None = None) -> int:
    """Run the cases asked for; 1 where one is missed or its data cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; none: all")
    parser.add_argument("--threads", type=int, help="processor threads, in place of the example's")
    asked = parser.parse_args(given)
    unknown = sorted(set(asked.cases) - set(CASES))
    if unknown:
        parser.error(f"no case {unknown[0]}: there are {', '.join(CASES)}")
    missed = 0
    print(f"{'case':24} {'figure':>9} {'test':>7} {'90% interval':>15} {'least':>7} {'seconds':>8} {'worked':>7}")
    for name in asked.cases or CASES:
        case = CASES[name]
        try:
            got, seconds, worked = run(case, asked.threads)
        except NotFound as error:
            print(f"{name:24} not measured: {error}")
            missed += 1
            continue
        reached = got.value >= case.target and (case.seconds is None or seconds <= case.seconds)
        missed += not reached
        interval = f"{got.low:.3f} to {got.high:.3f}"
        verdict = "" if reached else "  MISSED"
        figure = f"{case.metric:>9} {got.value:7.4f} {interval:>15} {case.target:7.2f}"
        print(f"{name:24} {figure} {seconds:8.1f} {worked:7.1f}{verdict}")
        sys.stdout.flush()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    return int(missed > 0)


def run(case: Case, threads: int | None = None) -> tuple[Metric, float, float]:
    """The figure of the sealed test part, and seconds from rows on disk to a finished run: by the clock, and worked."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with contextlib.redirect_stdout(sys.stderr):  # what it says is no line of the table
            case.prepare(folder)
        project = load(Path(shutil.copy(case.project, folder)))
        if threads:
            training = case.change.get("training", {}) | {"threads": threads}
            case = dataclasses.replace(case, change=case.change | {"training": training})
        project = case.changed(project)
        began, before = time.perf_counter(), time.process_time()
        done = train(project, opening="once")
        seconds, worked = time.perf_counter() - began, time.process_time() - before
        return checkpoints.load(done)[0].evaluation["test"][case.metric], seconds, worked


if __name__ == "__main__":
    sys.exit(main())
