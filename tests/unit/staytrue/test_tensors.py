"""What a request may hold beyond what the protocols' tests send: huge whole numbers, inputs given twice, codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from staytrue.bodies import parsed
from staytrue.errors import InvalidInput, TooLarge
from staytrue.signature import Signature, TensorSpec
from staytrue.tensors import Asked, Given, Parsed, Wish, accepted, coded, decoded, wanted

SIGNATURE = Signature(
    inputs=[
        TensorSpec(name="a", datatype="FP32", shape=[-1, 1]),
        TensorSpec(name="b", datatype="FP32", shape=[-1, 1]),
    ],
    outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1, 1])],
)


def given(name: str, rows: int = 1) -> Given:
    """An input of zeros."""
    return Given(name, "FP32", np.zeros((rows, 1), dtype=np.float32))


def test_a_whole_number_that_no_float_holds_is_refused() -> None:
    tensor: dict[str, Any] = {"name": "a", "datatype": "FP32", "shape": [1], "data": [10**400]}
    with pytest.raises(
        InvalidInput, match=r'input "a" data\[0\]: expected finite FP32, got .*, a number beyond its range'
    ):
        parsed({"inputs": [tensor]}, "null")


def test_text_that_utf_8_cannot_write_is_refused_wherever_it_stands() -> None:
    half = "\ud83d"
    good: dict[str, Any] = {"name": "a", "datatype": "BYTES", "shape": [2], "data": ["Köln", "Łódź"]}
    for request, said in [
        ({"id": half, "inputs": [good]}, 'body "id"'),
        ({"inputs": [{**good, "name": half}]}, r"inputs\[0\].name"),
        ({"inputs": [{**good, "data": ["Köln", half]}]}, 'input "a" data'),
        ({"inputs": [good], "outputs": [{"name": half}]}, 'body "outputs"'),
    ]:
        with pytest.raises(InvalidInput, match=f"^{said}: expected text that UTF-8 can write, got half a char") as told:
            parsed(request, "reject")
        str(told.value).encode()
    assert parsed({"inputs": [good]}, "reject").inputs[0].array.tolist() == ["Köln", "Łódź"]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([given("a")], 'input "b": expected FP32'),
        ([given("a"), given("a")], 'input "a": is given twice'),
        ([given("a"), given("c")], 'input "c": is not an input of this model; it takes "a", "b"'),
        ([given("a"), given("b", 2)], "inputs: expected the same number of rows in each"),
        ([given("a", 0), given("b", 0)], "inputs: expected at least one row"),
    ],
)
def test_inputs_that_are_not_the_signatures_are_refused(inputs: list[Given], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        accepted(SIGNATURE, 8, inputs)


def test_as_many_rows_as_were_proven_are_accepted_and_one_more_is_not() -> None:
    assert set(accepted(SIGNATURE, 8, [given("a", 8), given("b", 8)])) == {"a", "b"}
    with pytest.raises(TooLarge, match="at most 8 rows, got 9"):
        accepted(SIGNATURE, 8, [given("a", 9), given("b", 9)])


def test_outputs_are_all_or_those_that_were_asked_for() -> None:
    (spec,) = SIGNATURE.outputs
    assert wanted(SIGNATURE, Parsed([])) == wanted(SIGNATURE, Parsed([], outputs=[Wish("y")])) == [Asked(spec)]
    with pytest.raises(InvalidInput, match='output "z": is not an output'):
        wanted(SIGNATURE, Parsed([], outputs=[Wish("z")]))


def test_outputs_keep_the_form_in_which_they_were_asked_for() -> None:
    (spec,) = SIGNATURE.outputs
    wish = Wish("y", binary=True, classes=2)
    assert wanted(SIGNATURE, Parsed([], outputs=[wish])) == [Asked(spec, binary=True, classes=2)]
    assert wanted(SIGNATURE, Parsed([], parameters={"binary_data_output": True})) == [Asked(spec, binary=True)]
    assert wanted(SIGNATURE, Parsed([], parameters={"other": 1})) == [Asked(spec)]


def test_texts_are_not_told_as_classes() -> None:
    texts = Signature(inputs=[], outputs=[TensorSpec(name="kind", datatype="BYTES", shape=[-1, 1])])
    with pytest.raises(InvalidInput, match='output "kind": holds texts'):
        wanted(texts, Parsed([], outputs=[Wish("kind", classes=1)]))


def test_codes_and_texts_are_each_others_inverse_and_keep_their_shape() -> None:
    spec = TensorSpec(name="kind", datatype="BYTES", shape=[-1, 1], categories=["a", "b", "c"])
    codes = np.array([[3], [1], [0], [2]])
    texts = decoded(spec, codes)
    assert texts.tolist() == [["c"], ["a"], [""], ["b"]]
    assert (coded(spec, texts) == codes).all()
