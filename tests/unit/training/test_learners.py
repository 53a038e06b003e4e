"""Learners: whatever learns from data refuses rows that a split has not dealt to training."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from staytrue.feature import Feature
from staytrue.preparation import CleaningSection, DataSection
from staytrue.repairs import MissingSection, NoiseSection, OutlierSection, TargetSection
from training.data import columns
from training.data.clean import imputers, missing, noise, outliers, steps, targets
from training.data.encode import encoder
from training.data.rows import Rows, TrainingRows
from training.data.schema import infer
from training.data.split.coordinates import Coordinates
from training.models.regressor import Scale

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
FEATURES = {"x": Feature(kind="numeric"), "z": Feature(kind="numeric")}
DATA = DataSection(source=Path("d.csv"), time="t", target="y", features=FEATURES)
GAPS = MissingSection(method="mean")

LEARNERS: dict[str, Callable[[Any], Any]] = {
    "cleaning": lambda rows: steps.apply(rows, FEATURES, CleaningSection()),
    "sparse columns": lambda rows: missing.sparse_columns(rows, FEATURES, CleaningSection(max_missing_column=0.5)),
    "fills": lambda rows: missing.fit(rows, FEATURES, GAPS),
    "neighbours": lambda rows: imputers.fit_neighbours(rows, ["x"], GAPS),
    "regressions": lambda rows: imputers.fit_regressions(rows, ["x", "z"], GAPS),
    "outliers by deviations": lambda rows: outliers.fit(rows, ["x"], OutlierSection(method="zscore")),
    "outliers by medians": lambda rows: outliers.fit(rows, ["x"], OutlierSection(method="robust_z")),
    "outliers by quartiles": lambda rows: outliers.fit(rows, ["x"], OutlierSection(method="iqr")),
    "outliers by a forest": lambda rows: outliers.fit(rows, ["x"], OutlierSection(method="isolation_forest", trees=2)),
    "outliers of the target": lambda rows: targets.fit(rows, TargetSection(method="iqr")),
    "noise": lambda rows: noise.fit(rows, NoiseSection(method="hampel", columns=["x"])),
    "the encoder": lambda rows: encoder.learn(rows, FEATURES),
    "the target's scale": lambda rows: Scale.of(rows, np.ones(len(rows)), "linear"),
    "the schema": lambda rows: infer.infer(rows, DATA),
    "what near means": lambda rows: Coordinates(rows, FEATURES, 0.02),
    "what is shown": lambda rows: columns.chapter(rows, FEATURES, "y"),
}


def rows() -> Rows:
    """Six rows of two columns."""
    draw = np.random.default_rng(0)
    made = {name: draw.normal(size=6).astype(np.float32) for name in FEATURES}
    return Rows(np.arange(6.0), made, draw.normal(size=6))


@pytest.mark.parametrize("learner", LEARNERS)
def test_what_learns_takes_rows_that_train_and_refuses_others(learner: str) -> None:
    plain = rows()
    LEARNERS[learner](TrainingRows(plain.time, plain.columns, plain.target))
    with pytest.raises(TypeError, match="statistics are learnt from training rows alone"):
        LEARNERS[learner](plain)


def test_each_function_that_learns_from_rows_asks_for_those_that_train() -> None:
    """A function of the kitchen called fit or learn that is given rows names the type; new ones cannot forget it."""
    found: dict[str, str] = {}
    for folder in ("clean", "encode"):
        for path in sorted((ROOT / "training" / "data" / folder).glob("*.py")):
            module = import_module(f"training.data.{folder}.{path.stem}")
            for name, function in inspect.getmembers(module, inspect.isfunction):
                if function.__module__ == module.__name__ and name.split("_")[0] in {"fit", "learn"}:
                    first = next(iter(inspect.signature(function).parameters.values()))
                    found[f"{path.stem}.{name}"] = f"{first.name}: {first.annotation}"
    of_rows = {name: said for name, said in found.items() if said.startswith("rows")}
    assert set(of_rows.values()) == {"rows: TrainingRows"}
    assert {"missing.fit", "outliers.fit", "targets.fit", "noise.fit", "encoder.learn"} <= of_rows.keys()
    # Others see one column that the encoder has taken out of such rows.
    assert {said for name, said in found.items() if name not in of_rows} == {"name: str"}
