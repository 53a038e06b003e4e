"""Example tensors and edge rows are what a signature says, at each of its edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from export.example import edge_rows, tensors
from export.parity import eager
from staytrue.signature import MISSING_INTEGER, NUMPY, Signature, TensorSpec
from staytrue.tensors import coded
from tests.unit.export.conftest import NAMED, SIGNATURE, Named, Small

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = dict[str, NDArray[Any]]


def test_codes_are_places_from_one_and_zero_for_the_unknown() -> None:
    spec = SIGNATURE.inputs[2]
    assert coded(spec, np.array([["south"], ["north"], ["x"]], dtype=object)).tolist() == [[2], [1], [0]]


def test_example_has_the_datatypes_of_the_signature_and_codes_for_text() -> None:
    made = tensors(SIGNATURE)
    assert [str(tensor.dtype) for tensor in made] == ["torch.float32", "torch.int64", "torch.int64"]
    assert {tuple(tensor.shape) for tensor in made} == {(3, 1)}


def test_edges_hold_missing_unknown_huge_and_every_known_value(rows: Rows) -> None:
    edges = edge_rows(SIGNATURE, rows)
    assert np.isnan(edges["size"]).any()
    assert {0.0, 1e3, -1e3} <= set(edges["size"].ravel().tolist())
    assert np.abs(edges["size"][np.isfinite(edges["size"])]).max() > 1e29
    assert {"", "never seen before", "north", "south"} <= set(edges["town"].ravel())
    assert {MISSING_INTEGER, 0, 1, 2, 3, -1000} <= set(edges["rooms"].ravel().tolist())
    assert {len(array) for array in edges.values()} == {len(edges["size"])}
    assert eager(Small(), SIGNATURE, edges)["price"].shape == (len(edges["size"]), 1)


def test_each_input_is_missing_once_by_itself(rows: Rows) -> None:
    edges = edge_rows(SIGNATURE, rows)
    alone = {name: array[-3:].ravel().tolist() for name, array in edges.items()}
    real = {name: array[0, 0] for name, array in rows.items()}
    assert np.isnan(alone["size"][0])
    assert alone["size"][1:] == [real["size"]] * 2
    assert alone["rooms"] == [real["rooms"], MISSING_INTEGER, real["rooms"]]
    assert alone["town"] == [real["town"], real["town"], ""]


@pytest.mark.parametrize("datatype", sorted(set(NUMPY) - {"BYTES"}))
def test_edges_fit_into_every_datatype(datatype: Any) -> None:
    signature = Signature(inputs=[TensorSpec(name="x", datatype=datatype, shape=[-1, 2])], outputs=[])
    edges = edge_rows(signature, {"x": np.ones((1, 2), dtype=NUMPY[datatype])})["x"]
    assert edges.dtype == NUMPY[datatype]
    assert edges.shape[1] == 2
    assert len(edges) > 2


def test_edges_of_pictures_are_black_white_and_noise() -> None:
    signature = Signature(inputs=[TensorSpec(name="p", datatype="UINT8", shape=[-1, 1, 4, 4])], outputs=[])
    edges = edge_rows(signature, {"p": np.full((1, 1, 4, 4), 7, dtype=np.uint8)})["p"]
    assert edges.dtype == np.uint8
    assert [int(picture.min()) for picture in edges[:2]] == [int(picture.max()) for picture in edges[:2]] == [0, 255]
    assert len(np.unique(edges[2])) > 8


def test_codes_that_come_out_are_told_as_their_texts() -> None:
    outputs = eager(Named(5.0), NAMED, {"size": np.array([[6.0], [1.0]], dtype=np.float32)})
    assert outputs["kind"].tolist() == [["large"], ["small"]]
    assert outputs["probabilities"].dtype == np.float32
