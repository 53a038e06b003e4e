"""Rows larger than memory: all that is made of mapped ones is what is made in memory, to the last bit."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from staytrue.errors import InvalidInput
from staytrue.project import load
from training import checkpoint as checkpoints
from training import stages
from training.batches import Batch
from training.data import mapped
from training.data.collect import columns as fetched
from training.data.collect.source import collect
from training.prepare import chapters, prepare
from training.run import train

if TYPE_CHECKING:
    from staytrue.project import Project

ROWS = 240
BEGIN = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
FEATURES: dict[str, dict[str, str]] = {
    "pictures": {
        "p": "{kind: image, shape: [1, 4, 4]}",
        "f": "{kind: image, shape: [2, 3, 3], datatype: FP32}",
    },
    "a table": {"x": "{kind: numeric}", "z": "{kind: numeric, scale: quantile}", "k": "{kind: category}"},
    "sequences": {"s": "{kind: sequence, shape: [6, 2]}", "t": "{kind: text, shape: [12]}"},
}
YAML = """
name: large
data: {{source: rows.parquet, time: at, target: y, features: {{{features}}}}}
cleaning: {{duplicates: drop, max_missing_row: 0.9{noise}}}
split: {{method: stratified, allow: [duplicates, near_duplicates]}}
model: {{width: 8, depth: 1}}
training: {{epochs: 1, batch_size: 32}}
"""


def columns(kind: str) -> dict[str, Any]:
    """Rows by chance, some with gaps and infinite numbers."""
    draw = np.random.default_rng(4)
    floats = draw.normal(size=(ROWS, 18)).astype(np.float32)
    floats[3, 4], floats[9, 1] = np.nan, np.inf
    words = np.array(["one", "another word", "something else altogether"])[draw.integers(0, 3, ROWS)]
    if kind == "pictures":
        return {"p": draw.integers(0, 256, (ROWS, 16)).astype(np.uint8).tolist(), "f": floats.tolist()}
    if kind == "sequences":
        lengths = draw.integers(0, 7, ROWS)
        return {"s": [floats[n, : 2 * k].tolist() for n, k in enumerate(lengths)], "t": words}
    return {"x": floats[:, 1], "z": floats[:, 4], "k": words}


def written(kind: str, folder: Path) -> Project:
    """A project whose rows are not in the order of time."""
    made = columns(kind)
    times = [BEGIN + datetime.timedelta(minutes=n * 7 % ROWS) for n in range(ROWS)]
    target = np.random.default_rng(5).normal(size=ROWS)
    pq.write_table(pa.table({"at": times, "y": target, **made}), folder / "rows.parquet")
    features = ", ".join(f"{name}: {told}" for name, told in FEATURES[kind].items())
    noise = ", noise: {method: rolling_mean, window: 3, columns: [s]}" if kind == "sequences" else ""
    (folder / "staytrue.yaml").write_text(YAML.format(features=features, noise=noise))
    return load(folder / "staytrue.yaml")


def made_of(project: Project) -> dict[str, Any]:
    """All that preparing and training leave."""
    prepared = prepare(project)
    stages.write(stages.shown(prepared.rows, prepared.split), project, project.folder / "parts.parquet")
    run = train(project, opening="force")
    checkpoint, reference, _ = checkpoints.load(run)
    return {
        "rows": prepared.rows.digest(),
        "fingerprint": prepared.fingerprint,
        "split": prepared.split,
        "chapters": chapters(project, prepared),
        "parts": (project.folder / "parts.parquet").read_bytes(),
        "reference": msgspec.json.encode(reference),
        "proofs": {name: rows.tobytes() for name, rows in checkpoints.pictures(run).items()},
        "checkpoint": (checkpoint.weights_sha256, checkpoint.preprocessing, checkpoint.evaluation),
    }


def in_file(address: int) -> bool:
    """Whether the kernel has a file without a name behind an address."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        begin, end = (int(bound, 16) for bound in line.split()[0].split("-"))
        if begin <= address < end:
            return line.endswith("(deleted)")
    return False


@pytest.mark.parametrize("kind", FEATURES)
def test_a_training_on_mapped_rows_is_one_in_memory(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digest, split, report, weights, metrics and reference profile are equal."""
    monkeypatch.setattr(mapped, "PART_BYTES", 1000)
    monkeypatch.setattr(fetched, "_VECTOR", 7)
    project = written(kind, tmp_path)
    in_memory = made_of(project)
    given, encoded = list[bool](), list[bool]()
    of = Batch.of

    def watched(*asked: Any) -> Batch:
        made = of(*asked)
        given.extend(mapped.is_mapped(column) for column in asked[2].columns.values() if column.dtype != object)
        encoded.extend(in_file(source.data_ptr()) for source in made.sources)
        return made

    monkeypatch.setattr(mapped, "most_bytes", lambda _: 1)
    monkeypatch.setattr(Batch, "of", watched)
    assert all(mapped.is_mapped(c) for c in prepare(project).rows.columns.values() if c.dtype != object)
    assert made_of(project) == in_memory
    assert given
    assert all(given + encoded), "the part that trains was not mapped"


def test_a_picture_that_is_none_is_named_by_its_row_in_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "PART_BYTES", 320)
    monkeypatch.setattr(fetched, "_VECTOR", 20)
    monkeypatch.setattr(mapped, "most_bytes", lambda _: 1)
    project = written("pictures", tmp_path)
    table = pq.read_table(tmp_path / "rows.parquet").to_pydict()
    table["p"][99] = table["p"][99][:-1]
    pq.write_table(pa.table(table), tmp_path / "rows.parquet")
    with pytest.raises(InvalidInput, match='column "p", row 100: expected a list of 16'):
        collect(project.data)
