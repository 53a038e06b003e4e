"""Served: what the steps clip and fill, the exported graph clips and fills, proven in the server's own runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from serving.runtimes.onnx import OnnxRuntime
from staytrue.preparation import CleaningSection
from staytrue.signature import MISSING_INTEGER
from staytrue.store import Store
from training import checkpoint as checkpoints
from training.retrain import publish_run
from training.run import train

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.project import Project

CLEANING = {
    "outliers": {"method": "iqr", "action": "clip", "columns": ["x"]},
    "missing": {
        "method": "mean",
        "columns": {"sky": {"method": "constant", "value": "none"}, "hour": {"method": "mode"}},
    },
}


def spoil(project: Project) -> None:
    """Take away every ninth x and every eleventh sky, every thirteenth hour; every fiftieth x is absurd."""
    path = project.data.source
    assert path is not None
    head, *lines = path.read_text().splitlines()
    for place, line in enumerate(lines):
        at, x, hour, sky, y = line.split(",")
        x = "" if place % 9 == 0 else "70" if place % 50 == 0 else x
        sky, hour = "" if place % 11 == 0 else sky, "" if place % 13 == 0 else hour
        lines[place] = f"{at},{x},{hour},{sky},{y}"
    path.write_text("\n".join([head, *lines]) + "\n")


@pytest.fixture
def ask(project: Project, tmp_path: Path) -> Any:
    """Train, export, prove, publish; gives predictions of the published file and the states of its encoder."""
    spoil(project)
    both = project.export.model_copy(update={"formats": ["onnx", "torchscript"]})
    cleaned = {"cleaning": CleaningSection.model_validate(CLEANING), "export": both}
    project = project.model_copy(update=cleaned)
    folder = train(project)
    bundle = publish_run(Store(tmp_path / "store"), folder, project)
    assert {proof.format for proof in bundle.parity if proof.passed} == {"onnx", "torchscript"}
    file = Store(tmp_path / "store").path(bundle.name, bundle.version) / "model.onnx"
    runtime = OnnxRuntime(file, bundle.signature)
    checkpoint, _, model = checkpoints.load(folder)

    def answer(x: float = 0.0, hour: int = 3, sky: str = "sun") -> float:
        row = {
            "x": np.array([[x]], np.float32),
            "hour": np.array([[hour]]),
            "sky": np.array([[sky]], dtype=object),
        }
        return float(runtime.run(row)["y"][0, 0])

    return answer, {state.name: state for state in model.encoder.states}, checkpoint


def test_the_published_graph_clips_and_fills_as_the_steps_did(ask: Any) -> None:
    """To the bit: an absurd number is the bound, a missing one the mean, a missing name or code its fill."""
    answer, states, checkpoint = ask
    cleaning = checkpoints.cleaning_of(checkpoint)
    assert cleaning.outliers is not None
    assert cleaning.missing is not None
    bounds = cleaning.outliers.clips["x"]
    assert -5 < bounds.low < -2
    assert 2 < bounds.high < 5
    assert answer(x=1e6) == answer(x=70) == answer(x=bounds.high)
    assert answer(x=-np.inf) == answer(x=bounds.low)
    assert answer(x=bounds.high) != answer(x=bounds.high - 0.5)
    assert answer(x=np.nan) == answer(x=states["x"].fill)
    fills = {fill.name: fill.value for fill in cleaning.missing.fills}
    assert states["x"].fill == fills["x"]
    assert answer(sky="") == answer(sky="none") != answer(sky="snow")
    hour = fills["hour"]
    assert isinstance(hour, int | float)
    assert answer(hour=MISSING_INTEGER) == answer(hour=int(hour)) != answer(hour=99)
    assert states["sky"].sent == ["fog", "none", "rain", "sun", ""]
