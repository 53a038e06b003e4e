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
from tests.unit.export.importing.conftest import graph_model, weight

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.bundle import Bundle
    from tests.unit.export.importing.conftest import Served


X: dict[str, list[Any]] = {"x": ["n", 2]}
Y: dict[str, list[Any]] = {"y": ["n", 2]}
AXES = numpy_helper.from_array(np.array([0]), "axes")
APART = [helper.make_node("ReduceMean", ["x", "axes"], ["m"]), helper.make_node("Sub", ["x", "m"], ["z"])]
MEAN, TURN = helper.make_node("ReduceMean", ["x", "axes"], ["y"]), helper.make_node("Transpose", ["x"], ["y"])
NEG, BY = helper.make_node("Neg", ["x"], ["y"]), helper.make_node("Mul", ["x", "by"], ["y"])
SCALE = helper.make_node("Mul", ["z", "w"], ["y"])
MODELS = {
    "rows": graph_model([NEG], X, Y),
    "neighbours": graph_model([*APART, SCALE], X, Y, weights=[AXES, weight("w", [1.0])]),
    "small": graph_model([*APART, SCALE], X, Y, weights=[AXES, weight("w", [1e-6])]),
    "shared": graph_model([BY], X | {"by": []}, Y),
    "pooled": graph_model([MEAN], X, {"y": ["one", 2]}, weights=[AXES]),
    "inside": graph_model([TURN], X, {"y": ["m", "n"]}),
    "fixed": graph_model([NEG], {"x": [1, 2]}, {"y": [1, 2]}),
}
"""Graphs by what their first axis counts."""


@pytest.mark.parametrize(
    ("kind", "rows", "merges"),
    [
        ("rows", "independent", True),
        ("neighbours", "dependent", False),
        ("small", "dependent", False),
        ("shared", "independent", False),
        ("pooled", "dependent", False),
        ("inside", "dependent", False),
        ("fixed", "none", False),
    ],
)
def test_it_is_found_by_running_the_model(
    kind: str, rows: str, merges: bool, take: Callable[..., Bundle], serve: Callable[[], Served], tmp_path: Path
) -> None:
    onnx.save(MODELS[kind], tmp_path / "m.onnx")
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
    onnx.save(MODELS["rows"], tmp_path / "m.onnx")
    amend: dict[str, Any] = {"rows": "none", "inputs": {"x": {"typical": [16, 2]}}}
    bundle = take(tmp_path / "m.onnx", amend)
    assert (bundle.max_batch, bundle.signature.merges) == (1, False)
    served = serve()
    assert served.ask(x=np.ones((5000, 2), np.float32))["y"].shape == (5000, 2)
    assert served.rows == 1


def test_more_rows_than_proven_are_refused(
    take: Callable[..., Bundle], serve: Callable[[], Served], tmp_path: Path
) -> None:
    onnx.save(MODELS["neighbours"], tmp_path / "m.onnx")
    take(tmp_path / "m.onnx", {"max_batch": 5})
    served = serve()
    served.ask(x=np.ones((5, 2), np.float32))
    with pytest.raises(TooLarge, match="at most 5 rows"):
        served.ask(x=np.ones((6, 2), np.float32))


def test_names_are_amended_for_callers_and_in_the_file(
    take: Callable[..., Bundle], serve: Callable[[], Served], tmp_path: Path
) -> None:
    onnx.save(MODELS["rows"], tmp_path / "m.onnx")
    amend = {"inputs": {"x": {"name": "y.of x", "unit": "m"}}, "outputs": {"y": {"name": "x"}}}
    bundle = take(tmp_path / "m.onnx", amend)
    assert (bundle.signature.inputs[0].unit, bundle.target) == ("m", "x")
    assert serve().ask_by({"y.of x": np.ones((1, 2), np.float32)})["x"].tolist() == [[-1.0, -1.0]]
