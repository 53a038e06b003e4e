"""Messages of the Open Inference Protocol: what is read, what is refused and how that is said."""

from __future__ import annotations

import contextlib
import math
import struct
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.grpc import codec
from serving.proto import open_inference_grpc_pb2 as proto
from serving.proto.generate import METHODS, PROTO, ROOT, SERVICE, generate
from staytrue.errors import InvalidInput
from staytrue.signature import NUMPY, TensorSpec
from staytrue.tensors import Answer, Asked, Wish
from staytrue.values import narrowed
from tests.needs import missing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TYPED = sorted(set(NUMPY) - {"FP16", "BF16"})


def request(*inputs: dict[str, Any], raw: list[bytes] | None = None) -> proto.ModelInferRequest:
    """A request; of each input what is unusual."""
    made = proto.ModelInferRequest(raw_input_contents=raw or [])
    for item in inputs:
        contents = item.pop("contents", None)
        tensor = made.inputs.add(**{"name": "x", "datatype": "FP32", "shape": [2, 1], **item})
        if contents is not None:
            tensor.contents.CopyFrom(proto.InferTensorContents(**contents))
    return made


def texts(*parts: bytes) -> bytes:
    """Texts as raw contents."""
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)


TWO = {"fp32_contents": [1.0, 2.0]}
REFUSED: list[tuple[str, proto.ModelInferRequest, str]] = [
    ("no inputs", request(), "message inputs: expected a list of tensors, got nothing"),
    ("no name", request({"name": "", "contents": TWO}), r"inputs\[0\]\.name: expected a string, got nothing"),
    (
        "datatype unknown",
        request({"datatype": "FP8"}),
        r"""input "x" datatype: expected one of .* got a string 'FP8'""",
    ),
    ("datatype missing", request({"datatype": "", "contents": TWO}), r"""datatype: .* got a string ''"""),
    ("shape negative", request({"shape": [-1, 1]}), r'input "x" shape: expected whole numbers, none negative'),
    ("shape of many axes", request({"shape": [1] * 9}), "at most 8 axes"),
    ("shape empty and huge", request({"shape": [0, 2**62]}), "none huge beside an empty one"),
    (
        "shape huge",
        request({"shape": [2**62, 2**62], "contents": TWO}),
        r"expected 21\d+ values in fp32_contents, got 2",
    ),
    ("nothing", request({}), r'input "x" contents: expected 2 values in fp32_contents, got 0'),
    ("too few", request({"contents": {"fp32_contents": [1]}}), "expected 2 values in fp32_contents, got 1"),
    ("other field", request({"contents": {"fp64_contents": [1, 2]}}), "expected fp32_contents for FP32, got fp64_cont"),
    (
        "two fields",
        request({"contents": {"fp32_contents": [1, 2], "int_contents": [1]}}),
        "expected fp32_contents for FP32, got int_contents",
    ),
    (
        "out of range",
        request({"datatype": "INT8", "contents": {"int_contents": [1, 300]}}),
        r'input "x" contents.int_contents\[1\]: expected INT8 from -128 to 127, got 300',
    ),
    (
        "out of unsigned range",
        request({"datatype": "UINT16", "contents": {"uint_contents": [1, 65536]}}),
        "expected UINT16 from 0 to 65535, got 65536",
    ),
    ("BF16 typed", request({"datatype": "BF16", "contents": TWO}), "expected raw_input_contents for BF16, got typed"),
    ("NUL in a name", request({"name": "a\0b", "contents": TWO}), r"inputs\[0\].name: expected text without NUL"),
    ("FP16 typed", request({"datatype": "FP16", "contents": TWO}), "expected raw_input_contents for FP16, got typed"),
    (
        "no UTF-8",
        request({"datatype": "BYTES", "contents": {"bytes_contents": [b"a", b"b\xff"]}}),
        'input "x" contents, element 1: expected UTF-8, got byte 0xff at place 1',
    ),
    (
        "raw for one of two",
        request({}, {"name": "y"}, raw=[b"\0" * 8]),
        "message raw_input_contents: expected 2, one for each input, got 1",
    ),
    ("raw and typed", request({"contents": TWO}, raw=[b"\0" * 8]), "expected nothing beside raw_input_contents"),
    ("raw too short", request({}, raw=[b"\0" * 7]), "raw_input_contents: expected 8 bytes for 2 values of FP32, got 7"),
    ("raw too long", request({}, raw=[b"\0" * 9]), "expected 8 bytes for 2 values of FP32, got 9"),
    ("raw of a huge shape", request({"shape": [2**62, 4]}, raw=[b"\0" * 8]), r"expected \d+ bytes for \d+ values"),
    (
        "text shorter than its length",
        request({"datatype": "BYTES"}, raw=[struct.pack("<I", 5) + b"abc"]),
        'input "x" raw_input_contents, element 0: expected 4 and 5 bytes, got 3 left',
    ),
    ("length cut off", request({"datatype": "BYTES"}, raw=[texts(b"a") + b"\0"]), "element 1: expected 4 and 0 bytes"),
    ("too few texts", request({"datatype": "BYTES"}, raw=[texts(b"a")]), "expected 2 elements, each behind its length"),
    ("too many texts", request({"datatype": "BYTES"}, raw=[texts(b"a", b"b", b"c")]), "expected 2 elements.* got more"),
    ("raw no UTF-8", request({"datatype": "BYTES"}, raw=[texts(b"a", b"\xff")]), "element 1: expected UTF-8"),
    ("raw length beyond", request({"datatype": "BYTES"}, raw=[b"\xff\xff\xff\xff"]), "expected 4 and 4294967295 bytes"),
]


@pytest.mark.parametrize(("made", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_cannot_be_read_is_refused_with_a_place_and_a_reason(made: proto.ModelInferRequest, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        codec.parse(made)


def test_a_request_tells_id_outputs_and_parameters() -> None:
    made = request({"contents": TWO})
    made.id = "mine"
    made.outputs.add(name="y")
    made.parameters["text"].string_param = "t"
    made.parameters["whole"].int64_param = -3
    made.parameters["unsigned"].uint64_param = 2**63
    made.parameters["number"].double_param = 0.5
    made.parameters["truth"].bool_param = False
    made.parameters["nothing"].SetInParent()
    parsed = codec.parse(made)
    assert (parsed.id, parsed.outputs) == ("mine", [Wish("y")])
    assert parsed.parameters == {
        "text": "t",
        "whole": -3,
        "unsigned": 2**63,
        "number": 0.5,
        "truth": False,
        "nothing": None,
    }
    assert codec.parse(request({"contents": TWO})).outputs is None


def test_empty_contents_beside_raw_tensors_say_nothing() -> None:
    raw = np.array([1, 2], "<f4").tobytes()
    (given_back,) = codec.parse(request({"contents": {}}, raw=[raw])).inputs
    assert given_back.array.tolist() == [[1.0], [2.0]]
    (words,) = codec.parse(request({"contents": {}, "datatype": "BYTES"}, raw=[texts(b"a", b"")])).inputs
    assert words.array.tolist() == [["a"], [""]]


def drawn(data: st.DataObject, datatype: str) -> NDArray[Any]:
    """Any tensor of a datatype; floats of any kind, NaN too."""
    kind = NUMPY[datatype]
    if datatype == "BYTES":
        values: Any = st.text()
    elif kind.kind == "b":
        values = st.booleans()
    elif kind.kind in "iu":
        values = st.integers(int(np.iinfo(kind).min), int(np.iinfo(kind).max))
    else:
        values = st.floats(width=kind.itemsize * 8)  # type: ignore[arg-type]
    shape = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    flat = data.draw(st.lists(values, min_size=math.prod(shape), max_size=math.prod(shape)))
    if datatype == "BF16":
        return narrowed(np.array(flat, dtype=np.float64), datatype).reshape(shape)
    return np.array(flat, dtype=kind).reshape(shape)


def same(left: NDArray[Any], right: NDArray[Any]) -> bool:
    """Whether type, shape and every value are alike; a NaN is like any other."""
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    return bool(np.array_equal(left, right, equal_nan=left.dtype.kind == "f"))


@pytest.mark.parametrize(
    ("datatype", "raw"), [*((name, False) for name in TYPED), *((name, True) for name in sorted(NUMPY))]
)
@given(data=st.data())
def test_every_datatype_survives_the_way_through_a_message(datatype: str, raw: bool, data: st.DataObject) -> None:
    array = drawn(data, datatype)
    spec = TensorSpec(name="x", datatype=datatype, shape=list(array.shape))  # type: ignore[arg-type]
    written = codec.message(
        proto.ModelInferResponse, codec.write(Answer("e", "i", "m", "1", [(Asked(spec), array)]), raw=raw)
    )
    (output,) = written.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("x", datatype, list(array.shape))
    assert (len(written.raw_output_contents), output.HasField("contents")) == (int(raw), not raw)
    # A response's tensors are written as a request's are.
    tensor = {"datatype": datatype, "shape": list(array.shape)}
    back = request(tensor, raw=list(written.raw_output_contents))
    if not raw:
        back.inputs[0].contents.CopyFrom(output.contents)
    (given_back,) = codec.parse(back).inputs
    assert same(given_back.array, array)


@pytest.mark.parametrize(("datatype", "one"), [("FP16", b"\0<"), ("BF16", b"\x80?")])
def test_one_output_of_sixteen_bits_makes_all_raw(datatype: str, one: bytes) -> None:
    spec = TensorSpec(name="z", datatype=datatype, shape=[-1, 1])  # type: ignore[arg-type]
    outputs: list[tuple[Asked, NDArray[Any]]] = [
        (Asked(TensorSpec(name="y", datatype="FP32", shape=[-1, 1])), np.array([[1.0]], np.float32)),
        (Asked(spec), np.array([[1.0]], NUMPY[datatype])),
    ]
    answer = Answer("e", "", "m", "1", outputs)
    written = codec.message(proto.ModelInferResponse, codec.write(answer, raw=False))
    assert list(written.raw_output_contents) == [b"\0\0\x80?", one]


@pytest.mark.parametrize("raw", [True, False])
def test_an_output_asked_for_as_classes_is_told_as_texts(raw: bool) -> None:
    made = request({"contents": TWO})
    made.outputs.add(name="y").parameters["classification"].int64_param = 2
    made.outputs.add(name="z").parameters["binary_data"].bool_param = True
    wishes = codec.parse(made).outputs
    assert wishes == [Wish("y", classes=2), Wish("z")]
    spec = TensorSpec(name="y", datatype="FP16", shape=[-1, 3])
    array = np.array([[0.25, 0.5, 0.125]], np.float16)
    answer = Answer("e", "", "m", "1", [(Asked(spec, classes=2), array)], ["a", "b", "c"])
    written = codec.message(proto.ModelInferResponse, codec.write(answer, raw=raw))
    (output,) = written.outputs
    assert (output.datatype, list(output.shape)) == ("BYTES", [1, 2])
    expected = [b"0.5:1:b", b"0.25:0:a"]
    told = list(written.raw_output_contents) if raw else list(output.contents.bytes_contents)
    assert told == ([texts(*expected)] if raw else expected)


def test_classes_must_be_at_least_one() -> None:
    made = request({"contents": TWO})
    made.outputs.add(name="y").parameters["classification"].int64_param = 0
    with pytest.raises(
        InvalidInput, match='output "y" parameter "classification": expected a whole number, at least 1'
    ):
        codec.parse(made)


def test_what_asks_for_bytes_must_be_true_or_false_as_over_rest() -> None:
    made = request({"contents": TWO})
    made.parameters["binary_data_output"].string_param = "yes"
    said = 'parameter "binary_data_output": expected true or false, got a string'
    with pytest.raises(InvalidInput, match=f"message {said}"):
        codec.parse(made)
    made.parameters["binary_data_output"].bool_param = True
    made.outputs.add(name="y").parameters["binary_data"].string_param = "yes"
    with pytest.raises(InvalidInput, match='output "y" parameter "binary_data": expected true or false, got a string'):
        codec.parse(made)


def test_names_of_classes_stand_behind_their_lengths() -> None:
    spec = TensorSpec(name="kind", datatype="BYTES", shape=[-1, 1], categories=["rot", "süß"])
    array = np.array([["süß"], ["rot"]], dtype=object)
    written = codec.message(
        proto.ModelInferResponse, codec.write(Answer("e", "", "m", "1", [(Asked(spec), array)]), raw=True)
    )
    assert list(written.raw_output_contents) == [texts("süß".encode(), b"rot")]


def test_any_number_but_zero_is_true() -> None:
    (truth,) = codec.parse(request({"datatype": "BOOL", "shape": [3]}, raw=[b"\0\1\2"])).inputs
    assert truth.array.tolist() == [False, True, True]
    assert truth.array.view(np.uint8).tolist() == [0, 1, 1]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_never_more(data: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        codec.parse(codec.message(proto.ModelInferRequest, data))
    for datatype in ("BYTES", "FP16", "BF16", "BOOL", "INT64"):
        with contextlib.suppress(InvalidInput):
            codec.parse(request({"datatype": datatype}, raw=[data]))


def test_the_generated_python_is_what_the_pinned_proto_gives(tmp_path: Path) -> None:
    if find_spec("grpc_tools") is None:
        missing("grpcio-tools is not installed")
    made = generate(tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in made} >= {PROTO.replace(".proto", "_pb2.py")}
    for path in made:
        assert path.read_text() == (ROOT / path.relative_to(tmp_path)).read_text(), "run `make proto`"


def test_the_proto_names_its_source_and_every_method() -> None:
    text = (ROOT / PROTO).read_text()
    assert "kserve/open-inference-protocol" in text
    assert "Apache License, Version 2.0" in text
    assert tuple(method.name for method in proto.DESCRIPTOR.services_by_name[SERVICE].methods) == METHODS


def test_our_messages_and_another_librarys_live_in_one_process() -> None:
    """Both register the names of the package ``inference``; in protobuf's default pool the second would fail."""
    assert "serving.proto.open_inference_grpc_pb2" in sys.modules
    from tritonclient.grpc import service_pb2

    ours = proto.ModelInferRequest(model_name="m", raw_input_contents=[b"r"])
    theirs = service_pb2.ModelInferRequest.FromString(ours.SerializeToString())
    assert (theirs.model_name, list(theirs.raw_input_contents)) == ("m", [b"r"])
