"""All kinds in one project: from the source through training and export to an answer, and back through the lake."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitoring.ingest.entries import event_rows
from serving.runtimes.onnx import OnnxRuntime
from staytrue.events import Event, Tensor
from staytrue.project import Project, load
from staytrue.signature import MISSING_INTEGER
from staytrue.store import Store
from training import checkpoint as checkpoints
from training.data.encode.encoder import learn
from training.data.labelled import labelled
from training.models.regressor import Regressor
from training.prepare import prepare
from training.retrain import publish_run
from training.run import train

if TYPE_CHECKING:
    from pathlib import Path

YAML = """
name: mixed
data:
  source: mixed.parquet
  time: at
  target: y
  features:
    x: {kind: numeric, scale: robust, fill: mean, unit: km, description: how far it is}
    town: {kind: category, encoding: embedding, width: 2}
    due: {kind: date, parts: [year, month, hour]}
    view: {kind: image, shape: [6, 6, 3], layout: channels_last, resize: [4, 4], normalise: half}
    note: {kind: text, shape: [8]}
    path: {kind: sequence, shape: [4, 2]}
split: {block_days: 2}
model: {width: 8, depth: 1}
training: {loss: mse, learning_rate: 0.02, epochs: 8, batch_size: 64}
export: {max_batch: 8}
"""
START = datetime.datetime(2024, 1, 1)  # noqa: DTZ001 - UTC where nothing else is said
DAYS = 40


def write(folder: Path, change: float = 0.0) -> Project:
    """A row every two hours; ``change`` is added to x of the rows that do not train."""
    draw, count = np.random.default_rng(0), 12 * DAYS
    path = folder / "mixed.parquet"
    columns: dict[str, Any] = {
        "at": [START + datetime.timedelta(hours=2 * i) for i in range(count)],
        "x": draw.normal(size=count),
        "town": draw.choice(["ulm", "bonn", "kiel"], count).tolist(),
        "due": [START + datetime.timedelta(hours=int(h)) if h else None for h in draw.integers(0, 50_000, count)],
        "view": pa.array(list(draw.integers(0, 256, (count, 108)).astype(np.uint8))),
        "note": draw.choice(["grün", "red, and more", "", "noir"], count).tolist(),
        "path": [draw.normal(size=(n, 2)).tolist() for n in draw.integers(1, 5, count)],
    }
    columns["y"] = 3 * columns["x"] + (np.array(columns["town"]) == "ulm")
    pq.write_table(pa.table(columns), path)
    (folder / "staytrue.yaml").write_text(YAML, encoding="utf-8")
    project = load(folder / "staytrue.yaml")
    if change:
        parts = prepare(project).split.parts
        others = [*parts["validation"], *parts["test"]]
        columns["x"][others] += change
        columns["town"] = np.array(columns["town"], dtype=object)
        columns["town"][others] = "rom"
        pq.write_table(pa.table(columns), path)
    return project


def test_every_kind_is_trained_exported_proven_and_answered(tmp_path: Path) -> None:
    project = write(tmp_path)
    run = train(project)
    record, profile, model = checkpoints.load(run)
    assert isinstance(model, Regressor)
    assert [(spec.name, spec.label()) for spec in record.signature.inputs] == [
        ("x", "FP32 [-1,1]"),
        ("town", "BYTES [-1,1]"),
        ("due", "INT64 [-1,1]"),
        ("view", "UINT8 [-1,6,6,3]"),
        ("note", "UINT8 [-1,8]"),
        ("path", "FP32 [-1,4,2]"),
    ]
    trained = prepare(project).training.columns
    far, _, due, *others = record.signature.inputs
    assert (far.unit, far.description) == ("km", "how far it is")
    assert far.range == [np.nanmin(trained["x"]), np.nanmax(trained["x"])]
    there = trained["due"][trained["due"] != MISSING_INTEGER]
    assert due.range == [there.min(), there.max()]
    assert [spec.range for spec in others] == [[]] * 3
    watched = [column.name for column in profile.columns]
    assert watched[:2] == ["x", "town"]
    assert not {"due", "note", "path"} & set(watched)  # a date always moves on
    bundle = publish_run(Store(project.store), run, project)
    assert {proof.format for proof in bundle.parity} == {"onnx", "torchscript"}
    rows = prepare(project).validation
    runtime = OnnxRuntime(Store(project.store).path("mixed", bundle.version) / "model.onnx", bundle.signature)
    got = runtime.run(rows.take(np.arange(8)).inputs())["y"]
    np.testing.assert_allclose(got[:, 0], model.predict(rows.take(np.arange(8)).columns), rtol=1e-3, atol=1e-4)


def test_what_was_served_is_learnt_from_as_it_was_sent(tmp_path: Path) -> None:
    """Through the event log's rows, as the lake keeps them: pictures, texts and sequences are flat lists there."""
    project = write(tmp_path)
    sent = prepare(project).validation.take(np.arange(3))
    names = {"float32": "FP32", "int64": "INT64", "uint8": "UINT8", "object": "BYTES"}
    inputs = [Tensor.of(name, names[str(array.dtype)], array) for name, array in sent.inputs().items()]
    at = START.replace(tzinfo=datetime.UTC).timestamp()
    event = Event(id="e", time=at, recorded=at, request_id="", model="mixed", version="1", rows=3, inputs=inputs)
    labels = [
        {"event_id": "e", "row": i, "truth": 1.0 * i, "truth_text": "", "known": at, "received": at} for i in range(3)
    ]
    lake = project.monitoring.data / "lake"
    for kind, entries in (("events/model=mixed", event_rows(event)), ("labels", labels)):
        folder = lake / kind / "day=2024-01-01"
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(entries), folder / "part.parquet")
    found = labelled(project, since=at - 1, until=at + 1).rows
    assert found.target.tolist() == [0, 1, 2]
    for name, column in sent.columns.items():
        np.testing.assert_array_equal(found.columns[name], column, err_msg=name)


def test_states_know_nothing_of_rows_that_do_not_train(tmp_path: Path) -> None:
    """Another validation and test part, with absurd numbers and a new town, leaves every statistic as it was."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain, changed = (write(tmp_path / name, change) for name, change in (("a", 0.0), ("b", 1e6)))
    first, second = (learn(prepare(one).training, one.data.features) for one in (plain, changed))
    assert msgspec.json.encode(first) == msgspec.json.encode(second)
    assert float(prepare(changed).validation.columns["x"].mean()) == pytest.approx(1e6, rel=1e-3)
