"""Shapes and numbers that no tensor can have: every reader refuses them, none of them fails."""

from __future__ import annotations

import json

import pytest

from serving.rest import binary, codec
from staytrue.errors import InvalidInput
from staytrue.signature import NUMPY, Signature, TensorSpec, check_shape

SIGNATURE = Signature(inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, -1])], outputs=[])
HUGE = [[0, 2**31 - 1, 2**31], [2**31, 0, 2**31], [0, 2**62], [0, 2**64], [2**20, 2**20, 2**20, 0], [0, 10**400]]


def body(**more: object) -> bytes:
    """A request of one input."""
    return json.dumps({"inputs": [{"name": "x", "shape": [0], **more}]}).encode()


@pytest.mark.parametrize("datatype", NUMPY)
@pytest.mark.parametrize("shape", HUGE)
def test_a_huge_shape_of_nothing_is_refused(shape: list[int], datatype: str) -> None:
    with pytest.raises(InvalidInput):
        codec.parse(body(shape=shape, datatype=datatype, data=[]), "reject")
    head = body(shape=shape, datatype=datatype, parameters={"binary_data_size": 0})
    with pytest.raises(InvalidInput):
        binary.parse(head, str(len(head)), "reject", SIGNATURE)


def test_an_empty_shape_that_an_array_can_have_is_taken() -> None:
    check_shape([0, 2**31], "x")
    assert codec.parse(body(shape=[0, 2**31], datatype="FP64", data=[]), "reject").inputs[0].array.shape == (0, 2**31)


@pytest.mark.parametrize("place", ["shape", "data", "size", "classes"])
def test_a_number_of_thousands_of_digits_is_refused(place: str) -> None:
    digits = b"1" * 5000
    made = {
        "shape": b'{"inputs":[{"name":"x","datatype":"FP32","shape":[0,%b],"data":[]}]}',
        "data": b'{"inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":[%b]}]}',
        "size": b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":%b}}]}',
        "classes": b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1]}],"outputs":[{"name":"y",'
        b'"parameters":{"classification":%b}}]}',
    }[place] % digits
    with pytest.raises(InvalidInput):
        codec.parse(made, "reject")
    with pytest.raises(InvalidInput):
        binary.parse(made, str(len(made)), "reject", SIGNATURE)
