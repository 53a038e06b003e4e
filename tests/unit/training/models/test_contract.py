"""The contract of all architectures and tasks: whatever goes together trains, is exported, proven, and served alike.

Each pair trains, is saved and read again; :data:`WHOLE` ones go on to a version in a store, which the runtime of the
server loads: each architecture with two tasks, each task with two architectures or more. An architecture comes in by
standing in the registry, a task by standing in ``TASKS``.
"""

from __future__ import annotations

import datetime
import inspect
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from export.comparison import compare
from export.parity import eager
from export.tolerance import Tolerance
from serving.runtimes.onnx import OnnxRuntime
from staytrue.project import Project
from staytrue.store import Store
from training import checkpoint as checkpoints
from training.models.architectures import ARCHITECTURES
from training.reference import sample
from training.retrain import publish_run
from training.run import train

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Rows = dict[str, NDArray[Any]]

ROWS, DAYS = 90, 15
START = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
FEATURES: dict[str, dict[str, Any]] = {
    "numeric": {"kind": "numeric"},
    "category": {"kind": "category"},
    "image": {"kind": "image", "shape": [1, 6, 5]},
    "text": {"kind": "text", "shape": [10]},
    "sequence": {"kind": "sequence", "shape": [3, 2]},
}
TASKS: dict[str, dict[str, Any]] = {
    "binary": {"target": "yes", "task": "classification"},
    "multiclass": {"target": "third", "task": "classification"},
    "multilabel": {"target": ["high", "odd"], "task": "multilabel"},
    "regression": {"target": "y", "task": "regression"},
    "targets": {"target": ["y", "count"], "task": "regression", "output": "positive"},
    "quantiles": {"target": "y", "task": "regression", "quantiles": [0.1, 0.5, 0.9]},
    "generation": {"target": "y", "task": "generation"},
}
OUTPUTS = {
    "binary": ["BYTES [-1,1]", "FP32 [-1,2]"],
    "multiclass": ["BYTES [-1,1]", "FP32 [-1,3]"],
    "multilabel": ["BOOL [-1,2]", "FP32 [-1,2]"],
    "regression": ["FP32 [-1,1]"],
    "targets": ["FP32 [-1,1]", "FP32 [-1,1]"],
    "quantiles": ["FP32 [-1,1]", "FP32 [-1,3]"],
    "generation": ["FP32 [-1,1,6,5]"],
}
SMALL = {"width": 4, "depth": 1, "heads": 2, "patch": 4, "latent": 3, "critic_steps": 1, "bidirectional": False}
PARTS: dict[str, dict[str, Any]] = {
    "mlp": {"links": "residual", "normalisation": "batch", "activation": "gelu"},
    "resnet": {"links": "dense", "block": "bottleneck", "normalisation": "group", "memory_format": "channels_last"},
    "inception": {"attention": "channel", "activation": "silu", "stem": "pooled"},
    "rnn": {"bidirectional": True, "pooling": "attention"},
    "lstm": {"bidirectional": True, "pooling": "max"},
    "gru": {"bidirectional": True, "stride": 2},
}
"""What an architecture of many parts has in its first task: what is hard on a graph."""
FORMATS = ["onnx", "torchscript", "pt2", "ort"]
"""Of an architecture's first task; of the others the first two, which are the default."""


def generates(name: str) -> bool:
    """Whether an architecture makes pictures."""
    return bool(getattr(ARCHITECTURES[name], "GENERATES", False))


PAIRS = [(name, task) for name in ARCHITECTURES for task in TASKS if generates(name) == (task == "generation")]

OTHERS = [task for task in TASKS if task not in ("binary", "generation")]
WHOLE = {
    (name, task)
    for place, name in enumerate(ARCHITECTURES)
    for task in ("binary", "generation", OTHERS[place % len(OTHERS)], *(OTHERS if name == "mlp" else ()))
}
"""Pairs that are exported: what a task adds to a graph stands behind any body alike, and each need not meet each."""


def kinds_of(name: str, task: str) -> list[str]:
    """The features of a pair: with the first task all that go together, then each kind in turn.

    The classes of ``multiclass`` are those of sequences wherever an architecture takes any.
    """
    only = list(getattr(ARCHITECTURES[name], "KINDS", ()))
    if task == "multiclass" and "sequence" in (only or FEATURES):
        return ["sequence"]
    if task == "binary" and not only:
        return list(FEATURES)
    among = only or list(FEATURES)
    return [among[list(TASKS).index(task) % len(among)]]


def column(kind: str, told: NDArray[np.int64], draw: np.random.Generator) -> Any:
    """Values of a kind, which tell 0, 1 or 2 apart; texts and sequences of any length, from nothing on."""
    lengths = draw.integers(0, FEATURES[kind].get("shape", [1])[0] + 1, ROWS)
    if kind == "numeric":
        return [None if row % 11 == 0 else value for row, value in enumerate((draw.normal(size=ROWS) + told).tolist())]
    if kind == "category":
        return np.array(["a", "b", "c", "d"])[draw.integers(0, 2, ROWS) + told].tolist()
    if kind == "image":
        return (draw.integers(0, 100, (ROWS, 30)) + 60 * told[:, None]).tolist()
    if kind == "text":
        return [
            bytes(draw.integers(97, 105, size) + 8 * each).decode() for size, each in zip(lengths, told, strict=True)
        ]
    return [(draw.normal(size=(size, 2)) + each).tolist() for size, each in zip(lengths, told, strict=True)]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of every kind of feature and of target."""
    draw = np.random.default_rng(0)
    told = draw.permutation(np.arange(ROWS) % 3)
    columns: dict[str, Any] = {kind: column(kind, told, draw) for kind in FEATURES}
    columns |= {
        "time": [START + datetime.timedelta(hours=24 * DAYS * row / ROWS) for row in range(ROWS)],
        "yes": np.where(told > 0, "yes", "no"),
        "third": np.array(["low", "mid", "top"])[told],
        "high": told > 1,
        "odd": told % 2 == 1,
        "y": 50 + 100.0 * told + draw.normal(size=ROWS),
        "count": draw.poisson(2.0 + 5 * told),
    }
    path = tmp_path_factory.mktemp("contract") / "rows.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def project_of(name: str, task: str, source: Path, folder: Path) -> Project:
    """As small as can be; the first task of an architecture is exported in all formats."""
    told, first = dict(TASKS[task]), task == "binary"
    taken = inspect.signature(ARCHITECTURES[name]).parameters
    features = {kind: FEATURES[kind] for kind in kinds_of(name, task)}
    unread = set() if "image" in features else {"patch"}
    size = {key: value for key, value in SMALL.items() if key in taken.keys() - unread} | (
        PARTS.get(name, {}) if first else {}
    )
    return Project.model_validate(
        {
            "name": "contract",
            "store": folder / "store",
            "data": {"source": source, "time": "time", "target": told.pop("target"), "features": features},
            "split": {"block_days": 1, "validation": 0.3, "allow": ["duplicates", "near_duplicates"]},
            "model": {"architecture": name, **size, **told},
            "training": {"epochs": 4, "batch_size": 8, "averaging": 0.5, "learning_rate": 0.01, "schedule": "fixed"},
            "export": {"formats": FORMATS if first else FORMATS[:2], "max_batch": 9},
            "retraining": {"runs": folder / "runs"},
        }
    )


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pictures of the training: to draw them takes longer than to train."""
    for drawn in ("draw", "sheet"):
        monkeypatch.setattr(f"training.run.{drawn}", lambda *_: None)


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_whatever_goes_together_trains_and_serves_what_it_learnt(
    name: str, task: str, source: Path, tmp_path: Path
) -> None:
    project = project_of(name, task, source, tmp_path)
    run = train(project, opening="skip")
    losses = [msgspec.json.decode(line)["loss"] for line in (run / checkpoints.METRICS).read_bytes().splitlines()]
    assert task == "generation" or min(losses[1:]) < losses[0]
    record, reference, model = checkpoints.load(run)
    assert all(weight.isfinite().all() for weight in model.head.state_dict().values())
    rows = sample(reference, record.signature, pictures=checkpoints.pictures(run))
    asked = {name: values[:5] for name, values in rows.items()}
    expected = eager(model, record.signature, asked)
    assert [spec.label() for spec in record.signature.outputs] == OUTPUTS[task]
    assert {name: len(values) for name, values in expected.items()} == {
        spec.name: 5 for spec in record.signature.outputs
    }
    if (name, task) in WHOLE:
        published(project, run, expected, asked)


def published(project: Project, run: Path, expected: Rows, asked: Rows) -> None:
    """Exports are proven at batches of 1, 2, 7 and 9, with rows of no step, no byte and missing values among them."""
    store = Store(project.store)
    version = publish_run(store, run, project).version
    bundle, folder = store.load("contract", version), store.path("contract", version)
    proven = {(proof.format, proof.batch) for proof in bundle.parity}
    assert proven == {(form, batch) for form in project.export.formats for batch in (1, 2, 7, 9)}
    runtime = OnnxRuntime(folder / "model.onnx", bundle.signature)
    served = runtime.run(asked)
    runtime.close()
    assert {name: len(values) for name, values in served.items()} == dict.fromkeys(expected, 5)
    compare(bundle.signature, expected, served, Tolerance(bundle.signature, 1.0, project.export), "served")
