"""Payloads of servers elsewhere: V1 and V2, as the signature has them or refused with the place."""

from __future__ import annotations

import math
from typing import Any

import pytest

from monitoring.ingest.payloads import answered, asked, decoded
from staytrue.errors import InvalidInput
from staytrue.signature import Signature, TensorSpec

Y = TensorSpec(name="y", datatype="FP32", shape=[-1, 1])
ONE = Signature(inputs=[TensorSpec(name="pixels", datatype="FP32", shape=[-1, 2, 2])], outputs=[Y])
COLUMN = Signature(inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, 1])], outputs=[Y])
TWO = Signature(
    inputs=[
        TensorSpec(name="x", datatype="FP32", shape=[-1, 1]),
        TensorSpec(name="sky", datatype="BYTES", shape=[-1, 1]),
    ],
    outputs=[
        TensorSpec(name="digit", datatype="BYTES", shape=[-1, 1], categories=["0", "1"]),
        TensorSpec(name="probabilities", datatype="FP32", shape=[-1, 2]),
    ],
)


def values(told: Any, signature: Signature) -> dict[str, list[Any]]:
    """What a request's payload says, by input."""
    return {name: array.tolist() for name, array in asked(told, signature).tensors.items()}


def test_v1_instances_of_one_input() -> None:
    assert values({"instances": [[[1, 2], [3, 4]]]}, ONE) == {"pixels": [[[1, 2], [3, 4]]]}
    assert values({"instances": [1.5, 2]}, COLUMN) == {"x": [[1.5], [2]]}
    assert values({"instances": [[1.5], [2]]}, COLUMN) == {"x": [[1.5], [2]]}
    assert asked({"instances": [1.5, 2]}, COLUMN).rows == 2


def test_v1_instances_that_name_their_inputs() -> None:
    rows = [{"x": 1, "sky": "sun"}, {"sky": "rain", "x": 2}]
    assert values({"instances": rows}, TWO) == {"x": [[1], [2]], "sky": [["sun"], ["rain"]]}
    assert values({"instances": [{"x": 1}]}, COLUMN) == {"x": [[1]]}


@pytest.mark.parametrize(
    ("said", "signature", "where"),
    [
        ({"instances": []}, COLUMN, "instances: expected a list of rows, got []"),
        ({"instances": [[1, 2], [3]]}, COLUMN, 'input "x" data: expected lists nested as shape [2, 2]'),
        ({"instances": [[1, 2]]}, COLUMN, 'input "x": expected FP32 [-1,1], got FP32 [1,2]'),
        ({"instances": [[[1, 2], [3, "4"]]]}, ONE, 'input "pixels" data[3]: expected FP32'),
        ({"instances": [{"b64": "AA=="}]}, COLUMN, 'instances[0]."x": expected FP32 [-1,1], got nothing'),
        ({"instances": [[1, "sun"]]}, TWO, 'instances[0]: expected an object with "x", "sky"'),
        ({"instances": [{"x": 1, "sky": "sun"}, {"x": 1}]}, TWO, 'instances[1]."sky": expected BYTES [-1,1]'),
        ({"instances": [{"x": 1, "sky": "sun"}, 7]}, TWO, "instances[1]: expected an object like the first, got 7"),
        ({"instances": [{"x": 1, "sky": "sun", "z": 1}]}, TWO, 'instances[0]."z": is not known to this model'),
        ({"instances": [{"x": 1, "sky": 3}]}, TWO, 'input "sky" data[0]: expected BYTES'),
        ({"inputs": {"x": [1]}}, COLUMN, 'body "inputs": expected a list of tensors'),
    ],
)
def test_requests_that_do_not_fit_are_refused_with_the_place(said: Any, signature: Signature, where: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        asked(said, signature)
    assert str(refused.value).startswith(where)


def test_v1_predictions() -> None:
    assert answered({"predictions": [1, 2.5]}, COLUMN).tensors["y"].tolist() == [[1], [2.5]]
    assert answered({"predictions": [[1], [2.5]]}, COLUMN).tensors["y"].tolist() == [[1], [2.5]]
    named = answered({"predictions": [{"digit": "1", "probabilities": [0.25, 0.75]}]}, TWO)
    assert {name: array.tolist() for name, array in named.tensors.items()} == {
        "digit": [["1"]],
        "probabilities": [[0.25, 0.75]],
    }
    assert set(answered({"predictions": [{"digit": "1"}]}, TWO).tensors) == {"digit"}


def test_classes_that_come_as_numbers_are_named_as_they_are_written() -> None:
    assert answered({"predictions": [1, 0.0, "1"]}, TWO).tensors["digit"].ravel().tolist() == ["1", "0", "1"]


def test_v2_outputs_beyond_the_signature_are_passed_over() -> None:
    outputs = [{"name": name, "datatype": "FP32", "shape": [1, 1], "data": [2]} for name in ("more", "y")]
    read = answered({"model_version": 3, "outputs": outputs}, COLUMN)
    assert (list(read.tensors), read.version, read.rows) == (["y"], "3", 1)


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ({"error": "x"}, 'response: expected "outputs" (V2) or "predictions" (V1)'),
        ({"outputs": []}, 'body "outputs": expected a list of tensors'),
        ({"outputs": [{"name": "z", "datatype": "FP32", "shape": [1], "data": [1]}]}, 'output "y": expected FP32'),
        ({"outputs": [{"name": "y", "datatype": "FP32", "shape": [2], "data": [1]}]}, 'output "y" data: expected 2'),
        ({"outputs": [{"name": "y", "datatype": "FP64", "shape": [1, 1], "data": [1]}]}, 'output "y": expected FP32'),
        ({"predictions": {"y": 1}}, "predictions: expected a list of rows"),
        ({"predictions": [[1, 2]]}, 'output "y": expected FP32 [-1,1], got FP32 [1,2]'),
    ],
)
def test_answers_that_do_not_fit_are_refused_with_the_place(said: Any, where: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        answered(said, COLUMN)
    assert str(refused.value).startswith(where)


def test_outputs_of_different_rows_are_refused() -> None:
    digit = {"name": "digit", "datatype": "BYTES", "shape": [1, 1], "data": ["1"]}
    both = {"name": "probabilities", "datatype": "FP32", "shape": [2, 2], "data": [0, 1, 1, 0]}
    with pytest.raises(InvalidInput, match="outputs: expected 1 rows in each"):
        answered({"outputs": [digit, both]}, TWO)


def test_bare_nan_is_read_as_servers_write_it() -> None:
    told = decoded(b'{"instances": [NaN, 1.0, null]}', "request")
    x = asked(told, COLUMN).tensors["x"].ravel().tolist()
    assert math.isnan(x[0])
    assert math.isnan(x[2])


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 100_000, b'{"a": ' + b"9" * 9000 + b"}", b"[1]"], ids=str)
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        decoded(data, "request")
    assert str(refused.value).startswith("request: ")
    assert len(str(refused.value)) < 400
