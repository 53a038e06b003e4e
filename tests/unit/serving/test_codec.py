"""JSON of the Open Inference Protocol: what is read, what is refused and how that is said."""

from __future__ import annotations

import contextlib
import json
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.rest import codec
from staytrue.bodies import written
from staytrue.errors import InvalidInput
from staytrue.raw import from_raw
from staytrue.signature import NUMPY, TensorSpec
from staytrue.tensors import Answer, Asked, Wish


def body(**tensor: Any) -> bytes:
    """A request of one tensor."""
    base = {"name": "x", "datatype": "FP32", "shape": [2, 1], "data": [1.0, 2.0]}
    return json.dumps({"inputs": [{**base, **tensor}]}).encode()


def wishing(parameters: Any) -> bytes:
    """A request that asks for output y so."""
    outputs = json.dumps([{"name": "y", "parameters": parameters}]).encode()
    return b'{"outputs": ' + outputs + b", " + body()[1:]


def test_flat_and_nested_data_are_the_same_tensor() -> None:
    flat = codec.parse(body(data=[1, 2]), "reject").inputs[0].array
    nested = codec.parse(body(data=[[1], [2]]), "reject").inputs[0].array
    assert flat.tolist() == nested.tolist() == [[1.0], [2.0]]
    assert flat.dtype == np.float32


REFUSED: list[tuple[str, bytes, str]] = [
    ("empty", b"", r"body: expected an inference request in JSON, got nothing"),
    ("blank", b"  \n", r"body: expected an inference request"),
    ("broken", b'{"inputs": [', r"body, line 1 column \d+: is not JSON"),
    ("invalid utf-8", b'{"inputs": "\xff"}', "is not JSON"),
    ("something behind the end", body() + b"x", r"body, line 1 column \d+: is not JSON: .*trailing"),
    ("infinite number", body(data=[7, 1]).replace(b"7", b"1e999"), "is not JSON: Number out of range"),
    ("bare Infinity", body(data=[7, 1]).replace(b"7", b"-Infinity"), "is not JSON"),
    ("key given twice", body().replace(b'"data"', b'"data": [3], "data"'), '^body: key "data" is given twice$'),
    ("id given twice", b'{"id": "a", "id": "a", ' + body()[1:], '^body: key "id" is given twice$'),
    ("key given twice, escaped", body().replace(b'"data"', b'"d\\u0061ta": [3], "data"'), 'key "data" is given twice'),
    ("NUL in a name", body(name="a\0b"), r"inputs\[0\].name: expected text without NUL"),
    ("NUL in an id", b'{"id": "\\u0000", ' + body()[1:], 'body "id": expected text without NUL'),
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
        "nests too deep",
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
    (
        "huger integer",
        body(datatype="UINT64", data=[1, 2**64]),
        "UINT64 from 0 to 18446744073709551615, got 18446744073709",
    ),
    ("beyond bfloat16", body(datatype="BF16", data=[3.4e38, 1]), "expected finite BF16"),
    ("float beyond range", body(data=[1e300, 0]), "expected finite FP32"),
    ("number in text", body(datatype="BYTES", data=["a", 1]), r"data\[1\]: expected BYTES, got a number"),
    ("null for a text", body(datatype="BYTES", data=["a", None]), r'got nothing \(null\); for a missing text send ""'),
    (
        "null for a whole number",
        body(datatype="INT64", data=[None, 1]),
        r"\(null\); .* whole number send -9223372036854775808",
    ),
    (
        "null for true or false",
        body(datatype="BOOL", data=[None, True]),
        r"data\[0\]: expected BOOL, got nothing \(null\)$",
    ),
    ("null", body(data=[None, 1]), r"data\[0\]: expected FP32, got nothing \(null\); for missing values .*nan_policy"),
    ("parameters no object", b'{"parameters": 1, "inputs": [{}]}', r'body "parameters"'),
    ("id no text", b'{"id": 5, "inputs": [{}]}', r'body "id"'),
    (
        "outputs no names",
        b'{"outputs": [{}], "inputs": [{"name":"x","datatype":"FP32","shape":[0],"data":[]}]}',
        "outputs",
    ),
    ("bare NaN", b'{"inputs": [{"name":"x","datatype":"FP32","shape":[1],"data":[NaN]}]}', "is not JSON"),
    ("deep", b"[" * 100_000, "body: nests too deep"),
    (
        "binary no flag",
        b'{"parameters": {"binary_data_output": 1}, ' + body()[1:],
        'parameter "binary_data_output": expected true',
    ),
    (
        "output binary no flag",
        wishing({"binary_data": "yes"}),
        'output "y" parameter "binary_data": expected true or false',
    ),
    (
        "no classes",
        wishing({"classification": 0}),
        'output "y" parameter "classification": expected a whole number, at least',
    ),
    ("classes true", wishing({"classification": True}), 'parameter "classification"'),
    ("output parameters no object", wishing([1]), 'output "y" parameters: expected an object'),
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
        with pytest.raises(InvalidInput, match=r"data\[\d\]: expected finite FP32, got .*, a number beyond its range"):
            codec.parse(body(data=[number, 1]), policy)


def test_words_are_numbers_where_the_policy_says_so() -> None:
    array = codec.parse(body(shape=[3, 1], data=["NaN", "-Infinity", 1.0]), "string").inputs[0].array
    assert math.isnan(array[0, 0])
    assert array[1, 0] == -math.inf
    with pytest.raises(InvalidInput):
        codec.parse(body(data=["nan", 1]), "string")


def answer(array: Any, *, datatype: str = "FP32", **asked: Any) -> Answer:
    """An answer of one output."""
    spec = TensorSpec(name="y", datatype=datatype, shape=[-1, *array.shape[1:]])  # type: ignore[arg-type]
    return Answer("e", "id", "m", "1", [(Asked(spec, **asked), array)], ["a", "b"])


def told(array: Any, policy: str = "reject", **asked: Any) -> dict[str, Any]:
    """The one output as JSON tells it."""
    output: dict[str, Any] = json.loads(codec.write(answer(array, **asked), policy)[0])["outputs"][0]
    return output


def test_nan_never_appears_bare() -> None:
    array = np.array([[np.nan], [np.inf], [1.0]], dtype=np.float32)
    with pytest.raises(InvalidInput, match=r'output "y".*nan_policy'):
        codec.write(answer(array), "reject")
    assert told(array, "null")["data"] == [None, None, 1.0]
    assert told(array, "string")["data"] == ["NaN", "Infinity", 1.0]


def test_answer_carries_id_event_and_version() -> None:
    written = codec.write(answer(np.zeros((1, 1), dtype=np.float32)), "reject")
    assert written[1:] == (b"application/json", b"")
    said = json.loads(written[0])
    assert (said["id"], said["model_name"], said["model_version"]) == ("id", "m", "1")
    assert said["parameters"] == {"event_id": "e"}
    assert said["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [1, 1], "data": [0.0]}]


def test_numbers_are_written_as_the_thorough_way_writes_them() -> None:
    rows = [[0.1, -0.0, 3.4e38], [1e-45, 1 / 3, 65504.0]]
    for array in (
        np.array(rows, np.float32),
        np.array(rows),
        np.array([[1, 2**63]], np.uint64),
        np.array([["ü", "n"]]),
    ):
        kept = answer(array)
        assert json.loads(codec.write(kept, "reject")[0]) == written(kept, "reject")


def test_outputs_asked_for_as_bytes_stand_behind_the_json_in_their_order() -> None:
    first, second = np.array([[1.5, -2.0]], np.float32), np.array([["ü"]], dtype=object)
    specs = [
        TensorSpec(name="a", datatype="FP32", shape=[-1, 2]),
        TensorSpec(name="b", datatype="BYTES", shape=[-1, 1]),
    ]
    third = (Asked(TensorSpec(name="c", datatype="INT64", shape=[-1, 1])), np.array([[7]]))
    made = codec.write(
        Answer(
            "e", "", "m", "1", [(Asked(specs[0], binary=True), first), third, (Asked(specs[1], binary=True), second)]
        ),
        "reject",
    )
    text, tail = parts(made)
    head = json.loads(text)
    assert [output["parameters"] for output in head["outputs"] if "data" not in output] == [
        {"binary_data_size": 8},
        {"binary_data_size": 6},
    ]
    assert head["outputs"][1] == {"name": "c", "datatype": "INT64", "shape": [1, 1], "data": [7]}
    assert from_raw(tail[:8], "FP32", [1, 2], "a").tolist() == first.tolist()
    assert from_raw(tail[8:], "BYTES", [1, 1], "b").tolist() == [["ü"]]


def parts(made: codec.Sent) -> tuple[bytes, bytes]:
    """JSON, and the bytes behind it."""
    data, kind, lines = made
    assert kind == b"application/octet-stream"
    length = int(lines.removeprefix(b"Inference-Header-Content-Length: "))
    return data[:length], data[length:]


def test_bytes_say_nan_whatever_the_policy() -> None:
    made = codec.write(answer(np.array([[np.nan]], np.float32), binary=True), "reject")
    assert np.isnan(np.frombuffer(parts(made)[1], np.float32)).all()


def test_an_output_asked_for_as_classes_is_told_by_value_place_and_name() -> None:
    array = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
    expected = {"name": "y", "datatype": "BYTES", "shape": [2, 1], "data": ["0.75:1:b", "0.5:0:a"]}
    assert told(array, classes=1) == expected
    assert written(answer(array, classes=1), "reject")["outputs"] == [expected]


def test_outputs_are_asked_for_with_their_form() -> None:
    assert codec.parse(body(), "reject").outputs is None
    assert codec.parse(b'{"outputs": [], ' + body()[1:], "reject").outputs is None
    assert codec.parse(wishing({"binary_data": True}), "reject").outputs == [Wish("y", binary=True)]
    assert codec.parse(wishing({"classification": 3}), "reject").outputs == [Wish("y", classes=3)]
    all_binary = b'{"parameters": {"binary_data_output": true}, "outputs": [{"name": "y"}], ' + body()[1:]
    assert codec.parse(all_binary, "reject").outputs == [Wish("y", binary=True)]
    but_one = b'{"parameters": {"binary_data_output": true}, ' + wishing({"binary_data": False})[1:]
    assert codec.parse(but_one, "reject").outputs == [Wish("y", binary=False)]


def test_threads_read_large_bodies_at_once() -> None:
    def read(seed: int) -> bool:
        array = np.random.default_rng(seed).random((2, 3000), dtype=np.float32)
        data = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 3000], "data": array.tolist()}]})
        return all(np.array_equal(codec.parse(data.encode(), "reject").inputs[0].array, array) for _ in range(20))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(8)))


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
    elif datatype == "BF16":
        values = st.integers(0, 0x7F7F).map(lambda bits: float(np.uint32(bits << 16).view(np.float32)))
    else:
        values = st.floats(width=kind.itemsize * 8, allow_nan=False, allow_infinity=False)  # type: ignore[arg-type]
    drawn = data.draw(st.lists(values, min_size=1, max_size=5))
    given_back = codec.parse(body(datatype=datatype, shape=[len(drawn), 1], data=drawn), "reject").inputs[0].array
    assert given_back.ravel().tolist() == np.array(drawn, dtype=kind).tolist()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_never_more(data: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        codec.parse(data, "reject")
