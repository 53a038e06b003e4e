"""Tunes the example in at most five minutes and judges what it found: ``python -m examples.bikeshare.tune``.

The whole year is used, as four months leave too few days to judge by, and every other week of it is set aside: no row
of these is among those that are prepared, split, trained on or chosen by. The other weeks are a project like any other,
whose validation part stops the trainings and chooses the trials, and whose test part stays sealed. What is found is the
best settings, and the best few as one model (``tuning.ensemble``). On the weeks set aside both are compared by hours
with the example's own settings, which were chosen by hand on all of this year, and with the defaults, which is what a
model is made of where sections ``model`` and ``training`` of the project say nothing. It ends with 0 if the best few
together are better than either, the whole interval below 0.
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
from training.tune.together import best_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    print(report.table(found, study.measure))
    few = [applied(project, line.settings) for line in best_of(found, project.tuning.ensemble)]
    rivals = {"the example's settings": project, "the defaults": defaults(project)}
    spans = compare(rivals, {"the best settings": few[:1], f"the best {len(few)} together": few}, material, aside)
    *_, together = spans.values()
    return int(any(high >= 0 for _, high in together.values()))


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
    rivals: Mapping[str, Project], found: Mapping[str, Sequence[Project]], material: Material, rows: Rows
) -> dict[str, dict[str, tuple[float, float]]]:
    """Print errors on rows that nothing was trained, stopped or chosen by; intervals by what was found, then by rival.

    Several projects answer by the mean of what each predicts. Days are drawn, not hours, which are alike within a day
    (:mod:`training.evaluate.blocks`).
    """
    blocks = blocks_of(rows, next(iter(rivals.values())).split)
    before = {name: errors([rival], material, rows) for name, rival in rivals.items()}
    print(f"on {len(rows)} hours of {blocks.count} {blocks.what} that chose nothing, bikes an hour:")
    spans: dict[str, dict[str, tuple[float, float]]] = {}
    for what, projects in found.items():
        after = errors(projects, material, rows)
        print(f"  {what}: {after.mean():.2f}")
        spans[what] = {}
        for name, error in before.items():
            low, high = spans[what][name] = interval(after - error, blocks.numbers, CONFIDENCE, seed=0)
            verdict = "better" if high < 0 else "not shown to be better" if low <= 0 else "worse"
            difference = f"{(after - error).mean():+.2f}, {CONFIDENCE:.0%} interval [{low:+.2f}, {high:+.2f}]"
            print(f"    {name}, {error.mean():.2f}: {difference}: {verdict}", flush=True)
    return spans


def errors(projects: Sequence[Project], material: Material, rows: Rows) -> NDArray[np.float64]:
    """Absolute error of each row of what the projects predict in the mean, itself the mean over several seeds.

    Shapes: [N].
    """
    made = []
    for seed in SEEDS:
        seeded = [applied(project, {"training.seed": seed}) for project in projects]
        predicted = np.mean([predictions(project, material, rows) for project in seeded], axis=0)
        made.append(np.abs(predicted - rows.target))
    mean: NDArray[np.float64] = np.mean(made, axis=0)
    return mean


def predictions(project: Project, material: Material, rows: Rows) -> NDArray[np.float32]:
    """Of a model that is trained for it. Shapes: [N]."""
    with tempfile.TemporaryDirectory() as scratch:
        parts, machine = material.parts(project), devices(project.training)
        trained = fit_parts(project, parts, Path(scratch), material.sha256, machine, drawn=False)
    predicted: NDArray[np.float32] = trained.model.answers(rows.only(project.data.features).columns)[0].squeeze(1)
    return predicted


if __name__ == "__main__":
    sys.exit(main())
