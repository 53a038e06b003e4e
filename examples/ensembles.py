"""Ensembles beside their best members: ``python -m examples.ensembles [digits] [fashion] [bikes]``.

For each of the examples it trains members of several architectures, sizes and seeds, combines them by the mean and by
weights, and exports members and ensembles. Then the server's own runtime asks each of them for rows that no training
was given: the pictures that come later, every fourth week of the year. The member that is best by
the validation rows is compared with the ensemble row by row. The test splits of the projects stay sealed.

All that is measured is printed, whatever it shows. It ends with 0 if the mean of all is better than its best member by
a measure, the whole interval of the difference below 0, on at least two data sets (on the one, if one is asked for).
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from examples.album import LATER
from examples.bikeshare.tune import write_weeks
from examples.digits import prepare as digits
from examples.fashion import prepare as fashion
from export.intervals import interval
from serving.runtimes.onnx import OnnxRuntime
from staytrue.errors import NotFound
from staytrue.project import load
from staytrue.sections import ExportSection
from staytrue.store import Store
from training.data.collect.source import collect
from training.data.split.plan import day_of
from training.ensemble.combine import combine
from training.retrain import publish_run
from training.run import train

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from staytrue.bundle import Bundle
    from staytrue.project import Project
    from training.data.rows import Rows

HERE = Path(__file__).parent
CONFIDENCE = 0.95
EVERY = 4
"""Of the year, every fourth week is kept to judge by."""
LEAST = 2
"""Data sets on which a mean shall be shown to beat its best member."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One of the examples: what is trained on, what is judged by, and who the members are."""

    prepare: Callable[[Path], tuple[Project, Rows]]
    members: Sequence[dict[str, dict[str, Any]]]
    """Settings by section that each changes."""
    days: bool
    """Whether rows of one day hang together, so that whole days are drawn and not rows."""


def main(given: Sequence[str] | None = None) -> int:
    """Run the cases asked for; 1 if a mean is shown to beat its best member on fewer than it shall."""
    parser = argparse.ArgumentParser(prog="python -m examples.ensembles", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; none: all")
    asked = parser.parse_args(given)
    unknown = sorted(set(asked.cases) - set(CASES))
    if unknown:
        parser.error(f"no case {unknown[0]}: there are {', '.join(CASES)}")
    cases, shown = list(dict.fromkeys(asked.cases or CASES)), []
    for name in cases:
        try:
            with tempfile.TemporaryDirectory() as scratch:
                if run(name, CASES[name], Path(scratch)):
                    shown.append(name)
        except NotFound as error:
            print(f"{name}: not measured: {error}")
        sys.stdout.flush()
    least = min(LEAST, len(cases))
    named = f" ({', '.join(shown)})" if shown else ""
    print(
        f"the mean is shown to beat its best member on {len(shown)} of {len(cases)} data sets{named}; {least} shall be"
    )
    return int(len(shown) < least)


def run(name: str, case: Case, folder: Path) -> bool:
    """Train, combine, export, judge, print; whether the mean of all is better than the best member."""
    project, rows = case.prepare(folder)
    runs = [train(changed(project, change), opening="skip") for change in case.members]
    made = {"mean": combine(project, runs, "mean"), "weighted": combine(project, runs, "weighted")}
    lines, measure = made["mean"][1].members, next(iter(made["mean"][1].ensemble.measures))
    best = min(range(len(runs)), key=lambda place: lines[place].measures[measure])
    asked = {f"member {lines[best].run}": runs[best]} | {method: path for method, (path, _) in made.items()}
    project = project.model_copy(update={"export": ExportSection(formats=["onnx"], max_batch=256)})
    store = Store(project.store)
    costs = {who: errors(store, publish_run(store, path, project), rows) for who, path in asked.items()}
    alone, *_ = costs.values()
    blocks = day_of(rows.time) if case.days else np.arange(len(rows))
    counted = f"{len(rows)} rows that no training saw" + (f", of {len(np.unique(blocks))} days" if case.days else "")
    print(f"{name}: {len(runs)} members, {counted}")
    better = {}
    for what in alone:
        print(f"  {what}: best member by validation ({lines[best].architecture}) {alone[what].mean():.4g}")
        for method in made:
            difference = costs[method][what] - alone[what]
            low, high = interval(difference, blocks, CONFIDENCE, seed=0)
            verdict = "better" if high < 0 else "not shown to be better" if low <= 0 else "worse"
            spread = f"{CONFIDENCE:.0%} interval [{low:+.4g}, {high:+.4g}]"
            print(f"    {method} {costs[method][what].mean():.4g}, {difference.mean():+.4g}, {spread}: {verdict}")
            better[what, method] = high < 0
    return any(better[what, "mean"] for what in alone)


def errors(store: Store, bundle: Bundle, rows: Rows) -> dict[str, NDArray[np.float64]]:
    """What each row costs a version, by measure, asked in the server's own runtime. Shapes: [N] each."""
    runtime = OnnxRuntime(store.path(bundle.name, bundle.version) / bundle.artefacts["onnx"], bundle.signature)
    inputs = {spec.name: rows.inputs()[spec.name] for spec in bundle.signature.inputs}
    parts = [
        runtime.run({name: column[begin : begin + bundle.max_batch] for name, column in inputs.items()})
        for begin in range(0, len(rows), bundle.max_batch)
    ]
    runtime.close()
    first, *others = (np.concatenate([part[spec.name] for part in parts]) for spec in bundle.signature.outputs)
    if bundle.task == "regression":
        return {"absolute error": np.abs(first[:, 0].astype(np.float64) - rows.target)}
    places = np.array([bundle.classes.index(name) for name in rows.target])
    likely = others[0][np.arange(len(rows)), places].astype(np.float64)
    return {"log loss": -np.log(np.maximum(likely, 1e-12)), "error rate": (first[:, 0] != rows.target).astype(float)}


def changed(project: Project, change: dict[str, dict[str, Any]]) -> Project:
    """The project with other settings in some sections."""
    sections = {
        name: type(getattr(project, name)).model_validate(
            getattr(project, name).model_dump(exclude_unset=True) | settings
        )
        for name, settings in change.items()
    }
    return project.model_copy(update=sections)


def later_digits(folder: Path) -> tuple[Project, Rows]:
    """Pictures of eight days to train on; the 600 after them to judge by."""
    digits.prepare(folder)
    return _judged_by(Path(shutil.copy(HERE / "digits/staytrue.yaml", folder)), folder / LATER)


def weeks_of_bikes(folder: Path) -> tuple[Project, Rows]:
    """The whole year without every fourth week; those weeks to judge by."""
    file, rows = write_weeks(folder, EVERY)
    return load(file), rows


def later_articles(folder: Path) -> tuple[Project, Rows]:
    """12,000 pictures to train on; the 3,000 after them to judge by."""
    fashion.prepare(folder)
    return _judged_by(Path(shutil.copy(HERE / "fashion/staytrue.yaml", folder)), folder / LATER)


def _judged_by(file: Path, later: Path) -> tuple[Project, Rows]:
    project = load(file)
    rows, _ = collect(project.data.model_copy(update={"source": later}), project.model.task)
    return project, rows


def _seeds(*models: dict[str, Any], **training: Any) -> list[dict[str, dict[str, Any]]]:
    return [{"model": model, "training": training | {"seed": seed, "threads": 2}} for seed, model in enumerate(models)]


MLP = {"architecture": "mlp", "width": 64, "depth": 1}

CASES = {
    "digits": Case(later_digits, _seeds(MLP, MLP | {"depth": 2}, MLP | {"width": 128}, MLP, MLP), days=False),
    "fashion": Case(
        later_articles, _seeds(MLP, MLP | {"depth": 2}, MLP | {"width": 128}, MLP | {"width": 96}, MLP), days=False
    ),
    "bikes": Case(weeks_of_bikes, _seeds({}, {"depth": 2}, {"width": 96}, {}, {}, epochs=30), days=True),
}

if __name__ == "__main__":
    sys.exit(main())
