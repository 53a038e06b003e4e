"""Every datatype over REST and gRPC and back, to the bit: a model that gives what it takes, in a real process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

from examples.bikeshare.demo.processes import Service
from staytrue.bundle import CARD, MANIFEST, PROFILE, REQUIRED_BATCHES, Bundle, Lineage, Parity, digest, seal
from staytrue.eventlog import Reader
from staytrue.records import to_json
from staytrue.signature import NUMPY, Signature, TensorSpec
from staytrue.store import Store
from tests.contract.clients import Answered, Ask, Grpc, Rest, RestBinary, Sent, plain
from tests.contract.conftest import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SIGNATURE = Signature(
    inputs=[TensorSpec(name=name, datatype=name, shape=[-1, 2]) for name in NUMPY],  # type: ignore[arg-type]
    outputs=[TensorSpec(name=f"{name}_back", datatype=name, shape=[-1, 2]) for name in NUMPY],  # type: ignore[arg-type]
)
PROJECT = """\
name: echo
store: store
data: {source: none.csv, time: t, target: y, features: {x: {kind: numeric}}}
serving: {log: events}
"""
TEXTS = ["", "a", "ü🏔", "zwei\nZeilen", "\0", '"'] + ["länger " * 40] * 2


def extremes(datatype: str, *, finite: bool) -> NDArray[Any]:
    """Four rows of what a datatype can hold: its limits, zeros of both signs, and what has no short decimal form."""
    kind = NUMPY[datatype]
    values: list[Any]
    if datatype == "BYTES":
        values = TEXTS
    elif datatype == "BOOL":
        values = [True, False] * 4
    elif kind.kind in "iu":
        limits = np.iinfo(kind)
        values = [limits.min, limits.max, 0, 1, limits.max - 1, limits.min + 1, 7, 42]
    else:
        bounds = np.finfo(kind)
        others = [np.pi, bounds.eps, bounds.tiny] if finite else [np.nan, np.inf, -np.inf]
        values = [bounds.min, bounds.max, bounds.smallest_subnormal, -0.0, 1 / 3, *others]
    array = np.array(values, dtype=kind).reshape(4, 2)
    return (array.view(np.uint32) & 0xFFFF0000).view(np.float32) if datatype == "BF16" else array  # what it can hold


def onnx_type(datatype: str) -> int:
    """ONNX's number of a datatype. Beside texts ONNX Runtime's Python takes no bfloat16: they pass as floats here."""
    return int(helper.np_dtype_to_tensor_dtype(NUMPY[datatype]))


def write_model(path: Path) -> None:
    """Each input, unchanged."""

    def values(specs: list[TensorSpec]) -> list[Any]:
        return [helper.make_tensor_value_info(spec.name, onnx_type(spec.datatype), ["rows", 2]) for spec in specs]

    nodes = [
        helper.make_node("Identity", [taken.name], [given.name])
        for taken, given in zip(SIGNATURE.inputs, SIGNATURE.outputs, strict=True)
    ]
    graph = helper.make_graph(nodes, "echo", values(SIGNATURE.inputs), values(SIGNATURE.outputs))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def make_store(root: Path) -> None:
    """A store with the model as champion; its proof is written by hand."""
    store = Store(root)
    with store.new_version("echo") as (version, folder):
        write_model(folder / "model.onnx")
        (folder / PROFILE).write_text("{}")
        (folder / CARD).write_text("# echo\n")
        files = {path.name: digest(path) for path in folder.iterdir()}
        proof = {"max_abs_error": 0.0, "max_rel_error": 0.0, "absolute_tolerance": 1e-4, "relative_tolerance": 1e-4}
        proofs = [
            Parity(
                format="onnx",
                runtime=f"onnxruntime {ort.__version__} CPU",
                artefact_sha256=files["model.onnx"].sha256,
                batch=batch,
                rows=batch,
                passed=True,
                **proof,
            )
            for batch in sorted({*REQUIRED_BATCHES, 16})
        ]
        bundle = Bundle(
            name="echo",
            version=version,
            created="2026-01-01T00:00:00.000Z",
            task="regression",
            target="y",
            signature=SIGNATURE,
            max_batch=16,
            artefacts={"onnx": "model.onnx"},
            files=files,
            parity=proofs,
            evaluation={},
            lineage=Lineage(run="none", data_fingerprint="none", project_fingerprint="none"),
        )
        (folder / MANIFEST).write_bytes(to_json(bundle))
        seal(folder)
    store.promote("echo", version, reason="test")


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The model's server."""
    folder = tmp_path_factory.mktemp("echo")
    make_store(folder / "store")
    (folder / "staytrue.yaml").write_text(PROJECT)
    flags = ("--port", "0", "--grpc-port", "0", "--log", str(folder / "events"))
    service = Service("serve", folder / "staytrue.yaml", folder / "out.log", *flags)
    yield Server(service, Reader(folder / "events", "test"))
    assert service.stop() == 0


@pytest.mark.parametrize(
    ("client", "finite"), [(Rest, True), (RestBinary, True), (RestBinary, False), (Grpc, True), (Grpc, False)]
)  # JSON has no NaN
def test_every_datatype_comes_back_to_the_bit_and_stands_so_in_the_event(
    echo: Server, client: type[Rest | Grpc], finite: bool
) -> None:
    arrays = {name: extremes(name, finite=finite) for name in NUMPY}
    caller = client(echo.service)
    told = caller.infer(Ask([Sent(name, name, array) for name, array in arrays.items()], model="echo"))
    caller.close()
    assert isinstance(told, Answered), told
    back = {name: content for name, _, _, content in told.outputs}
    assert back == {f"{name}_back": plain(array) for name, array in arrays.items()}
    assert [(datatype, shape) for _, datatype, shape, _ in told.outputs] == [(name, [4, 2]) for name in NUMPY]
    (event,) = echo.events()
    for tensor in event.inputs:
        assert plain(tensor.array()) == plain(arrays[tensor.name])
