"""What a signature's first axis counts, and a shape of one row that its model takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from staytrue.asking import example
from staytrue.errors import InvalidInput
from staytrue.signature import Signature, TensorSpec
from staytrue.tensors import Given, accepted

if TYPE_CHECKING:
    from staytrue.signature import RowsName

X = TensorSpec(name="x", datatype="FP32", shape=[-1, -1], typical=[1, 512])
STATE = TensorSpec(name="state", datatype="FP32", shape=[2, -1])
RATE = TensorSpec(name="rate", datatype="INT64", shape=[], categories=["16000", "8000"])
Y = TensorSpec(name="y", datatype="FP32", shape=[-1, 1])


@pytest.mark.parametrize(
    ("inputs", "outputs", "rows", "merges"),
    [
        ([X], [Y], "independent", True),
        ([X], [Y], "dependent", False),
        ([X], [Y], "none", False),
        ([X, STATE], [Y], "independent", False),
        ([X], [RATE], "independent", False),
    ],
)
def test_requests_run_together_only_along_independent_rows_of_all_tensors(
    inputs: list[TensorSpec], outputs: list[TensorSpec], rows: RowsName, merges: bool
) -> None:
    assert Signature(inputs=inputs, outputs=outputs, rows=rows).merges == merges


@pytest.mark.parametrize(("rows", "count"), [("independent", 3), ("dependent", 3), ("none", 1)])
def test_rows_are_those_of_the_input_that_counts_them_whatever_comes_first(rows: RowsName, count: int) -> None:
    signature = Signature(inputs=[RATE, STATE, X], outputs=[Y], rows=rows)
    arrays = {"state": np.zeros((2, 3)), "rate": np.array(8000), "x": np.zeros((3, 9))}
    assert signature.rows_in(arrays) == count
    assert Signature(inputs=[STATE], outputs=[Y]).rows_in(arrays) == 2
    assert Signature(inputs=[], outputs=[Y]).rows_in({}) == 1


def test_first_axes_that_count_no_rows_may_differ() -> None:
    other = TensorSpec(name="z", datatype="FP32", shape=[-1])
    given = [Given("x", "FP32", np.zeros((3, 9), np.float32)), Given("z", "FP32", np.zeros(5000, np.float32))]
    accepted(Signature(inputs=[X, other], outputs=[Y], rows="none"), 1, given)
    with pytest.raises(InvalidInput, match="the same number of rows"):
        accepted(Signature(inputs=[X, other], outputs=[Y]), 9000, given)


def test_an_example_has_a_typical_shape_and_the_first_category() -> None:
    signature = Signature(inputs=[X, STATE, RATE], outputs=[Y])
    made = example(signature, 3)
    assert (made["x"].shape, made["state"].shape, made["rate"].item()) == ((3, 512), (2, 1), 16000)
    told = Signature(inputs=[X], outputs=[Y], rows="none")
    assert example(told, 3)["x"].shape == (1, 512)
