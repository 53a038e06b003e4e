"""A failed proof names where it begins: the node, layer or optimisation that first differs, and no other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from export import nodes
from export.divergence import Asked
from export.half import to_half
from export.int8 import to_dynamic, to_static
from export.mobile import to_mobile
from export.onnx import to_onnx
from export.parity import prove
from export.program import to_program
from export.torchscript import to_torchscript
from staytrue.errors import CorruptData
from staytrue.sections import ExportSection
from staytrue.signature import Signature, TensorSpec
from tests.unit.export.conftest import SIGNATURE, Small, Unfaithful

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Rows = dict[str, NDArray[Any]]

SETTINGS = ExportSection(max_batch=8)
OUT = [TensorSpec(name="linear", datatype="FP32", shape=[-1, 2])]
"""Called as a value inside the graph is."""


class Encoded(nn.Module):
    """A body of layers in front of which something is computed, as our own models have it."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,…] → [N,2]."""
        return torch.softmax(self.body(torch.clamp(torch.nan_to_num(x.float()), -10, 10)), dim=1)


class Last(nn.Module):
    """The last step of a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.LSTM(4, 8, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,T,4] → [N,8]."""
        made: torch.Tensor = self.cells(x)[0][:, -1]
        return made


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 2))


def convolutions() -> nn.Module:
    pooled = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Sigmoid(), *pooled)


def recurrent() -> nn.Module:
    return nn.Sequential(Last(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))


def attention() -> nn.Module:
    layer = nn.TransformerEncoderLayer(4, 2, 16, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Flatten(), nn.Linear(24, 2))


KINDS: dict[str, tuple[Callable[[], nn.Module], list[int]]] = {
    "mlp": (mlp, [-1, 4]),
    "convolutions": (convolutions, [-1, 1, 8, 8]),
    "recurrent": (recurrent, [-1, 6, 4]),
    "attention": (attention, [-1, 6, 4]),
}


def made(kind: str) -> tuple[nn.Module, Signature, Rows]:
    """A module with weights that are always the same, its signature, and rows."""
    torch.manual_seed(0)
    build, shape = KINDS[kind]
    signature = Signature(inputs=[TensorSpec(name="clamp", datatype="FP32", shape=shape)], outputs=OUT)
    draw = np.random.default_rng(0)
    module = Encoded(build()).eval()
    with torch.no_grad():  # layers that begin alike would share their weights in the file
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return module, signature, {"clamp": draw.normal(0, 1, (16, *shape[1:])).astype(np.float32)}


def altered(path: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    """Change a file on disk."""
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)


def shift(layer: str) -> Callable[[onnx.ModelProto], None]:
    """Add to the weights of the nodes that were written of a layer's bias."""

    def change(model: onnx.ModelProto) -> None:
        (held,) = (tensor for tensor in model.graph.initializer if tensor.name == f"{layer}.bias")
        held.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(held) + np.float32(0.5), held.name))

    return change


def becomes(operator: str, other: str) -> Callable[[onnx.ModelProto], None]:
    """Another operator instead of the first of one."""

    def change(model: onnx.ModelProto) -> None:
        node = next(node for node in model.graph.node if node.op_type == operator)
        del node.attribute[:]
        node.op_type = other

    return change


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("mlp", becomes("Gelu", "Relu"), r'node "node_gelu" \(Relu, from layer body\.3\) differs first'),
        ("convolutions", shift("body.2"), r'node "node_conv2d_1" \(Conv, from layer body\.2\) differs first'),
        ("convolutions", becomes("Sigmoid", "Tanh"), r'node "node_sigmoid" \(Tanh, from layer body\.3\) differs first'),
        ("recurrent", shift("body.1"), r'node "node_linear" \(Gemm, from layer body\.1\) differs first'),
        (
            "attention",
            shift("body.0.layers.1.linear1"),
            r"\(Add, from layer body\.0\.layers\.1\.linear1\) differs first",
        ),
    ],
)
def test_an_altered_node_in_the_middle_is_named(
    tmp_path: Path, kind: str, change: Callable[[onnx.ModelProto], None], said: str
) -> None:
    module, signature, rows = made(kind)
    to_onnx(module, signature, tmp_path / "model.onnx", SETTINGS.max_batch)
    assert prove("onnx", tmp_path / "model.onnx", module, signature, rows, 1.0, SETTINGS)
    altered(tmp_path / "model.onnx", change)
    with pytest.raises(CorruptData, match=said + r".*nothing was published"):
        prove("onnx", tmp_path / "model.onnx", module, signature, rows, 1.0, SETTINGS)


def test_a_program_that_is_captured_otherwise_than_it_computes_names_the_layer(tmp_path: Path, rows: Rows) -> None:
    to_onnx(Unfaithful().eval(), SIGNATURE, tmp_path / "model.onnx", 8)
    with pytest.raises(CorruptData, match="the model's own forward is captured otherwise than it computes; nothing"):
        prove("onnx", tmp_path / "model.onnx", Unfaithful().eval(), SIGNATURE, rows, 1.0, SETTINGS)


class Twofold(nn.Module):
    """A layer that is another while it is exported or traced."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,8] → [N,8]."""
        other = torch.compiler.is_exporting() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        return torch.relu(x) if other else x


@pytest.mark.parametrize("kind", ["onnx", "pt2", "torchscript", "ort"])
def test_a_layer_that_is_captured_otherwise_is_named_in_each_form(tmp_path: Path, kind: Any) -> None:
    module, signature, rows = made("mlp")
    module.get_submodule("body")[3] = Twofold()  # type: ignore[operator]
    path = tmp_path / "model"
    write = {"pt2": to_program, "onnx": to_onnx, "ort": to_onnx}.get(kind)
    if write is None:
        to_torchscript(module, signature, path)
    else:
        write(module, signature, path, SETTINGS.max_batch)
    if kind == "ort":
        to_mobile(path, path := tmp_path / "model.ort")
    with pytest.raises(CorruptData, match=r"layer body\.3 \(Twofold\) (is captured otherwise|differs first)"):
        prove(kind, path, module, signature, rows, 1.0, SETTINGS)


def test_a_program_on_disk_with_another_weight_names_the_operator(tmp_path: Path) -> None:
    module, signature, rows = made("mlp")
    other, *_ = made("mlp")
    with torch.no_grad():
        other.get_parameter("body.2.bias").add_(0.5)
    to_program(other, signature, tmp_path / "model.pt2", SETTINGS.max_batch)
    with pytest.raises(CorruptData, match=r'node "linear_1" \(from layer body\.2\) differs first'):
        prove("pt2", tmp_path / "model.pt2", module, signature, rows, 1.0, SETTINGS)


def test_a_script_on_disk_with_another_weight_names_the_layer(tmp_path: Path) -> None:
    module, signature, rows = made("convolutions")
    other, *_ = made("convolutions")
    with torch.no_grad():
        other.get_parameter("body.2.bias").add_(0.5)
    to_torchscript(other, signature, tmp_path / "model.ts")
    with pytest.raises(CorruptData, match=r"layer body\.2 \(Conv2d\) differs first"):
        prove("torchscript", tmp_path / "model.ts", module, signature, rows, 1.0, SETTINGS)


def test_texts_reach_the_nodes_as_codes(tmp_path: Path, rows: Rows) -> None:
    to_onnx(Small().eval(), SIGNATURE, tmp_path / "model.onnx", 8)

    def change(model: onnx.ModelProto) -> None:
        (held,) = (tensor for tensor in model.graph.initializer if tensor.name == "linear.weight")
        held.CopyFrom(numpy_helper.from_array(2 * numpy_helper.to_array(held), held.name))

    altered(tmp_path / "model.onnx", change)
    with pytest.raises(CorruptData, match=r'node "node_\w+" \((Gemm|MatMul), from layer linear\) differs first'):
        prove("onnx", tmp_path / "model.onnx", Small().eval(), SIGNATURE, rows, 1.0, SETTINGS)


def test_an_optimisation_that_changes_answers_is_told_from_a_wrong_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime has none that does; one stands in for it from the level "extended" on."""
    module, signature, rows = made("mlp")
    to_onnx(module, signature, tmp_path / "model.onnx", SETTINGS.max_batch)
    plain = nodes._run
    extended = (nodes._LEVELS["extended"], nodes._LEVELS["all"])

    def run(path: Path, given: Any, names: Any, level: Any) -> dict[str, torch.Tensor]:
        return {name: made + (level in extended) for name, made in plain(path, given, names, level).items()}

    monkeypatch.setattr("export.nodes._run", run)
    asked = Asked("onnx", tmp_path / "model.onnx", module, signature, rows, SETTINGS)
    assert asked.differs() == (
        "its nodes are right one by one: ONNX Runtime's optimisation of level extended changes its answers"
    )


def test_a_graph_beyond_the_bound_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("export.nodes.MOST_NODES", 3)
    module, signature, rows = made("mlp")
    to_onnx(module, signature, tmp_path / "model.onnx", SETTINGS.max_batch)
    asked = Asked("onnx", tmp_path / "model.onnx", module, signature, rows, SETTINGS)
    assert "nodes are too many to search" in asked.differs()


def test_what_fails_in_the_search_does_not_hide_the_failed_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, signature, rows = made("mlp")
    to_onnx(module, signature, tmp_path / "model.onnx", SETTINGS.max_batch)
    altered(tmp_path / "model.onnx", shift("body.2"))

    def broken(*_: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("export.divergence.converted", broken)
    said = r"expected .* got .*; where it begins to differ could not be found: RuntimeError: out of memory; nothing was"
    with pytest.raises(CorruptData, match=said):
        prove("onnx", tmp_path / "model.onnx", module, signature, rows, 1.0, SETTINGS)


def enlarged(model: onnx.ModelProto) -> None:
    """Have the weights of a layer eight times as large, by their scale in 8 bits."""
    (held,) = (
        one for one in model.graph.initializer if re.fullmatch(r"body\.2\.weight(_Transposed)?_(scale|half)", one.name)
    )
    held.CopyFrom(numpy_helper.from_array(8 * numpy_helper.to_array(held), held.name))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph in 32 bits."""
    module, signature, _ = made("mlp")
    path = tmp_path_factory.mktemp("whole") / "model.onnx"
    to_onnx(module, signature, path, SETTINGS.max_batch)
    return path


@pytest.mark.parametrize("kind", ["int8_dynamic", "int8_static", "fp16"])
def test_the_node_of_fewer_bits_that_loses_most_is_named(tmp_path: Path, kind: Any, whole: Path) -> None:
    """And it is none where each is as good as its bits allow: the bounds are what refuses those."""
    module, signature, rows = made("mlp")
    path = tmp_path / f"model.{kind}.onnx"
    if kind == "fp16":
        to_half(whole, path)
    elif kind == "int8_dynamic":
        to_dynamic(whole, path)
    else:
        to_static(whole, path, {"clamp": rows["clamp"]}, SETTINGS.reduction)
    assert prove(kind, path, module, signature, rows, 1.0, SETTINGS)
    altered(path, enlarged)
    said = r'node "node_linear_1" \(Gemm, from layer body\.2\) loses most: [\d.]+ of its size off, what it is given 0.*'
    with pytest.raises(CorruptData, match=said + r"nothing was published"):
        prove(kind, path, module, signature, rows, 1.0, SETTINGS)
