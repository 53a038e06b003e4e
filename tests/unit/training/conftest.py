"""A small project with a known law, for the tests of training."""

from __future__ import annotations

import datetime
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from staytrue.project import Project, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

YAML = """
name: toy
data:
  source: toy.csv
  time: at
  target: y
  features:
    x: {kind: numeric}
    hour: {kind: category, datatype: INT64}
    sky: {kind: category}
split: {block_days: 2}
model: {width: 16, depth: 1}
training: {loss: mse, learning_rate: 0.02, epochs: 30, patience: 10, batch_size: 64, averaging: 0.9}
export: {formats: [onnx], max_batch: 8}
retraining: {recency_half_life_days: 10, gate: {minimum_rows: 12, minimum_days: 3}}
"""
START = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
DAYS = 40


def table(days: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, hour, sky and y of ``days`` days of 24 hours; ``shift`` is added to y."""
    draw = np.random.default_rng(seed)
    x, hour = draw.normal(size=24 * days), np.tile(np.arange(24), days)
    sky = draw.choice(["sun", "rain", "fog"], 24 * days)
    y = 10 + 3 * x + 0.5 * hour - 4 * (sky == "rain") + shift + draw.normal(0, 0.3, 24 * days)
    return x, hour, sky, y


def write_project(folder: Path) -> Project:
    """Forty days of hourly rows, on disk."""
    x, hour, sky, y = table(DAYS, seed=1)
    lines = ["at,x,hour,sky,y"]
    for index in range(len(x)):
        at = (START + datetime.timedelta(hours=index)).isoformat()
        lines.append(f"{at},{x[index]:.6f},{hour[index]},{sky[index]},{y[index]:.6f}")
    (folder / "toy.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "staytrue.yaml").write_text(YAML, encoding="utf-8")
    return load(folder / "staytrue.yaml")


@pytest.fixture(scope="module", autouse=True)
def _undrawn() -> Iterator[None]:
    """No learning curve: to draw it takes longer than most trainings here; ``test_run.py`` looks at one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.run.draw", lambda *_: None)
        yield


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """One of the test's own."""
    return write_project(tmp_path)


@pytest.fixture
def serve(project: Project) -> Callable[[int, float], float]:
    """Serve and label some days of the test's own project."""
    return partial(serve_days, project)


def serve_days(project: Project, days: int, shift: float) -> float:
    """Serve and label some days after the project's own, y shifted; gives the event time at their end."""
    lake = project.monitoring.data / "lake"
    x, hour, sky, y = table(days, seed=2, shift=shift)
    for day in range(days):
        start = START + datetime.timedelta(days=DAYS + day)
        which = range(24 * day, 24 * (day + 1))
        times = [start.timestamp() + 3600.0 * i for i in range(24)]
        events = {"event_id": [f"e{i}" for i in which], "row": [0] * 24, "time": times, "status": ["ok"] * 24}
        inputs = {"input_x": x[which], "input_hour": hour[which], "input_sky": sky[which]}
        known = [time + 60 for time in times]
        labels = {"event_id": events["event_id"], "row": [0] * 24, "truth": y[which], "truth_text": [""] * 24}
        for kind, columns in (
            ("events/model=toy", events | inputs | {"role": ["champion"] * 24}),
            ("labels", labels | {"known": known, "received": known}),
        ):
            folder = lake / kind / f"day={start:%Y-%m-%d}"
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(columns), folder / "part.parquet")
    return (START + datetime.timedelta(days=DAYS + days)).timestamp()
