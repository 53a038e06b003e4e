"""Pictures, classes and their probabilities: from the lake to the analysis, a batch of pictures at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitoring.ingest.columns import wanted
from monitoring.ingest.lake import Lake
from staytrue.events import Event, Label, Tensor
from staytrue.pictures import SUMMARIES, summarise
from staytrue.signature import Signature, TensorSpec

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CLASSES = ["cat", "dog", "7"]
SIGNATURE = Signature(
    inputs=[TensorSpec(name="image", datatype="UINT8", shape=[-1, 1, 4, 5])],
    outputs=[
        TensorSpec(name="animal", datatype="BYTES", shape=[-1, 1], categories=CLASSES),
        TensorSpec(name="probabilities", datatype="FP32", shape=[-1, 3]),
    ],
)
DAY = 86400.0
PICTURES = np.random.default_rng(0).integers(0, 256, (6, 1, 4, 5), dtype=np.uint8)


def event(name: str, at: float, pictures: NDArray[Any], said: list[str], sure: float = 0.75) -> Event:
    """An answered request of some pictures."""
    probabilities = np.tile(np.array([sure, 1 - sure, 0.0], dtype=np.float32), (len(pictures), 1))
    return Event(
        id=name,
        time=at,
        recorded=at,
        model="animals",
        version="1",
        rows=len(pictures),
        inputs=[Tensor.of("image", "UINT8", pictures)],
        outputs=[
            Tensor.of("animal", "BYTES", np.array(said, dtype=object)[:, None]),
            Tensor.of("probabilities", "FP32", probabilities),
        ],
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Six pictures in three requests, and a failed request."""
    made = Lake(tmp_path)
    requests = [event(f"e{i}", 10.0 + i, PICTURES[2 * i : 2 * i + 2], ["cat", "dog"]) for i in range(3)]
    failed = Event(id="f", time=11.0, recorded=11.0, model="animals", version="1", status="invalid_input")
    made.write_events("a", [*requests, failed])
    return made


def test_pictures_become_their_numbers(lake: Lake) -> None:
    rows = lake.window("animals", SIGNATURE, 0.0, DAY)
    assert set(rows.columns) == {*(f"image.{name}" for name in SUMMARIES), "confidence"}
    for name, values in summarise(PICTURES).items():
        np.testing.assert_array_equal(rows.columns[f"image.{name}"], values)
    assert rows.prediction.tolist() == ["cat", "dog"] * 3
    assert rows.columns["confidence"].tolist() == [0.75] * 6
    assert (len(rows), rows.failures) == (6, 1)


def test_labels_name_classes_however_they_were_written(lake: Lake) -> None:
    known = 100.0
    lake.write_labels(
        "l",
        [
            Label(event_id="e0", row=0, truth="cat", known=known),
            Label(event_id="e0", row=1, truth=7, known=known),
            Label(event_id="e1", row=0, truth="7", known=known),
            Label(event_id="e2", row=1, truth="dog", known=known),
            Label(event_id="e2", row=1, truth="cat", known=known + 1),  # corrected
        ],
    )
    rows = lake.window("animals", SIGNATURE, 0.0, DAY)
    assert rows.truth.tolist() == ["cat", "7", "7", None, None, "cat"]
    assert rows.labelled.tolist() == [True, True, True, False, False, True]
    assert rows.known[0] == known


def test_pictures_lie_in_the_lake_as_the_bytes_that_they_are_and_no_look_reads_them(lake: Lake) -> None:
    [file] = lake.root.rglob("*.parquet")
    schema = pq.read_schema(file)
    assert schema.field("input_image").type.value_type == pa.uint8()
    assert pq.read_table(file, columns=["input_image"]).column(0)[0].as_py() == PICTURES[0].ravel().tolist()
    assert "input_image" not in wanted(SIGNATURE)


def test_a_picture_that_holds_infinities_has_no_numbers_and_harms_no_other(lake: Lake) -> None:
    signature = msgspec.structs.replace(
        SIGNATURE, inputs=[TensorSpec(name="image", datatype="FP32", shape=[-1, 1, 4, 5])]
    )
    pictures = np.ones((2, 1, 4, 5), dtype=np.float32)
    pictures[1, 0, 0, 0] = np.inf
    made = event("g", 20.0, PICTURES[:2], ["cat", "dog"])
    lake.write_events("b", [msgspec.structs.replace(made, inputs=[Tensor.of("image", "FP32", pictures)])])
    found = lake.window("animals", signature, 19.0, DAY).columns["image.contrast"]
    assert found[0] == 0.0
    assert np.isnan(found[1])


def test_an_empty_lake_has_the_columns_all_the_same(tmp_path: Path) -> None:
    rows = Lake(tmp_path).window("animals", SIGNATURE, 0.0, DAY)
    assert set(rows.columns) == {*(f"image.{name}" for name in SUMMARIES), "confidence"}
    assert len(rows) == len(rows.labelled) == 0
    assert rows.prediction.dtype == object


def test_texts_with_a_tokenizer_are_kept_and_not_looked_at(tmp_path: Path) -> None:
    """However long they are; what else came with them is watched as ever."""
    made, texts = Lake(tmp_path), np.array([["fire"], ["Zoë " * 9999]], dtype=object)
    asked = event("e", 10.0, PICTURES[:2], ["cat", "dog"])
    note = TensorSpec(name="note", datatype="BYTES", shape=[-1, 1], tokenizer="tokenizer-0.json", tokens=8)
    signature = msgspec.structs.replace(SIGNATURE, inputs=[*SIGNATURE.inputs, note])
    made.write_events("a", [msgspec.structs.replace(asked, inputs=[*asked.inputs, Tensor.of("note", "BYTES", texts)])])
    [file] = (tmp_path / "events").rglob("*.parquet")
    assert pq.read_table(file, partitioning=None)["input_note"].to_pylist() == texts.ravel().tolist()
    assert wanted(signature) == wanted(SIGNATURE)
    for until in (0.0, DAY):  # without rows, and with them
        seen, before = (made.window("animals", one, 0.0, until) for one in (signature, SIGNATURE))
        assert seen.columns.keys() == before.columns.keys()
        assert len(seen) == len(before) == (2 if until else 0)
