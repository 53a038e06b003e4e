"""An import is proven as every export is: edges, company, free axes, digests; a failed proof says where it begins."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from export import graph
from export.half import to_half
from export.importing.edges import edge_rows
from export.onnx import to_onnx
from export.trial import MIXED
from staytrue.errors import CorruptData, InvalidConfig, StaytrueError
from staytrue.signature import Signature, TensorSpec
from tests.unit.export.importing.conftest import graph_model, weight

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.bundle import Bundle
    from tests.unit.export.importing.conftest import Served

HERE = "tests.unit.export.importing.test_proof"
CHAIN = [
    helper.make_node("Relu", ["x"], ["a"], name="first"),
    helper.make_node("Mul", ["a", "w"], ["b"], name="second"),
    helper.make_node("Exp", ["b"], ["c"], name="third"),
    helper.make_node("Neg", ["c"], ["y"], name="fourth"),
]
RENAMED = {"inputs": {"x": {"name": "asked"}}}


def chain(folder: Path) -> Path:
    """Of any width."""
    model = graph_model(CHAIN, {"x": ["n", "t"]}, {"y": ["n", "t"]}, weights=[weight("w", [0.5])])
    onnx.save(model, folder / "chain.onnx")
    return folder / "chain.onnx"


def test_a_proof_has_edges_company_axes_digests_and_versions(take: Callable[..., Bundle], tmp_path: Path) -> None:
    proofs = take(chain(tmp_path)).parity
    plain = [proof for proof in proofs if not (proof.arrangement or proof.shapes)]
    assert [proof.batch for proof in plain] == [1, 2, 7, 32]
    assert all(proof.edge_rows for proof in plain)
    (mixed,) = (proof for proof in proofs if proof.arrangement)
    assert (mixed.batch, mixed.arrangement) == (7, MIXED)
    along = [proof for proof in proofs if proof.shapes]
    assert [proof.shapes["x"][1] for proof in along] == [2, 7]
    assert [proof.axes for proof in along] == [{"x": [1]}] * 2
    assert all(len(proof.rows_sha256) == 64 and proof.versions["onnxruntime"] for proof in proofs)
    assert len({proof.artefact_sha256 for proof in proofs}) == 1


def test_edges_are_missing_zero_and_extreme_within_what_is_told() -> None:
    inputs = [
        TensorSpec(name="free", datatype="FP32", shape=[-1, 2]),
        TensorSpec(name="ranged", datatype="FP32", shape=[-1], range=[-2.0, 3.0]),
        TensorSpec(name="steps", datatype="INT64", shape=[-1]),
        TensorSpec(name="picture", datatype="UINT8", shape=[-1, 1, 2, 2]),
        TensorSpec(name="text", datatype="BYTES", shape=[-1]),
        TensorSpec(name="rate", datatype="INT64", shape=[]),
    ]
    base: dict[str, Any] = {
        "free": np.ones((1, 2), np.float32),
        "ranged": np.ones(1, np.float32),
        "steps": np.array([5]),
        "picture": np.ones((1, 1, 2, 2), np.uint8),
        "text": np.array(["a"], dtype=object),
        "rate": np.array(16000),
    }
    rows = edge_rows(Signature(inputs=inputs, outputs=[]), base)
    met = {name: np.array([row[name].ravel()[0] for row in rows], base[name].dtype) for name in base}
    assert {0.0, np.float32(1e30), np.float32(-1e30)} <= set(met["free"])
    assert set(met["ranged"][np.isfinite(met["ranged"])]) == {-2.0, 0.0, 1.0, 3.0}
    assert all(np.isnan(met[name]).any() for name in ("free", "ranged"))
    assert set(met["steps"]) == {-1, 0, 1, 5}, "what counts steps is never huge"
    assert {0, 255} <= set(met["picture"])
    assert {"", "never seen before", "x" * 9999} <= set(met["text"])
    assert set(met["rate"]) == {16000}, "what rows share stays"
    assert all(row[name].shape == base[name].shape for row in rows for name in base)


def altered(monkeypatch: pytest.MonkeyPatch, change: Callable[[onnx.ModelProto], None]) -> None:
    """Have the file of the bundle written otherwise than it was given."""
    rename = graph.rename

    def wrongly(model: onnx.ModelProto, names: Any) -> None:
        rename(model, names)
        change(model)

    monkeypatch.setattr("export.importing.foreign.graph.rename", wrongly)


def test_a_failed_proof_names_the_first_node_that_differs(
    take: Callable[..., Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Any
) -> None:
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([0.75], np.float32), "w"))

    altered(monkeypatch, change)
    said = (
        r'chain\.onnx at batch 1, output "y", row 0: expected .* got .*; node "second" \(Mul\) differs first: .*nothing'
    )
    with pytest.raises(CorruptData, match=said):
        take(chain(tmp_path), RENAMED)
    assert store.versions("foreign") == []


def test_an_artefact_that_fails_is_a_failed_proof(
    take: Callable[..., Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones(5, np.float32), "w"))
        model.graph.node[1].op_type = "MatMul"

    altered(monkeypatch, change)
    said = (
        r'chain\.onnx at batch 1: expected answers by onnxruntime [\d.]+ CPU .*, got RunError: .*"asked" \[1, 1\], SHA-'
    )
    with pytest.raises(CorruptData, match=said):
        take(chain(tmp_path), RENAMED)


def test_an_axis_that_is_free_in_name_alone_is_fixed_in_the_signature(
    take: Callable[..., Bundle], serve: Callable[[], Served], tmp_path: Path
) -> None:
    held = numpy_helper.from_array(np.eye(2, dtype=np.float32), "w")
    model = graph_model(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": ["n", "t"]}, {"y": ["n", 2]}, weights=[held]
    )
    onnx.save(model, tmp_path / "m.onnx")
    bundle = take(tmp_path / "m.onnx")
    assert bundle.signature.inputs[0].shape == [-1, 2]
    assert serve().ask(x=np.ones((3, 2), np.float32))["y"].tolist() == [[1, 1]] * 3
    said = r"m?amend\.yaml:\d+.* expected axis 1 of any size, got a model that refuses every size but 2"
    with pytest.raises(InvalidConfig, match=said):
        take(tmp_path / "m.onnx", {"inputs": {"x": {"shape": [-1, -1]}}})


class Otherwise(nn.Module):
    """Is another layer while it is exported."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: any."""
        return torch.relu(x) if torch.compiler.is_exporting() else x


def turned() -> nn.Module:
    """A module that is exported otherwise than it computes."""
    return nn.Sequential(nn.Linear(2, 3), Otherwise())


class Chaotic(nn.Module):
    """Each step makes more of what the last digit was; nothing stays nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(16, 16, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,16] → [N,16]."""
        for _ in range(12):
            x = torch.sin(4 * self.step(x))
        return x


def weights(module: nn.Module, folder: Path) -> Path:
    """Written."""
    torch.save(module.state_dict(), folder / "weights.pth")
    return folder / "weights.pth"


def test_the_layer_of_a_module_that_is_exported_otherwise_is_named(take: Callable[..., Bundle], tmp_path: Path) -> None:
    amend = {"inputs": {"input": {"shape": [-1, 2]}}}
    with pytest.raises(CorruptData, match=r"layer module\.1 \(Otherwise\) is captured otherwise than it computes"):
        take(weights(turned(), tmp_path), amend, factory=f"{HERE}:turned")


def test_rows_that_no_two_computations_agree_on_are_left_out_if_made_up_and_refused_if_given(
    take: Callable[..., Bundle], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    module = Chaotic()
    with torch.no_grad():
        module.step.weight.copy_(0.5 * torch.randn(16, 16))
    path, amend = weights(module, tmp_path), {"inputs": {"x": {"shape": [-1, 16]}}}
    bundle = take(path, amend, factory=f"{HERE}:Chaotic")
    assert all(proof.edge_rows_left_out >= 5 for proof in bundle.parity), "ones, and those at random"
    np.savez(tmp_path / "rows.npz", x=np.random.default_rng(0).uniform(-1, 1, (8, 16)).astype(np.float32))
    with pytest.raises(
        CorruptData, match="no two ways to compute it agree: give --reference rows that it was made for"
    ):
        take(path, amend, factory=f"{HERE}:Chaotic", reference=tmp_path / "rows.npz")


class Attentive(nn.Module):
    """A transformer whose form in float16 ends ONNX Runtime's process, if it may fuse all that it would."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(4, 16)
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=True, activation="gelu")
        self.body = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.out = nn.Linear(16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,6,4] → [N,2]."""
        made: torch.Tensor = self.out(self.body(self.into(x.nan_to_num().clamp(-3, 3))).mean(1))
        return made


def test_a_transformer_in_float16_is_imported_and_served_without_ending_the_process(
    take: Callable[..., Bundle], serve: Callable[[], Served], tmp_path: Path
) -> None:
    """By a process of its own: without the guard it ends by a signal."""
    torch.manual_seed(0)
    signature = Signature(
        inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, 6, 4])],
        outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1, 2])],
    )
    to_onnx(Attentive().eval(), signature, tmp_path / "whole.onnx", 8)
    to_half(tmp_path / "whole.onnx", tmp_path / "half.onnx")
    assert TensorProto.FLOAT16 in {held.data_type for held in onnx.load(tmp_path / "half.onnx").graph.initializer}
    child = os.fork()
    if child == 0:
        try:
            take(tmp_path / "half.onnx", {"max_batch": 2})
            serve().ask(x=np.ones((2, 6, 4), np.float32))
        except StaytrueError as error:
            os.write(2, str(error).encode())
            os._exit(2)
        except BaseException:  # noqa: BLE001 - nothing of the tests may go on in here
            os._exit(3)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
