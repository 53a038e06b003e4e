"""What a first axis counts decides whether requests run together: it is found by running the model, or told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from serving.batching import Lane
from serving.tickets import Limits
from staytrue.errors import TooLarge
from tests.unit.export.importing.conftest import graph_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.bundle import Bundle
    from tests.unit.export.importing.conftest import Served


def model(kind: str) -> onnx.ModelProto:
    """A graph by what its first axis counts."""
    axes = numpy_helper.from_array(np.array([0]), "axes")
    if kind == "rows":
        return graph_model([helper.make_node("Neg", ["x"], ["y"])], {"x": ["n", 2]}, {"y": ["n", 2]})
    if kind == "neighbours":
        nodes = [helper.make_node("ReduceMean", ["x", "axes"], ["m"]), helper.make_node("Sub", ["x", "m"], ["y"])]
        return graph_model(nodes, {"x": ["n", 2]}, {"y": ["n", 2]}, weights=[axes])
    if kind == "pooled":
        node = helper.make_node("ReduceMean", ["x", "axes"], ["y"])
        return graph_model([node], {"x": ["n", 2]}, {"y": ["one", 2]}, weights=[axes])
    if kind == "inside":
        node = helper.make_node("Transpose", ["x"], ["y"], perm=[1, 0])
        return graph_model([node], {"x": ["n", 2]}, {"y": ["m", "n"]})
    return graph_model([helper.make_node("Neg", ["x"], ["y"])], {"x": [1, 2]}, {"y": [1, 2]})


@pytest.mark.parametrize(
    ("kind", "rows", "merges"),
    [
        ("rows", "independent", True),
        ("neighbours", "dependent", False),
        ("pooled", "dependent", False),
        ("inside", "dependent", False),
        ("fixed", "none", False),
    ],
)
def test_it_is_found_by_running_the_model(
    kind: str, rows: str, merges: bool, take: Callable[..., Bundle], serve: Callable[[], Served], tmp_path: Path
) -> None:
    onnx.save(model(kind), tmp_path / "m.onnx")
    bundle = take(tmp_path / "m.onnx")
    assert (bundle.signature.rows, bundle.signature.merges) == (rows, merges)
    assert {proof.batch for proof in bundle.parity} == ({1} if rows == "none" else {1, 2, 7, 32})
    loaded = serve().loaded
    lane = Lane("m", loaded.runtime, bundle.signature, bundle.max_batch, Limits(), lambda _: None)
    assert lane._most == (32 if merges else 1)
    lane.close()


def test_an_axis_of_time_is_told_to_count_no_rows(
    take: Callable[..., Bundle], serve: Callable[[], Served], tmp_path: Path
) -> None:
    """A request is one of its own then, however long: it counts as one row, and two never run together."""
    onnx.save(model("rows"), tmp_path / "m.onnx")
    amend: dict[str, Any] = {"rows": "none", "inputs": {"x": {"typical": [16, 2]}}}
    bundle = take(tmp_path / "m.onnx", amend)
    assert (bundle.max_batch, bundle.signature.merges) == (1, False)
    served = serve()
    assert served.ask(x=np.ones((5000, 2), np.float32))["y"].shape == (5000, 2)
    assert served.rows == 1


def test_more_rows_than_proven_are_refused(
    take: Callable[..., Bundle], serve: Callable[[], Served], tmp_path: Path
) -> None:
    onnx.save(model("neighbours"), tmp_path / "m.onnx")
    take(tmp_path / "m.onnx", {"max_batch": 5})
    served = serve()
    served.ask(x=np.ones((5, 2), np.float32))
    with pytest.raises(TooLarge, match="at most 5 rows"):
        served.ask(x=np.ones((6, 2), np.float32))


def test_names_are_amended_for_callers_and_in_the_file(
    take: Callable[..., Bundle], serve: Callable[[], Served], tmp_path: Path
) -> None:
    onnx.save(model("rows"), tmp_path / "m.onnx")
    amend = {"inputs": {"x": {"name": "y.of x", "unit": "m"}}, "outputs": {"y": {"name": "x"}}}
    bundle = take(tmp_path / "m.onnx", amend)
    assert (bundle.signature.inputs[0].unit, bundle.target) == ("m", "x")
    assert serve().ask_by({"y.of x": np.ones((1, 2), np.float32)})["x"].tolist() == [[-1.0, -1.0]]
