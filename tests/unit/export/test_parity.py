"""The comparison accepts what the tolerances allow, and nothing else: not beside infinity, not beside NaN."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from export.comparison import compare as compared
from export.example import edge_rows
from export.parity import examine, own
from export.pool import Pool
from export.tolerance import Tolerance
from export.torchscript import to_torchscript
from staytrue.errors import CorruptData
from staytrue.sections import ExportSection
from staytrue.signature import Signature, TensorSpec
from tests.unit.export.conftest import NAMED, SIGNATURE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Rows = dict[str, NDArray[Any]]

SETTINGS = ExportSection(absolute_tolerance=1e-3, relative_tolerance=1e-2)
INFINITY = np.inf
ONE = Signature(inputs=[], outputs=[TensorSpec(name="y", datatype="FP64", shape=[-1, 1])])


def of(signature: Signature, want: Any, have: Any, scale: float = 1.0) -> tuple[float, float, float]:
    """Errors of all outputs."""
    return compared(signature, want, have, Tolerance(signature, scale, SETTINGS), "model.onnx")


def compare(expected: float, got: float, scale: float = 10.0) -> tuple[float, float, float]:
    """Compare one number in double precision."""
    want, have = ({"y": np.array([[number]])} for number in (expected, got))
    return of(ONE, want, have, scale)


@pytest.mark.parametrize(
    ("expected", "got"),
    [(0.0, 0.0099), (100.0, 101.0), (-100.0, -101.0), (INFINITY, INFINITY), (-INFINITY, -INFINITY), (np.nan, np.nan)],
)
def test_outputs_within_both_tolerances_together_pass(expected: float, got: float) -> None:
    compare(expected, got)


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (0.0, 0.0101),  # 1e-3 of a deviation of 10 is 0.01
        (100.0, 101.02),  # and 1e-2 of 100 is 1 more
        (INFINITY, 5.0),
        (INFINITY, -INFINITY),
        (5.0, INFINITY),
        (np.nan, 5.0),
        (5.0, np.nan),
        (np.nan, INFINITY),
    ],
)
def test_outputs_beyond_them_are_refused(expected: float, got: float) -> None:
    with pytest.raises(CorruptData, match=r"output .y., row 0: expected .* as the model itself gives, got"):
        compare(expected, got)


def test_errors_are_told_in_the_targets_unit_and_as_a_share() -> None:
    absolute, relative, share = compare(100.0, 100.5)
    assert share == pytest.approx(0.5 / 1.01)  # 1e-3 of a deviation of 10, and 1e-2 of 100
    assert absolute == pytest.approx(0.5)
    assert relative == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("want", "got"),
    [
        (np.array([[1_000_000]]), np.array([[1_000_001]])),
        (np.array([[2**53]]), np.array([[2**53 + 1]])),
        (np.array([[255]], np.uint8), np.array([[254]], np.uint8)),
        (np.array([[True]]), np.array([[False]])),
    ],
    ids=["large", "beyond double precision", "unsigned", "decision"],
)
def test_whole_numbers_and_decisions_are_equal_or_refused_however_large_the_tolerance(want: Any, got: Any) -> None:
    assert of(ONE, {"y": want}, {"y": want.copy()}, 1e9) == (0.0, 0.0, 0.0)
    with pytest.raises(
        CorruptData, match=rf"row 0: expected {want.item()} as the model itself gives, got {got.item()};"
    ):
        of(ONE, {"y": want}, {"y": got}, 1e9)


def test_the_number_that_differs_is_told_and_not_the_first_of_its_row() -> None:
    want, got = np.zeros((2, 3)), np.array([[0, 0, 0], [0, 0, 7.5]])
    with pytest.raises(CorruptData, match=r"row 1: expected 0 as the model itself gives, got 7\.5 at \[2\] of it"):
        of(ONE, {"y": want}, {"y": got})


@pytest.mark.parametrize("got", [np.zeros((2, 1)), np.zeros(1), np.zeros((1, 1), dtype=np.float32)])
def test_another_shape_or_datatype_is_refused(got: Any) -> None:
    with pytest.raises(CorruptData, match=r"expected float64 \[1, 1\], got float"):
        of(ONE, {"y": np.zeros((1, 1))}, {"y": got})


@pytest.mark.parametrize("batch", [1, 2, 7, 64])
def test_every_batch_size_meets_edge_rows_and_real_ones(rows: Rows, batch: int) -> None:
    taken = Pool.of(edge_rows(SIGNATURE, rows), rows, SIGNATURE).batches(batch)
    assert {len(part) for part in taken} == {batch}
    sizes = np.concatenate([part.rows["size"] for part in taken])
    real = np.concatenate([part.real for part in taken])
    assert np.isin(sizes[real], rows["size"]).all()
    assert not real.all()
    assert np.isnan(sizes).any()
    assert np.isin(sizes, rows["size"][1:]).any()


def test_the_largest_batch_meets_all_edges_and_repeats_rows_where_there_are_too_few(rows: Rows) -> None:
    edges = len(edge_rows(SIGNATURE, rows)["size"])
    few = {name: array[:3] for name, array in rows.items()}
    (part,) = Pool.of(edge_rows(SIGNATURE, few), few, SIGNATURE).batches(4 * edges)
    assert len(part) == 4 * edges
    assert np.count_nonzero(np.abs(part.rows["size"]) > 1e29) >= 4


def named(*names: str) -> np.ndarray:
    """An output of names."""
    return np.array([[name] for name in names], dtype=object)


@pytest.mark.parametrize(("datatype", "step"), [("FP16", 0.0625), ("BF16", 0.5), ("FP32", 0.0), ("FP64", 0.0)])
def test_a_number_may_be_rounded_to_the_next_that_its_datatype_holds_and_no_further(datatype: Any, step: float) -> None:
    """Of 100; the tolerances of FP32 are narrower than what 16 bits hold."""
    signature = Signature(inputs=[], outputs=[TensorSpec(name="y", datatype=datatype, shape=[-1, 1])])
    tolerance = Tolerance(signature, 1e-9, ExportSection(relative_tolerance=1e-5))
    kind = {"FP16": np.float16, "FP64": np.float64}.get(datatype, np.float32)
    want = {"y": np.array([[100.0]], kind)}
    for off, passes in ((0.0005, True), (step, True), (2 * step + 0.01, False)):
        have = {"y": np.array([[100.0 + off]], kind)}
        if passes:
            compared(signature, want, have, tolerance, "m")
        else:
            with pytest.raises(CorruptData, match="expected 100 as the model itself gives"):
                compared(signature, want, have, tolerance, "m")
    assert tolerance.told[1] == max(1e-5, {"FP16": 2**-10, "BF16": 2**-7}.get(datatype, 0))


def test_another_text_is_refused_unless_the_two_are_a_tie() -> None:
    likely = np.array([[0.5, 0.4999], [0.7, 0.3]], dtype=np.float32)
    expected = {"kind": named("large", "large"), "probabilities": likely}
    assert of(NAMED, expected, expected) == (0.0, 0.0, 0.0)
    assert of(NAMED, expected, {"kind": named("small", "large"), "probabilities": likely}) == (0.0, 0.0, 0.0)
    wrong = {"kind": named("large", "small"), "probabilities": likely}
    with pytest.raises(
        CorruptData, match=r'output "kind", row 1: expected "large" as the model itself gives, got "small"'
    ):
        of(NAMED, expected, wrong)


@pytest.mark.parametrize("got", [named("", "large"), named("huge", "large")], ids=["none", "no category"])
def test_a_text_that_is_no_category_is_never_a_tie(got: Any) -> None:
    expected = {"kind": named("small", "large"), "probabilities": np.full((2, 2), 0.5, np.float32)}
    with pytest.raises(CorruptData, match=r'row 0: expected "small"'):
        of(NAMED, expected, expected | {"kind": got})


def test_numbers_in_place_of_texts_are_refused() -> None:
    expected = {"kind": named("large"), "probabilities": np.full((1, 2), 0.5, np.float32)}
    with pytest.raises(CorruptData, match=r"expected text \[1, 1\], got int64 \[1, 1\]"):
        of(NAMED, expected, expected | {"kind": np.array([[1]])})


class Targets(nn.Module):
    """A small target and a large one, both about zero."""

    def __init__(self, off: tuple[float, float] = (0.0, 0.0)) -> None:
        super().__init__()
        self.off = off

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Shapes: [N,1] → [N,1] each."""
        near = torch.nan_to_num(x).clamp(-1, 1)
        return 1e-3 * near + self.off[0], 1e5 * near + self.off[1]


@pytest.mark.parametrize(("off", "wrong"), [((0.0, 5.0), ""), ((0.0, 25.0), "large"), ((5e-7, 0.0), "small")])
def test_each_target_is_held_to_the_tolerance_in_its_own_deviation(
    off: tuple[float, float], wrong: str, tmp_path: Path
) -> None:
    names = ("small", "large")
    signature = Signature(
        inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, 1])],
        outputs=[TensorSpec(name=name, datatype="FP32", shape=[-1, 1]) for name in names],
    )
    rows, path = {"x": np.zeros((9, 1), np.float32)}, tmp_path / "model.ts"
    to_torchscript(Targets(off).eval(), signature, path)
    module, settings = Targets().eval(), ExportSection(max_batch=2)
    with pytest.raises(CorruptData, match=f'output "{wrong}"') if wrong else contextlib.nullcontext():
        examine(
            *("torchscript", path, module, signature, rows, 1e-3, settings, own(module, signature, dict)),
            units={"small": 1e-3, "large": 1e5},
        )
