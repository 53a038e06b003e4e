"""What an artefact costs is told of rows that have an answer, and of none it is not told at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from export.comparison import Exact
from export.fidelity import measure
from export.held import Held
from export.trial import Trial
from staytrue.errors import InvalidInput
from staytrue.sections import ExportSection
from staytrue.signature import Signature, TensorSpec

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.bundle import Fidelity

SETTINGS = ExportSection(max_batch=4)
PRICE = Signature(
    inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, 1])],
    outputs=[TensorSpec(name="price", datatype="FP32", shape=[-1, 1])],
)


def measured(path: Path, own: Any, got: Any) -> Fidelity:
    """Of an artefact and a module whose answers are known, on rows of two days whose truth is 1."""
    path.write_bytes(b"model")
    x = np.arange(len(own), dtype=np.float32).reshape(-1, 1)
    answers = [np.array(side, np.float32).reshape(-1, 1) for side in (own, got)]
    run, artefact = (lambda rows, side=side: {"price": side[rows["x"].ravel().astype(int)]} for side in answers)

    def compared() -> Exact:
        return Exact(PRICE, 1.0, SETTINGS)

    trial = Trial(run, artefact, "", PRICE, compared, compared, lambda found, **_: found)
    days = (np.arange(len(own)) % 2).astype(np.float64)
    held = Held({"x": x}, 86400.0 * days, np.ones(len(own)), {"x": x})
    return measure(trial, "onnx", path, held, {"price": 2.0}, SETTINGS, "")


def test_rows_without_a_number_count_neither_in_the_distance_nor_in_the_metric(tmp_path: Path) -> None:
    nan = float("nan")
    found = measured(tmp_path / "m.onnx", [2.0, nan, 4.0, 1.0, nan, 3.0], [2.5, 7.0, 4.0, 1.0, nan, 3.0])
    assert (found.apart, found.far) == (0.25 / 4, 0.25)
    assert found.own == pytest.approx((1 + 3 + 0 + 2) / 4)
    assert found.change is not None
    assert found.change.value == pytest.approx(0.5 / 4)
    assert np.isfinite([found.change.low, found.change.high]).all()


def test_of_a_model_that_gives_no_number_on_any_row_nothing_is_measured(tmp_path: Path) -> None:
    said = r'm\.onnx on 4 validation rows: expected a number in output "price" of the model itself, .* got none; no'
    with pytest.raises(InvalidInput, match=said):
        measured(tmp_path / "m.onnx", [np.nan] * 4, [1.0] * 4)
