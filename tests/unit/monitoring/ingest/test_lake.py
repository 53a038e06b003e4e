"""Lake: rows with their newest labels, the same figure in whatever order things came."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitoring.ingest.columns import _numbers, _texts
from staytrue.events import Tensor
from staytrue.signature import MISSING_INTEGER

if TYPE_CHECKING:
    from staytrue.events import Label
    from tests.unit.monitoring.conftest import Rig

HOUR = 3600.0


def labels_of(rig: Rig) -> list[Label]:
    """One label corrected, one told twice, one late, one of an event that does not exist."""
    wrong = rig.label("a", 9.0, rig.start + HOUR)
    right = rig.label("a", 3.0, rig.start + 5 * HOUR)
    twice = rig.label("b", 4.0, rig.start + HOUR)
    late = rig.label("c", 5.0, rig.start + 20 * HOUR)
    orphan = rig.label("nobody", 1e9, rig.start + HOUR)
    return [wrong, right, twice, twice, late, orphan]


@pytest.mark.parametrize("order", list(itertools.permutations(range(6)))[::37])
def test_labels_give_the_same_figure_in_any_order_and_before_their_events(rig: Rig, order: tuple[int, ...]) -> None:
    labels = labels_of(rig)
    for place in order[:3]:
        rig.tell(labels[place])
        rig.parts.labels.collect()
    rig.log(*[rig.event(rig.start, name=name) for name in "abcd"])
    rig.parts.events.collect()
    for place in order[3:]:
        rig.tell(labels[place])
        rig.parts.labels.collect()
    rows = rig.window(0, 1)
    np.testing.assert_array_equal(rows.truth, [3.0, 4.0, 5.0, np.nan])
    np.testing.assert_array_equal((rows.known - rig.start) / HOUR, [5, 1, 20, np.nan])


def test_a_look_taken_late_sees_what_it_would_have_seen_in_time(rig: Rig) -> None:
    rig.log(rig.event(rig.start, name="a"))
    rig.tell(
        rig.label("a", 1.0, rig.start + 24 * HOUR),  # known at the very end of the window
        rig.label("a", 2.0, rig.start + 25 * HOUR),
    )
    rig.parts.events.collect()
    rig.parts.labels.collect()
    assert rig.window(0, 1).truth.tolist() == [1.0]
    assert rig.window(0, 2).truth.tolist() == [2.0]


def test_of_two_labels_known_at_once_the_one_received_later_counts(rig: Rig) -> None:
    rig.log(rig.event(rig.start, name="a"))
    rig.tell(rig.label("a", 1.0, rig.start, received=9.0), rig.label("a", 2.0, rig.start, received=8.0))
    rig.parts.events.collect()
    rig.parts.labels.collect()
    assert rig.window(0, 1).truth.tolist() == [1.0]


def test_a_window_is_half_open_and_counts_failures(rig: Rig) -> None:
    rig.log(
        rig.event(rig.start - 1, name="before"),
        rig.event(rig.start, name="first"),
        rig.event(rig.start + HOUR, status="invalid_input"),
        rig.event(rig.start + 24 * HOUR, name="next"),
    )
    rig.parts.events.collect()
    rows = rig.window(0, 1)
    assert (rows.time - rig.start).tolist() == [0.0]
    assert rows.failures == 1


def test_columns_have_the_kinds_that_the_signature_names(rig: Rig) -> None:
    rig.log(rig.event(rig.start), rig.event(rig.start + 1, x=float("nan")))
    rig.parts.events.collect()
    rows = rig.window(0, 1)
    np.testing.assert_array_equal(rows.columns["x"], [1.5, np.nan])
    assert rows.columns["hour"].tolist() == ["1", "1"]  # a category that is sent as a number
    assert rows.columns["sky"].tolist() == ["sun", "sun"]
    assert rows.version.tolist() == ["1", "1"]
    np.testing.assert_array_equal(rows.prediction, [3.0, np.nan])


def test_rows_of_one_request_are_rows_of_the_lake_and_each_has_its_label(rig: Rig) -> None:
    inputs = [Tensor.of("x", "FP32", np.array([[1.0], [2.0], [3.0]]))]
    outputs = [Tensor.of("y", "FP32", np.array([[4.0], [5.0], [6.0]]))]
    rig.log(rig.event(rig.start, name="a", rows=3, inputs=inputs, outputs=outputs))
    rig.tell(rig.label("a", 50.0, rig.start, row=1))
    rig.parts.events.collect()
    rig.parts.labels.collect()
    rows = rig.window(0, 1)
    assert rows.columns["x"].tolist() == [1.0, 2.0, 3.0]
    np.testing.assert_array_equal(rows.truth, [np.nan, 50.0, np.nan])


def test_an_empty_window_has_every_column(rig: Rig) -> None:
    rows = rig.window(0, 1)
    assert (len(rows), sorted(rows.columns)) == (0, ["hour", "sky", "x"])
    assert rows.columns["sky"].dtype == object
    assert rows.columns["x"].dtype == np.float64


def test_versions_that_disagree_on_a_type_cost_no_batch_and_no_window(rig: Rig) -> None:
    text = [Tensor.of("x", "BYTES", np.array([["many"]], dtype=object))]
    rig.log(rig.event(rig.start, name="a"), rig.event(rig.start + 1, name="b", version="2", inputs=text))
    rig.parts.events.collect()
    rig.log(rig.event(rig.start + 2, name="c"))
    rig.parts.events.collect()
    np.testing.assert_array_equal(rig.window(0, 1).columns["x"], [1.5, np.nan, 1.5])


def test_a_column_of_vectors_is_stored_and_left_out_of_the_window(rig: Rig) -> None:
    wide = [Tensor.of("x", "FP32", np.array([[1.0, 2.0]]))]
    rig.log(rig.event(rig.start, inputs=wide))
    rig.parts.events.collect()
    assert "x" not in rig.window(0, 1).columns
    file = next((rig.folder / "lake" / "events").rglob("*.parquet"))
    assert pq.read_table(file, partitioning=None)["input_x"].to_pylist() == [[1.0, 2.0]]


def test_a_tensor_that_does_not_fit_its_rows_is_missing(rig: Rig) -> None:
    odd = [
        Tensor(name="x", datatype="FP32", shape=[3, 1], data=b"1234"),
        Tensor.of("hour", "INT64", np.array([[1], [2]])),
    ]
    rig.log(rig.event(rig.start, inputs=odd))
    rig.parts.events.collect()
    assert np.isnan(rig.window(0, 1).columns["x"]).all()
    assert rig.window(0, 1).columns["hour"].tolist() == [None]


def test_labels_that_are_texts_are_kept(rig: Rig) -> None:
    rig.tell(rig.label("a", "cat", rig.start))
    rig.parts.labels.collect()
    file = next((rig.folder / "lake" / "labels").rglob("*.parquet"))
    assert pq.read_table(file, partitioning=None).select(["truth", "truth_text"]).to_pylist() == [
        {"truth": None, "truth_text": "cat"}
    ]


def test_what_callers_send_for_missing_is_missing_as_in_the_reference() -> None:
    assert _texts(pa.chunked_array([["a", "", None]])).tolist() == ["a", None, None]
    assert _texts(pa.chunked_array([[3, MISSING_INTEGER]])).tolist() == ["3", None]
    np.testing.assert_array_equal(_numbers(pa.chunked_array([[3, MISSING_INTEGER]])), [3.0, np.nan])


def test_a_number_told_as_text_is_the_same_truth(rig: Rig) -> None:
    rig.log(rig.event(rig.start, name="a"))
    rig.tell(msgspec.structs.replace(rig.label("a", 1.0, rig.start + HOUR), truth="12.5"))
    rig.parts.events.collect()
    rig.parts.labels.collect()
    assert rig.window(0, 1).truth.tolist() == [12.5]
