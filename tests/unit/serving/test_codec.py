"""JSON of the Open Inference Protocol: what is read, what is refused and how that is said."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.rest import codec
from staytrue.errors import InvalidInput
from staytrue.signature import NUMPY, TensorSpec
from staytrue.tensors import Answer


def body(**tensor: Any) -> bytes:
    """A request of one tensor."""
    base = {"name": "x", "datatype": "FP32", "shape": [2, 1], "data": [1.0, 2.0]}
    return json.dumps({"inputs": [{**base, **tensor}]}).encode()


def test_flat_and_nested_data_are_the_same_tensor() -> None:
    flat = codec.parse(body(data=[1, 2]), "reject").inputs[0].array
    nested = codec.parse(body(data=[[1], [2]]), "reject").inputs[0].array
    assert flat.tolist() == nested.tolist() == [[1.0], [2.0]]
    assert flat.dtype == np.float32


REFUSED: list[tuple[str, bytes, str]] = [
    ("empty", b"", r"body: expected an inference request in JSON, got nothing"),
    ("blank", b"  \n", r"body: expected an inference request"),
    ("broken", b'{"inputs": [', r"body, line 1 column \d+: is not JSON"),
    ("truncated utf-8", b'{"inputs": "\xff"}', "is not JSON"),
    ("no object", b"[1]", "body: expected an object, got a list"),
    ("no inputs", b"{}", r'body "inputs": expected a list of tensors'),
    ("inputs empty", b'{"inputs": []}', r'body "inputs"'),
    ("tensor no object", b'{"inputs": [1]}', r"inputs\[0\]: expected a tensor object"),
    ("no name", body(name=None), r"inputs\[0\]\.name: expected a string"),
    ("datatype unknown", body(datatype="FP8"), r'input "x" datatype: expected one of BOOL'),
    ("datatype no text", body(datatype=5), r'input "x" datatype: .*got a number 5'),
    ("datatype nested deep", b'{"inputs": [{"name":"x","datatype":' + b"[" * 1000 + b"]" * 1000 + b"}]}", "too deep"),
    ("shape negative", body(shape=[-1, 1]), r'input "x" shape: expected a list of whole numbers, none negative'),
    ("shape true", body(shape=[True, 1]), r'input "x" shape'),
    ("shape fraction", body(shape=[2.0, 1]), r'input "x" shape'),
    ("shape huge", body(shape=[10**18, 10**18]), r'input "x" data: expected 1000'),
    ("shape empty and huge", body(shape=[0, 2**64 - 1], data=[]), "none huge beside an empty one"),
    ("shape of many axes", body(shape=[1] * 65, data=[1.0]), "at most 8 axes"),
    (
        "shape nested deep",
        b'{"inputs": [{"name":"x","datatype":"FP32","shape":' + b"[" * 1000 + b"]" * 1000 + b"}]}",
        "is not JSON|shape: expected",
    ),
    ("no data", json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1]}]}).encode(), "got nothing"),
    ("data no list", body(data="1,2"), r'input "x" data: expected a list, got a string'),
    ("too few", body(data=[1.0]), r'input "x" data: expected 2 values for shape \[2, 1\], got 1'),
    ("ragged", body(shape=[2, 2], data=[[1, 2], [3]]), r"lists nested as shape \[2, 2\]"),
    ("mixed nesting", body(data=[[1], 2]), "lists nested"),
    ("text in numbers", body(data=["1", "2"]), r'input "x" data\[0\]: expected FP32, got a string'),
    ("boolean in numbers", body(data=[True, 2]), r"data\[0\]: expected FP32, got a boolean"),
    ("fraction in integers", body(datatype="INT32", data=[1.5, 2]), r"data\[0\]: expected INT32, got a number 1.5"),
    ("integer out of range", body(datatype="INT8", data=[1, 300]), "expected INT8 from -128 to 127, got 300"),
    ("negative unsigned", body(datatype="UINT8", data=[1, -1]), "expected UINT8 from 0 to 255, got -1"),
    ("huge integer", body(datatype="INT64", data=[1, 2**63]), "got 9223372036854775808"),
    ("float beyond range", body(data=[1e300, 0]), "expected finite FP32"),
    ("number in text", body(datatype="BYTES", data=["a", 1]), r"data\[1\]: expected BYTES, got a number"),
    ("null", body(data=[None, 1]), r"data\[0\]: expected FP32, got nothing \(null\); for missing values .*nan_policy"),
    ("parameters no object", b'{"parameters": 1, "inputs": [{}]}', r'body "parameters"'),
    ("id no text", b'{"id": 5, "inputs": [{}]}', r'body "id"'),
    (
        "outputs no names",
        b'{"outputs": [{}], "inputs": [{"name":"x","datatype":"FP32","shape":[0],"data":[]}]}',
        "outputs",
    ),
    ("bare NaN", b'{"inputs": [{"name":"x","datatype":"FP32","shape":[1],"data":[NaN]}]}', "is not JSON"),
    ("deep", b"[" * 100_000, "is not JSON"),
]


@pytest.mark.parametrize(("data", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_cannot_be_read_is_refused_with_a_place_and_a_reason(data: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        codec.parse(data, "reject")


def test_null_is_missing_where_the_policy_says_so() -> None:
    array = codec.parse(body(data=[None, 2.0]), "null").inputs[0].array
    assert math.isnan(array[0, 0])
    assert array[1, 0] == 2.0


@pytest.mark.parametrize("policy", ["reject", "null", "string"])
def test_a_number_beyond_the_range_is_refused_by_any_policy(policy: str) -> None:
    for number in (1e39, -1e300):
        with pytest.raises(InvalidInput, match="expected finite FP32, got a number beyond its range"):
            codec.parse(body(data=[number, 1]), policy)


def test_words_are_numbers_where_the_policy_says_so() -> None:
    array = codec.parse(body(shape=[3, 1], data=["NaN", "-Infinity", 1.0]), "string").inputs[0].array
    assert math.isnan(array[0, 0])
    assert array[1, 0] == -math.inf
    with pytest.raises(InvalidInput):
        codec.parse(body(data=["nan", 1]), "string")


def answer(array: Any) -> Answer:
    """An answer of one output."""
    return Answer("e", "id", "m", "1", [(TensorSpec(name="y", datatype="FP32", shape=[-1, 1]), array)])


def test_nan_never_appears_bare() -> None:
    array = np.array([[np.nan], [np.inf], [1.0]], dtype=np.float32)
    with pytest.raises(InvalidInput, match=r'output "y".*nan_policy'):
        codec.write(answer(array), "reject")
    assert json.loads(codec.write(answer(array), "null"))["outputs"][0]["data"] == [None, None, 1.0]
    assert json.loads(codec.write(answer(array), "string"))["outputs"][0]["data"] == ["NaN", "Infinity", 1.0]


def test_answer_carries_id_event_and_version() -> None:
    told = json.loads(codec.write(answer(np.zeros((1, 1), dtype=np.float32)), "reject"))
    assert (told["id"], told["model_name"], told["model_version"]) == ("id", "m", "1")
    assert told["parameters"] == {"event_id": "e"}
    assert told["outputs"][0] == {"name": "y", "datatype": "FP32", "shape": [1, 1], "data": [0.0]}


@given(st.data())
def test_every_datatype_survives_the_way_through_json(data: st.DataObject) -> None:
    datatype = data.draw(st.sampled_from(sorted(NUMPY)))
    kind = NUMPY[datatype]
    if datatype == "BYTES":
        values: Any = st.text()
    elif kind.kind == "b":
        values = st.booleans()
    elif kind.kind in "iu":
        values = st.integers(int(np.iinfo(kind).min), int(np.iinfo(kind).max))
    else:
        values = st.floats(width=kind.itemsize * 8, allow_nan=False, allow_infinity=False)  # type: ignore[arg-type]
    drawn = data.draw(st.lists(values, min_size=1, max_size=5))
    given_back = codec.parse(body(datatype=datatype, shape=[len(drawn), 1], data=drawn), "reject").inputs[0].array
    assert given_back.ravel().tolist() == np.array(drawn, dtype=kind).tolist()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_never_more(data: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        codec.parse(data, "reject")
