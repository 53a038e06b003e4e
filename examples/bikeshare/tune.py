"""Tunes the example in at most five minutes and judges what it found: ``python -m examples.bikeshare.tune``.

The whole year is used, as four months leave too few days to judge by, and every other week of it is set aside: no row
of these is among those that are prepared, split, trained on or chosen by. The other weeks are a project like any other,
whose validation part stops the trainings and chooses the trial, and whose test part stays sealed. On those set aside
the best settings are compared hour by hour with two others: with the defaults, which is what a model is made of where
sections ``model`` and ``training`` of the project say nothing, and with those of the example, which were chosen by hand
on all of this year. It ends with 0 if the best settings are better than the defaults, the whole interval below 0.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from export.intervals import interval
from staytrue.errors import Conflict
from staytrue.modelling import ModelSection
from staytrue.project import load
from staytrue.sections import TrainingSection
from training.data.collect.source import collect
from training.devices import devices
from training.evaluate.blocks import blocks_of
from training.prepare import prepare
from training.run import fit_parts
from training.tune import report
from training.tune.material import Material
from training.tune.search import search
from training.tune.settings import check, resolved
from training.tune.space import applied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from staytrue.project import Project
    from training.data.rows import Rows

HERE = Path(__file__).parent
FROM = "    FROM source"
FOUR_MONTHS = " WHERE day <= 120"
WEEK = "least((day::INTEGER - 1) // 7, 51)"
"""Of the year, from 0; its last day belongs to the week before."""
EVERY, CONFIDENCE = 2, 0.95
"""So manyth weeks are set aside."""
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
    file, aside = write_weeks(given.output, EVERY)
    project = resolved(file, minutes=given.minutes, trials=given.trials)
    check(project)
    material = Material.of(prepare(project))
    folder = given.output / "tuning" / project.name
    study, _ = search(project, file, material, folder, until=began + 60 * given.minutes, say=print)
    found = report.lines(study)
    report.write(study)
    best = report.best(found)
    if best is None:
        raise Conflict(str(study.folder), "no trial came to its end")
    print(report.table(found, study.measure))
    rivals = {"the defaults": defaults(project), "the example's settings": project}
    spans = compare(rivals, applied(project, best.settings), material, aside)
    return int(spans["the defaults"][1] >= 0)


def write_year(folder: Path) -> Path:
    """The example's project file for all of the year, with the data beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    text = (HERE / "staytrue.yaml").read_text(encoding="utf-8")
    if FOUR_MONTHS not in text:
        raise Conflict("staytrue.yaml", f"its query lacks{FOUR_MONTHS}")
    (folder / "staytrue.yaml").write_text(text.replace(FOUR_MONTHS, ""), encoding="utf-8")
    shutil.copy(HERE / "hourly.csv", folder / "hourly.csv")
    return folder / "staytrue.yaml"


def write_weeks(folder: Path, every: int) -> tuple[Path, Rows]:
    """The example's project file for the year without every so manyth week; and the rows of these weeks."""
    file = write_year(folder)
    whole = load(file)
    set_aside = f"{WEEK} % {every} = {every - 1}"
    aside = whole.data.model_copy(update={"query": f"{whole.data.query.strip()} WHERE {set_aside}"})
    rows, _ = collect(aside, whole.model.task)
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(FROM, f"{FROM} WHERE NOT {set_aside}"), encoding="utf-8")
    return file, rows


def defaults(project: Project) -> Project:
    """The project as it is without a word on model and training but what it predicts."""
    plain = ModelSection(task=project.model.task)
    return project.model_copy(update={"model": plain, "training": TrainingSection(threads=project.training.threads)})


def compare(
    rivals: Mapping[str, Project], best: Project, material: Material, rows: Rows
) -> dict[str, tuple[float, float]]:
    """Print the errors on rows that nothing was trained, stopped or chosen by; the interval of each difference.

    Days are drawn, not hours, which are alike within a day (:mod:`training.evaluate.blocks`).
    """
    blocks = blocks_of(rows, best.split)
    after = errors(best, material, rows)
    print(f"on {len(rows)} hours of {blocks.count} {blocks.what} that chose nothing:")
    print(f"  best settings: {after.mean():.2f} bikes an hour")
    spans = {}
    for name, rival in rivals.items():
        before = errors(rival, material, rows)
        low, high = spans[name] = interval(after - before, blocks.numbers, CONFIDENCE, seed=0)
        verdict = "better" if high < 0 else "not shown to be better" if low <= 0 else "worse"
        difference = f"{(after - before).mean():+.2f}, {CONFIDENCE:.0%} interval [{low:+.2f}, {high:+.2f}]"
        print(f"  {name}: {before.mean():.2f}; difference {difference}: {verdict}", flush=True)
    return spans


def errors(project: Project, material: Material, rows: Rows) -> NDArray[np.float64]:
    """Absolute error of each row, the mean over trainings of several seeds. Shapes: [N]."""
    made = []
    for seed in SEEDS:
        tried = applied(project, {"training.seed": seed})
        with tempfile.TemporaryDirectory() as scratch:
            parts, machine = material.parts(tried), devices(tried.training)
            trained = fit_parts(tried, parts, Path(scratch), material.sha256, machine, drawn=False)
        predicted = trained.model.answers(rows.only(tried.data.features).columns)[0].squeeze(1)
        made.append(np.abs(predicted - rows.target))
    mean: NDArray[np.float64] = np.mean(made, axis=0)
    return mean


if __name__ == "__main__":
    sys.exit(main())
