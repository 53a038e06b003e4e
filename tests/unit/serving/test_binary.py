"""Tensors behind the JSON: whose bytes are whose, and what lies about them is refused."""

from __future__ import annotations

import contextlib
import json
import struct
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.http.exchange import Exchange
from serving.rest import binary, dialects
from staytrue.errors import InvalidInput
from staytrue.raw import to_raw
from staytrue.signature import NUMPY, Signature, TensorSpec
from staytrue.tensors import Parsed, Wish

ONE = Signature(inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, 2])], outputs=[])
TWO = Signature(inputs=[*ONE.inputs, TensorSpec(name="y", datatype="FP32", shape=[-1])], outputs=[])


def tensor(name: str, size: Any, **more: Any) -> dict[str, Any]:
    """An input that stands behind."""
    return {"name": name, "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": size}, **more}


def read(head: Any, tail: bytes, length: str | None = None, signature: Signature = ONE) -> Parsed:
    """A request of so much JSON and bytes behind it."""
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return binary.parse(text + tail, str(len(text)) if length is None else length, "reject", signature)


FLOATS = struct.pack("<2f", 1.5, -2.0)


def test_each_input_takes_its_bytes_in_order() -> None:
    made = read({"id": "i", "inputs": [tensor("a", 8), tensor("b", 8)]}, FLOATS + FLOATS[::-1])
    assert [item.array.tobytes() for item in made.inputs] == [FLOATS, FLOATS[::-1]]
    assert [(item.name, item.array.shape) for item in made.inputs] == [("a", (1, 2)), ("b", (1, 2))]
    assert made.id == "i"


def test_inputs_in_json_stand_between_inputs_in_bytes() -> None:
    plain = {"name": "b", "datatype": "INT64", "shape": [1], "data": [7]}
    made = read({"inputs": [tensor("a", 8), plain, tensor("c", 8)]}, FLOATS * 2)
    assert [item.array.ravel().tolist() for item in made.inputs] == [[1.5, -2.0], [7], [1.5, -2.0]]


def test_the_request_says_which_outputs_are_bytes() -> None:
    asked = {"inputs": [tensor("a", 8)], "outputs": [{"name": "y"}], "parameters": {"binary_data_output": True}}
    assert read(asked, FLOATS).outputs == [Wish("y", binary=True)]


def test_bytes_may_say_nan() -> None:
    assert np.isnan(read({"inputs": [tensor("a", 8)]}, struct.pack("<2f", np.nan, 0)).inputs[0].array[0, 0])


@pytest.mark.parametrize("datatype", sorted(NUMPY))
def test_every_datatype_comes_as_bytes(datatype: str) -> None:
    array = np.array(["ü", ""] if datatype == "BYTES" else [1, 0], dtype=NUMPY[datatype]).reshape(2, 1)
    data = to_raw(array, datatype)
    (item,) = read({"inputs": [tensor("a", len(data), datatype=datatype, shape=[2, 1])]}, data).inputs
    assert item.array.dtype == array.dtype
    assert item.array.tolist() == array.tolist()


REFUSED: list[tuple[str, Any, bytes, str]] = [
    (
        "too few bytes",
        {"inputs": [tensor("a", 8)]},
        FLOATS[:7],
        'input "a" parameter "binary_data_size": expected at most',
    ),
    (
        "the second's missing",
        {"inputs": [tensor("a", 8), tensor("b", 8)]},
        FLOATS,
        'input "b" .* the 0 bytes that are left',
    ),
    (
        "too many bytes",
        {"inputs": [tensor("a", 8)]},
        FLOATS + b"\0",
        "body: expected nothing behind .* got 1 bytes more",
    ),
    (
        "another size than the shape's",
        {"inputs": [tensor("a", 4)]},
        FLOATS[:4],
        'input "a": expected 8 bytes for 2 values',
    ),
    (
        "negative",
        {"inputs": [tensor("a", -8)]},
        FLOATS,
        'input "a" parameter .* expected a whole number of bytes, not neg',
    ),
    ("fraction", {"inputs": [tensor("a", 8.0)]}, FLOATS, "expected a whole number of bytes"),
    ("true", {"inputs": [tensor("a", size=True)]}, FLOATS, "got a boolean True"),
    ("text", {"inputs": [tensor("a", "8")]}, FLOATS, "got a string '8'"),
    ("null", {"inputs": [tensor("a", None)]}, FLOATS, r"got nothing \(null\)"),
    ("huge", {"inputs": [tensor("a", 2**70)]}, FLOATS, "expected at most the 8 bytes that are left"),
    (
        "data beside",
        {"inputs": [tensor("a", 8, data=[1, 2])]},
        FLOATS,
        'input "a" data: expected nothing beside binary',
    ),
    ("neither", {"inputs": [tensor("a", 8, parameters={})]}, b"", 'input "a" data: expected 2 values, got nothing'),
    ("no name", {"inputs": [tensor("", 8)]}, FLOATS, r"inputs\[0\].name"),
    ("NUL", {"inputs": [tensor("a\0", 8)]}, FLOATS, "without NUL"),
    ("datatype", {"inputs": [tensor("a", 8, datatype="FP8")]}, FLOATS, 'input "a" datatype: expected one of'),
    ("shape", {"inputs": [tensor("a", 8, shape=[-1, -2])]}, FLOATS, 'input "a" shape: expected .* none negative'),
    ("no object", [1], b"", "body: expected an object"),
    ("key twice", b'{"inputs": [], "inputs": []}', b"", 'key "inputs" is given twice'),
    ("no JSON", b'{"inputs": ', b"", "body, line 1 column 12: is not JSON"),
]


@pytest.mark.parametrize(("head", "tail", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_lies_about_its_bytes_is_refused(head: Any, tail: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(head, tail)


@pytest.mark.parametrize("length", ["", "-1", "1.0", "x", "1_0", "²", "99999", "0x10"])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    with pytest.raises(InvalidInput, match="header Inference-Header-Content-Length: expected a whole number up to"):
        read({"inputs": [tensor("a", 8)]}, FLOATS, length)


MEANING = "it is the length of the JSON alone, in bytes"


@pytest.mark.parametrize("length", ["99999", "many"])
def test_a_length_that_is_none_is_told_with_the_header_and_what_it_has_to_be(length: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read({"inputs": [tensor("a", 8)]}, FLOATS, length)
    assert str(caught.value).startswith("header Inference-Header-Content-Length: expected a whole number up to")
    assert str(caught.value).endswith(f", got '{length}'; {MEANING}")


@pytest.mark.parametrize("off", [-3, 3])
def test_a_length_that_cuts_the_json_or_the_tensors_is_told_as_what_it_is(off: int) -> None:
    head = json.dumps({"inputs": [tensor("a", 8)]}).encode()
    with pytest.raises(InvalidInput) as caught:
        read(head, FLOATS, str(len(head) + off))
    said = (
        f"; header Inference-Header-Content-Length says that {len(head) + off} of the {len(head) + 8} bytes are JSON: "
    )
    assert "is not JSON: " in str(caught.value)
    assert str(caught.value).endswith(said + MEANING)


@pytest.mark.parametrize("tail", [FLOATS, b""])
def test_without_the_header_tensors_behind_json_are_told_to_need_it(tail: bytes) -> None:
    exchange = Exchange(cast("Any", None), headers={})
    body = json.dumps({"inputs": [tensor("a", 8)]}).encode() + tail
    with pytest.raises(InvalidInput) as caught:
        dialects.v2(exchange, "reject").read(cast("Any", None), body)
    assert str(caught.value).endswith(f"; tensors behind JSON need header Inference-Header-Content-Length: {MEANING}")
    with pytest.raises(InvalidInput) as caught:
        dialects.v2(exchange, "reject").read(cast("Any", None), b"{")
    assert "header" not in str(caught.value)


def test_without_json_the_body_is_the_models_one_input() -> None:
    (item,) = read(b"", FLOATS * 3, "0").inputs
    assert (item.name, item.datatype, item.array.shape) == ("x", "FP32", (3, 2))
    assert item.array.tobytes() == FLOATS * 3


def test_without_json_a_text_is_the_whole_body() -> None:
    text = Signature(inputs=[TensorSpec(name="t", datatype="BYTES", shape=[-1, 1])], outputs=[])
    assert read(b"", "süß".encode(), "0", text).inputs[0].array.tolist() == [["süß"]]


@pytest.mark.parametrize(
    ("shape", "tail", "said"),
    [
        ([-1, 2], FLOATS[:7], r'input "x": expected rows of 8 bytes each for FP32 \[-1,2\], got 7 bytes'),
        ([-1, 2], b"", "got 0 bytes"),
        ([2, 2], FLOATS, "expected 16 bytes for 4 values of FP32, got 8"),
        ([-1, -1], FLOATS, r"expected JSON that says the shape of FP32 \[-1,-1\]"),
    ],
)
def test_without_json_bytes_must_be_whole_rows(shape: list[int], tail: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(b"", tail, "0", Signature(inputs=[TensorSpec(name="x", datatype="FP32", shape=shape)], outputs=[]))


def test_without_json_a_model_of_several_inputs_cannot_be_asked() -> None:
    with pytest.raises(InvalidInput, match=r'expected JSON, as the model has several inputs.*"x", "y"'):
        read(b"", FLOATS, "0", TWO)


@given(st.binary(max_size=120), st.integers(0, 130))
def test_any_bytes_are_read_or_refused_never_more(body: bytes, length: int) -> None:
    with contextlib.suppress(InvalidInput):
        binary.parse(body, str(length), "reject", ONE)


@given(size=st.integers(-1, 20), tail=st.binary(max_size=20), shape=st.lists(st.integers(-1, 3), max_size=3))
def test_both_ways_of_reading_agree(size: int, tail: bytes, shape: list[int]) -> None:
    """An unknown key leaves a request to the thorough way."""
    head = {"inputs": [tensor("a", size, shape=shape)]}
    results = []
    for asked in (head, {**head, "other": 1}):
        try:
            results.append(read(asked, tail).inputs[0].array.tobytes())
        except InvalidInput as error:
            results.append(str(error).encode())
    assert results[0] == results[1]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[bytes, Any]:
    """What JSON is known, which is none yet."""
    kept: dict[bytes, Any] = {}
    monkeypatch.setattr(binary, "_known", kept)
    return kept


KINDS: list[tuple[str, list[int], bytes, bytes]] = [
    ("FP32", [1, 2], FLOATS, FLOATS[::-1]),
    ("BOOL", [2], b"\0\2", b"\1\0"),
    ("BF16", [1], b"\x80\x3f", b"\0\0"),
    ("BYTES", [1], b"\1\0\0\0a", b"\1\0\0\0b"),
    ("INT8", [3], b"abc", b"xyz"),
]


@pytest.mark.parametrize(("datatype", "shape", "first", "second"), KINDS, ids=[kind[0] for kind in KINDS])
def test_json_that_came_before_is_taken_for_the_same_before_other_bytes(
    known: dict[bytes, Any], datatype: str, shape: list[int], first: bytes, second: bytes
) -> None:
    asked = {
        "inputs": [tensor("a", len(first), datatype=datatype, shape=shape), tensor("b", 8)],
        "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
        "parameters": {"binary_data_output": True, "other": 1},
    }
    for data in (first, second, first):
        fresh = read({**asked, "id": "not kept"}, data + FLOATS)
        made = read(asked, data + FLOATS)
        assert len(known) == 1
        assert [item.array.tolist() for item in made.inputs] == [item.array.tolist() for item in fresh.inputs]
        assert [item.array.dtype for item in made.inputs] == [item.array.dtype for item in fresh.inputs]
        assert [(item.name, item.datatype) for item in made.inputs] == [("a", datatype), ("b", "FP32")]
        assert (made.id, made.outputs, made.parameters) == ("", fresh.outputs, fresh.parameters)


@pytest.mark.parametrize("tail", [b"", FLOATS[:-1], FLOATS + b"x"])
def test_other_lengths_behind_known_json_are_refused_as_always(known: dict[bytes, Any], tail: bytes) -> None:
    asked = {"inputs": [tensor("a", 8)]}
    with pytest.raises(InvalidInput) as fresh:
        read(asked, tail)
    read(asked, FLOATS)
    assert len(known) == 1
    with pytest.raises(InvalidInput) as again:
        read(asked, tail)
    assert str(again.value) == str(fresh.value)


def test_bytes_that_are_no_text_behind_known_json_are_refused_as_always(known: dict[bytes, Any]) -> None:
    asked = {"inputs": [tensor("a", 5, datatype="BYTES", shape=[1])]}
    read(asked, b"\1\0\0\0a")
    assert len(known) == 1
    with pytest.raises(InvalidInput, match="expected UTF-8"):
        read(asked, b"\1\0\0\0\xff")


def test_little_json_is_kept_and_none_that_no_two_requests_share(known: dict[bytes, Any]) -> None:
    for number in range(600):
        read({"inputs": [tensor(f"a{number}", 8)]}, FLOATS)
        read({"id": str(number), "inputs": [tensor("a", 8)]}, FLOATS)
    assert 0 < len(known) <= 256
    known.clear()
    read({"inputs": [tensor("a" * 1100, 8)]}, FLOATS)
    with pytest.raises(InvalidInput):
        read({"inputs": [tensor("", 8)]}, FLOATS)
    assert not known


def test_bytes_lie_as_the_machine_has_them() -> None:
    """By which an event sees that nothing is to be turned round."""
    (item,) = read({"inputs": [tensor("a", 8)]}, FLOATS).inputs
    assert item.array.dtype is NUMPY["FP32"]
