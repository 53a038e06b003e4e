"""A store, imports into it, and a version of it as the server loads and asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from onnx import TensorProto, helper

from export.importing.intake import take_in
from serving.loading import Loader
from serving.runtimes.onnx import OnnxMaker
from staytrue.sections import ExportSection
from staytrue.store import Store
from staytrue.tensors import Given

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import onnx
    from numpy.typing import NDArray

    from staytrue.bundle import Bundle

NAME = "foreign"


class Served:
    """A version as the server holds it: its bytes and proofs checked, warmed up, asked as requests are."""

    def __init__(self, store: Store) -> None:
        self.loaded = Loader(store, OnnxMaker(), None).load(NAME, store.versions(NAME)[-1])

    def ask(self, **inputs: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """What the server answers; inputs must be what the signature accepts."""
        return self.ask_by({name: array for name, array in inputs.items()})  # noqa: C416 - mypy sees the kind

    def ask_by(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The same, for names that are none of Python's."""
        kinds = {spec.name: spec.datatype for spec in self.loaded.bundle.signature.inputs}
        given = [Given(name, kinds[name], array) for name, array in inputs.items()]
        arrays, self.rows = self.loaded.contract.accepted(given)
        return self.loaded.runtime.run(arrays)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "store")


@pytest.fixture
def take(store: Store, tmp_path: Path) -> Callable[..., Bundle]:
    """Imports a file; the amendment as values."""

    def taken(path: Path, amend: dict[str, Any] | None = None, **how: Any) -> Bundle:
        amendment = None
        if amend is not None:
            amendment = tmp_path / "amend.yaml"
            amendment.write_text(yaml.safe_dump(amend, sort_keys=False), encoding="utf-8")
        settings = how.pop("settings", None) or ExportSection()
        return take_in(store, how.pop("name", NAME), path, settings, amendment=amendment, **how)

    return taken


@pytest.fixture
def serve(store: Store) -> Iterator[Callable[[], Served]]:
    """Loads what was imported last."""
    made: list[Served] = []

    def served() -> Served:
        made.append(Served(store))
        return made[-1]

    yield served
    for one in made:
        one.loaded.runtime.close()


def graph_model(
    nodes: list[Any],
    shapes: dict[str, list[Any]],
    outputs: dict[str, list[Any]],
    *,
    opset: int = 18,
    kind: int = TensorProto.FLOAT,
    weights: list[Any] | None = None,
) -> onnx.ModelProto:
    """A graph of float inputs and outputs."""
    sides = [
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in side.items()] for side in (shapes, outputs)
    ]
    graph = helper.make_graph(nodes, "made", *sides, weights or [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def weight(name: str, values: list[float]) -> onnx.TensorProto:
    """A tensor of a graph."""
    return helper.make_tensor(name, TensorProto.FLOAT, [len(values)], np.array(values, dtype=np.float32))
