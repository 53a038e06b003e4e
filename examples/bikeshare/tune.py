"""Tunes the example in at most five minutes and judges what it found: ``python -m examples.bikeshare.tune``.

The whole year is used, as four months leave too few days to judge by. Of its validation weeks every other one stops the
trainings and chooses the trial; on the weeks between, which chose nothing, the example's own settings and the best ones
are compared hour by hour. The test weeks stay sealed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export.intervals import interval
from staytrue.errors import Conflict
from training.data.split.plan import blocks_of, day_of
from training.devices import devices
from training.prepare import prepare
from training.run import fit_parts
from training.tune import report
from training.tune.material import Material
from training.tune.search import search
from training.tune.settings import check, resolved
from training.tune.space import applied

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.project import Project

HERE = Path(__file__).parent
FOUR_MONTHS = " WHERE day <= 120"
WEEK_DAYS, CONFIDENCE = 7, 0.95
SEEDS = (1, 2, 3)
"""Of the trainings that are compared: their mean error depends less on luck than that of one."""


def main() -> int:
    """Tune, compare, print."""
    parser = argparse.ArgumentParser(prog="python -m examples.bikeshare.tune")
    parser.add_argument("--output", type=Path, default=Path("tuning-output"), help="folder (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=4.0, help="of the search (default: %(default)s)")
    parser.add_argument("--trials", type=int, help="at most")
    given = parser.parse_args()
    began = time.time()
    file = write_year(given.output)
    project = resolved(file, minutes=given.minutes, trials=given.trials)
    check(project)
    material = Material.of(prepare(project))
    judging = other_weeks(material)
    chosen_by = material.judged_by(~judging)
    study, _ = search(
        project, file, chosen_by, given.output / "tuning" / project.name, until=began + 60 * given.minutes, say=print
    )
    found = report.lines(study)
    report.write(study)
    best = report.best(found)
    if best is None:
        raise Conflict(str(study.folder), "no trial came to its end")
    print(report.table(found, study.measure))
    compare(project, chosen_by, material, judging, best.settings)
    return 0


def write_year(folder: Path) -> Path:
    """The example's project file for all of the year, with the data beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    text = (HERE / "staytrue.yaml").read_text(encoding="utf-8")
    if FOUR_MONTHS not in text:
        raise Conflict("staytrue.yaml", f"its query lacks{FOUR_MONTHS}")
    (folder / "staytrue.yaml").write_text(text.replace(FOUR_MONTHS, ""), encoding="utf-8")
    shutil.copy(HERE / "hourly.csv", folder / "hourly.csv")
    return folder / "staytrue.yaml"


def other_weeks(material: Material) -> NDArray[np.bool_]:
    """Every other week of the validation rows. Shapes: [rows of that part]."""
    weeks = blocks_of(material.split.validation(material.rows).time, WEEK_DAYS)
    odd: NDArray[np.bool_] = weeks % 2 == 1
    return odd


def compare(
    project: Project, chosen_by: Material, material: Material, judging: NDArray[np.bool_], best: dict[str, Any]
) -> tuple[float, float]:
    """Print both errors on rows that neither was stopped nor chosen by; the interval of their difference.

    Days are drawn, not hours, which are alike within a day (:func:`export.gate.interval`).
    """
    rows = material.split.validation(material.rows).take(judging)
    before, after = (errors(project, chosen_by, rows, settings) for settings in ({}, best))
    days = day_of(rows.time)
    low, high = interval(after - before, days, CONFIDENCE, seed=0)
    print(f"example's settings: {before.mean():.2f} bikes an hour, best settings: {after.mean():.2f}")
    print(
        f"difference {(after - before).mean():+.2f}, {CONFIDENCE:.0%} interval [{low:+.2f}, {high:+.2f}], on "
        f"{len(rows.time)} hours of {len(np.unique(days))} days that chose nothing"
    )
    print("better" if high < 0 else "not shown to be better" if low <= 0 else "worse")
    return low, high


def errors(project: Project, material: Material, rows: Any, settings: dict[str, Any]) -> NDArray[np.float64]:
    """Absolute error of each row, the mean over trainings of several seeds. Shapes: [N]."""
    made = []
    for seed in SEEDS:
        tried = applied(project, {**settings, "training.seed": seed})
        with tempfile.TemporaryDirectory() as scratch:
            parts, machine = material.parts(tried), devices(tried.training)
            trained = fit_parts(tried, parts, Path(scratch), material.sha256, machine, drawn=False)
        predicted = trained.model.answers(rows.only(tried.data.features).columns)[0].squeeze(1)
        made.append(np.abs(predicted - rows.target))
    mean: NDArray[np.float64] = np.mean(made, axis=0)
    return mean


if __name__ == "__main__":
    sys.exit(main())
