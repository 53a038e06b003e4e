"""Requests and answers as the objects that JSON holds: what is read of them, where the bytes behind them go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from staytrue.bodies import Tail, parsed, wish, written
from staytrue.errors import InvalidInput
from staytrue.signature import TensorSpec
from staytrue.tensors import Answer, Asked, Wish

X = {"name": "x", "datatype": "FP32", "shape": [2, 1], "data": [1.0, 2.0]}
BEHIND = {"name": "x", "datatype": "INT16", "shape": [2], "parameters": {"binary_data_size": 4}}


def test_a_request_says_id_outputs_and_parameters() -> None:
    outputs = [{"name": "y"}, {"name": "z", "parameters": {"classification": 2, "binary_data": False}}]
    said = {"id": "i", "inputs": [X], "outputs": outputs, "parameters": {"binary_data_output": True}}
    made = parsed(said, "reject")
    assert (made.id, made.parameters) == ("i", {"binary_data_output": True})
    assert made.outputs == [Wish("y", binary=True), Wish("z", binary=False, classes=2)]
    assert made.inputs[0].array.tolist() == [[1.0], [2.0]]
    assert parsed({"inputs": [{**X, "data": [[1.0], [2.0]]}], "outputs": []}, "reject").outputs is None


REFUSED: list[tuple[Any, str]] = [
    (1, "body: expected an object"),
    ({}, 'body "inputs": expected a list of tensors'),
    ({"inputs": [X], "id": 1}, 'body "id": expected a string'),
    ({"inputs": [X], "parameters": 1}, 'body "parameters": expected an object'),
    ({"inputs": [X], "outputs": [{}]}, 'body "outputs": expected a list of'),
    ({"inputs": [X], "parameters": {"binary_data_output": 1}}, "expected true or false"),
    ({"inputs": [1]}, r"inputs\[0\]: expected a tensor object"),
    ({"inputs": [{**X, "name": ""}]}, r"inputs\[0\].name"),
    ({"inputs": [{**X, "datatype": "FP8"}]}, 'input "x" datatype'),
    ({"inputs": [{**X, "shape": [2.0, 1]}]}, 'input "x" shape'),
    ({"inputs": [{**X, "shape": [1] * 9}]}, "at most 8 axes"),
    ({"inputs": [{**X, "data": 1}]}, 'input "x" data: expected a list'),
    ({"inputs": [{**X, "data": [[1.0], [2.0, 3.0]]}]}, "expected lists nested as shape"),
    ({"inputs": [{**X, "data": [1.0]}]}, "expected 2 values"),
    ({"inputs": [BEHIND]}, 'input "x" data: expected 2 values, got nothing'),
]


@pytest.mark.parametrize(("said", "why"), REFUSED)
def test_what_is_no_request_is_refused(said: Any, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        parsed(said, "reject")


def test_inputs_take_the_bytes_behind_in_their_order() -> None:
    tail = Tail(memoryview(b"\1\0\2\0\3\0\4\0"))
    made = parsed({"inputs": [BEHIND, X, BEHIND]}, "reject", tail)
    assert [item.array.ravel().tolist() for item in made.inputs] == [[1, 2], [1.0, 2.0], [3, 4]]


@pytest.mark.parametrize(
    ("said", "data", "why"),
    [
        (BEHIND, b"\0" * 3, "expected at most the 3 bytes that are left"),
        (BEHIND, b"\0" * 5, "body: expected nothing behind the last input's bytes, got 1 bytes more"),
        ({**BEHIND, "parameters": {"binary_data_size": -1}}, b"", "expected a whole number of bytes, not negative"),
        ({**BEHIND, "data": [1, 2]}, b"\0" * 4, "expected nothing beside binary_data_size"),
    ],
)
def test_bytes_behind_must_be_somebodys(said: dict[str, Any], data: bytes, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        parsed({"inputs": [said]}, "reject", Tail(memoryview(data)))


def test_a_wish_for_no_classes_is_none() -> None:
    assert wish("y", {}, binary=True) == Wish("y", binary=True)
    with pytest.raises(
        InvalidInput, match='output "y" parameter "classification": expected a whole number, at least 1'
    ):
        wish("y", {"classification": 0}, binary=False)


def test_an_answer_says_who_answered_what() -> None:
    spec = TensorSpec(name="y", datatype="FP32", shape=[-1, 2])
    array = np.array([[0.5, 0.25]], np.float32)
    told = written(Answer("e", "i", "m", "1", [(Asked(spec), array), (Asked(spec, classes=1), array)]), "reject")
    assert told == {
        "model_name": "m",
        "model_version": "1",
        "id": "i",
        "parameters": {"event_id": "e"},
        "outputs": [
            {"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 0.25]},
            {"name": "y", "datatype": "BYTES", "shape": [1, 1], "data": ["0.5:0"]},
        ],
    }
    assert "id" not in written(Answer("e", "", "m", "1", []), "reject")
