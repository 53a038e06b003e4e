"""No row may be answered by its neighbours; a free axis is one; edge rows reach all that callers may send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from export.axes import resized
from export.example import edge_rows
from export.onnx import to_onnx
from export.parity import prove
from export.pool import Pool
from export.program import to_program
from export.torchscript import to_torchscript
from export.trial import MIXED
from staytrue.errors import CorruptData, InvalidInput, TooLarge, Unsupported
from staytrue.sections import ExportSection
from staytrue.signature import Signature, TensorSpec
from tests.unit.export.conftest import NAMED, SIGNATURE, Named, Small

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.bundle import Parity

    Rows = dict[str, NDArray[Any]]

SETTINGS = ExportSection(max_batch=16)
X = Signature(
    inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, 4])],
    outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1, 4])],
)


class Centred(nn.Module):
    """Takes the batch's mean away: what a normalisation left in training does. Its order changes nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,4] → [N,4]."""
        return x - x.mean(dim=0, keepdim=True)


class Summed(nn.Module):
    """Adds to each row those before it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,4] → [N,4]."""
        return torch.cumsum(x, dim=0)


def proven(module: nn.Module, signature: Signature, rows: Rows, folder: Path) -> list[Parity]:
    """Written as ONNX and proven."""
    to_onnx(module.eval(), signature, folder / "model.onnx", SETTINGS.max_batch)
    return prove("onnx", folder / "model.onnx", module, signature, rows, 1.0, SETTINGS)


def drawn(*shape: int) -> NDArray[np.float32]:
    """Rows."""
    return np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("layer", [Centred, Summed])
def test_a_model_whose_rows_depend_on_their_neighbours_is_refused_and_the_layer_named(
    tmp_path: Path, layer: type[nn.Module]
) -> None:
    module = nn.Sequential(nn.Hardtanh(), layer(), nn.Identity())
    said = r"the model itself in a permuted batch of 7, output \"y\", row \d: expected .*; "
    said += rf"its rows depend on their neighbours, first in layer 1 \({layer.__name__}\); nothing was published"
    with pytest.raises(CorruptData, match=said):
        proven(module, X, {"x": drawn(40, 4)}, tmp_path)


def test_a_graph_whose_rows_depend_where_those_of_the_module_do_not_is_refused(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Hardtanh())
    to_onnx(module, X, tmp_path / "model.onnx", SETTINGS.max_batch)
    rows, path = {"x": drawn(40, 4)}, tmp_path / "model.onnx"
    assert prove("onnx", path, module, X, rows, 1.0, SETTINGS)
    model = onnx.load(path)
    (node,) = model.graph.node
    node.output[0] = "inner"
    model.graph.node.append(onnx.helper.make_node("CumSum", ["inner", "axis"], ["y"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(0, np.int64), "axis"))
    onnx.save(model, path)
    with pytest.raises(CorruptData, match=r"model\.onnx at batch 2, output .y., row 1"):
        prove("onnx", path, module, X, rows, 1.0, SETTINGS)


def test_rows_that_may_depend_on_each_other_are_not_permuted(tmp_path: Path) -> None:
    signature = Signature(inputs=X.inputs, outputs=X.outputs, rows="dependent")
    proofs = proven(Centred(), signature, {"x": np.clip(drawn(40, 4), -1, 1)}, tmp_path)
    assert not [proof for proof in proofs if proof.arrangement]


def test_the_proof_tells_arrangement_versions_and_digests(tmp_path: Path, rows: Rows) -> None:
    proofs = proven(Small(), SIGNATURE, rows, tmp_path)
    assert [(proof.batch, proof.arrangement) for proof in proofs] == [(1, ""), (2, ""), (7, ""), (16, ""), (7, MIXED)]
    assert len({proof.rows_sha256 for proof in proofs}) == 5
    assert all(len(proof.rows_sha256) == 64 for proof in proofs)
    assert set(proofs[0].versions) == {"torch", "onnx", "onnxscript", "onnxruntime"}
    again = prove("onnx", tmp_path / "model.onnx", Small().eval(), SIGNATURE, rows, 1.0, SETTINGS)
    assert [proof.rows_sha256 for proof in again] == [proof.rows_sha256 for proof in proofs]


def test_classes_stay_with_their_rows_in_a_permuted_batch(tmp_path: Path) -> None:
    sizes = np.linspace(0, 10, 40, dtype=np.float32).reshape(-1, 1)
    assert proven(Named(5.0), NAMED, {"size": sizes}, tmp_path)[-1].arrangement == MIXED


class Pooled(nn.Module):
    """A picture of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,3,H,W] → [N,4]."""
        made: torch.Tensor = self.layers(x.float() / 255)
        return made


class Masked(nn.Module):
    """A sequence of any length with a mask of the same."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.Conv1d(3, 4, 3, padding=1)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,T,3], [N,T] → [N,4]."""
        made = torch.relu(self.cells(torch.nan_to_num(x, 0.0, 0.0, 0.0).clamp(-3, 3).transpose(1, 2)))
        return torch.bmm(made, mask.float().unsqueeze(2)).squeeze(2)


class Recurrent(Masked):
    """Cells that go from step to step."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.GRU(3, 4, batch_first=True)  # type: ignore[assignment]

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,T,3], [N,T] → [N,4]."""
        made, _ = self.cells(x)
        return torch.bmm(mask.float().unsqueeze(1), made).squeeze(1)


FREE: dict[str, tuple[type[nn.Module], list[TensorSpec], Callable[[], Rows]]] = {
    "picture": (
        Pooled,
        [TensorSpec(name="x", datatype="UINT8", shape=[-1, 3, -1, -1])],
        lambda: {"x": np.random.default_rng(0).integers(0, 256, (9, 3, 10, 12), dtype=np.uint8)},
    ),
    "sequence": (
        Masked,
        [
            TensorSpec(name="x", datatype="FP32", shape=[-1, -1, 3]),
            TensorSpec(name="mask", datatype="BOOL", shape=[-1, -1]),
        ],
        lambda: {"x": drawn(9, 6, 3), "mask": np.ones((9, 6), bool)},
    ),
}


@pytest.mark.parametrize("kind", FREE)
@pytest.mark.parametrize("form", ["onnx", "pt2", "torchscript"])
def test_each_free_axis_is_one_and_is_proven_at_other_sizes(tmp_path: Path, kind: str, form: Any) -> None:
    build, inputs, make = FREE[kind]
    torch.manual_seed(0)
    module: nn.Module = build().eval()
    signature, path = Signature(inputs=inputs, outputs=X.outputs), tmp_path / "model"
    if form == "torchscript":
        to_torchscript(module, signature, path)
    else:
        (to_onnx if form == "onnx" else to_program)(module, signature, path, 16)
    proofs = prove(form, path, module, signature, make(), 1.0, SETTINGS)
    shapes = [proof.shapes for proof in proofs if proof.shapes]
    if kind == "picture":
        along = [[shape["x"][axis] for shape in shapes] for axis in (2, 3)]
        assert along == [[7, 11, 20] + [10] * 3, [12] * 3 + [7, 13, 24]], "1 and 2 are too small for its kernel"
    else:
        assert [shape["x"][1] for shape in shapes] == [1, 2, 7, 12]
        assert [shape["mask"][1] for shape in shapes] == [1, 2, 7, 12], "both are as long"
    if form == "onnx":
        told = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
        assert [dim.HasField("dim_param") for dim in told] == [size < 0 for size in inputs[0].shape]


def test_cells_that_are_captured_for_one_length_are_refused_clearly(tmp_path: Path) -> None:
    _, inputs, _ = FREE["sequence"]
    said = r'the signature has free sizes, "x" \[-1, -1, 3\], "mask" \[-1, -1\], and .* one alone; recurrent cells'
    with pytest.raises(Unsupported, match=said):
        to_onnx(Recurrent().eval(), Signature(inputs=inputs, outputs=X.outputs), tmp_path / "model.onnx", 16)


class Flat(nn.Module):
    """Takes one size alone, whatever its signature says."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,6] → [N,4]."""
        return torch.relu(self.linear(x.clamp(-3, 3)))


def test_a_trace_that_has_frozen_a_size_is_refused_at_another(tmp_path: Path) -> None:
    class Frozen(nn.Module):
        """Counts in Python."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Shapes: [N,T] → [N,4]."""
            return x.nan_to_num().clamp(-3, 3).sum(dim=1, keepdim=True).expand(-1, 4) / int(x.shape[1])

    signature = Signature(inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, -1])], outputs=X.outputs)
    fixed = Signature(inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, 6])], outputs=X.outputs)
    to_onnx(Frozen(), fixed, tmp_path / "model.onnx", 16)
    said = r'model\.onnx with "x" \[2, 1\]: expected answers by onnxruntime [\d.]+ CPU to rows that the model itself '
    said += (
        r'answers, got RunError: .*Got: 1 Expected: 6.*; the rows were "x" \[2, 1\], SHA-256 \w{16}; row 0 of them, '
    )
    with pytest.raises(CorruptData, match=said + r"an edge row, fails alone too; .*nothing was published"):
        prove("onnx", tmp_path / "model.onnx", Frozen(), signature, {"x": drawn(9, 6)}, 1.0, SETTINGS)


def test_a_module_that_takes_one_size_has_no_free_axis(tmp_path: Path) -> None:
    signature = Signature(inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, -1])], outputs=X.outputs)
    fixed = Signature(inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, 6])], outputs=X.outputs)
    module = Flat().eval()
    to_onnx(module, fixed, tmp_path / "model.onnx", 16)
    said = r'the model itself: expected any size along axis 1 of "x", as the signature says, got errors at all but 6'
    with pytest.raises(InvalidInput, match=said):
        prove("onnx", tmp_path / "model.onnx", module, signature, {"x": np.clip(drawn(9, 6), -1, 1)}, 1.0, SETTINGS)


@pytest.mark.parametrize("max_batch", [1, 2, 16])
def test_real_rows_too_are_brought_to_other_sizes(tmp_path: Path, max_batch: int) -> None:
    """At a largest batch of 1 as well, where the first one holds an edge row alone."""
    build, inputs, make = FREE["picture"]
    signature, settings = Signature(inputs=inputs, outputs=X.outputs), ExportSection(max_batch=max_batch)
    module = build().eval()
    to_torchscript(module, signature, tmp_path / "model.ts")
    proofs = prove("torchscript", tmp_path / "model.ts", module, signature, make(), 1.0, settings)
    along = [proof for proof in proofs if proof.shapes]
    assert [(proof.rows, proof.edge_rows) for proof in along] == [(4, 2)] * 6
    assert [proof.axes for proof in along] == [{"x": [2]}] * 3 + [{"x": [3]}] * 3


def test_what_is_empty_along_an_axis_is_brought_to_other_sizes_too() -> None:
    texts = Pool({"x": np.zeros((2, 0, 3), np.float32), "t": np.empty((2, 0), object)}, np.ones(2, bool))
    made = list(resized(texts, (("x", 1), ("t", 1))))
    assert [(part.rows["x"].shape, part.rows["t"].tolist()) for part in made] == [
        ((2, size, 3), [[""] * size] * 2) for size in (1, 2, 7)
    ]


class Looked(nn.Module):
    """Looks codes up; those beyond the table are the last one."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,1] → [N,4]."""
        made: torch.Tensor = self.table(x.clamp(0, 3)).squeeze(1)
        return made


def test_an_artefact_that_fails_is_a_failed_proof_and_the_row_is_told(tmp_path: Path) -> None:
    signature = Signature(inputs=[TensorSpec(name="x", datatype="INT64", shape=[-1, 1])], outputs=X.outputs)
    module, path, rows = Looked().eval(), tmp_path / "model.onnx", {"x": np.arange(40).reshape(-1, 1) % 4}
    to_onnx(module, signature, path, 16)
    assert prove("onnx", path, module, signature, rows, 1.0, SETTINGS)
    model = onnx.load(path)
    (gather,) = (node for node in model.graph.node if node.op_type == "Gather")
    gather.input[1] = "x"
    onnx.save(model, path)
    said = r"model\.onnx at batch 1: expected answers by onnxruntime .*, got RunError: .* out of data bounds.*;"
    with pytest.raises(
        CorruptData, match=said + r' the rows were "x" \[1, 1\], SHA-256 \w{16}; .*nothing was published'
    ):
        prove("onnx", path, module, signature, rows, 1.0, SETTINGS)


def test_a_model_that_fails_on_what_callers_may_send_is_told_with_the_row(tmp_path: Path) -> None:
    signature = Signature(inputs=[TensorSpec(name="x", datatype="INT64", shape=[-1, 1])], outputs=X.outputs)
    module, rows = nn.Sequential(nn.Embedding(4, 4), nn.Flatten()).eval(), {"x": np.arange(40).reshape(-1, 1) % 4}
    to_torchscript(module, signature, tmp_path / "model.ts")
    with pytest.raises(
        InvalidInput, match=r"the model itself, rows for model\.ts at batch 1: expected answers, got IndexE"
    ):
        prove("torchscript", tmp_path / "model.ts", module, signature, rows, 1.0, SETTINGS)


def test_edge_texts_are_empty_unknown_and_long(rows: Rows) -> None:
    towns = edge_rows(SIGNATURE, rows)["town"].ravel().tolist()
    assert {"", "never seen before"} <= set(towns)
    assert max(map(len, towns)) > 9000


def test_edge_pictures_have_the_size_of_real_ones() -> None:
    spec = TensorSpec(name="x", datatype="UINT8", shape=[-1, 3, -1, -1])
    made = edge_rows(Signature(inputs=[spec], outputs=[]), {"x": np.zeros((2, 3, 5, 6), np.uint8)})["x"]
    assert made.shape[1:] == (3, 5, 6)


def test_a_model_beyond_what_one_file_holds_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.onnx.MOST_BYTES", 100)
    said = r"model\.onnx: expected weights of less than 1e-07 GB, .* got 1\.12e-07 GB; make the model smaller, or set"
    with pytest.raises(TooLarge, match=said):
        to_onnx(nn.Sequential(nn.Linear(6, 4)), X, tmp_path / "model.onnx", 16)
    assert not list(tmp_path.iterdir())
