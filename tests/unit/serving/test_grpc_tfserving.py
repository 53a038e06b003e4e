"""``Predict`` of TensorFlow Serving: what its callers send in every form, and what they get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

from serving.grpc import tfserving
from serving.grpc.errors import CODE_KEY
from serving.proto import tensorflow_serving_pb2 as proto
from staytrue.errors import InvalidInput
from staytrue.signature import NUMPY, Signature, TensorSpec
from staytrue.tensors import Answer, Asked
from tests.unit.serving.grpc_house import House, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from staytrue.store import Store

PREDICT = "/tensorflow.serving.PredictionService/Predict"
LIMIT = 1000


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """The usual settings."""
    made = House(store, tmp_path)
    yield made
    made.close()


def tensor(dtype: int, shape: list[int], **values: Any) -> proto.TensorProto:
    """A tensor as TensorFlow writes it."""
    sizes = proto.TensorShapeProto(dim=[proto.TensorShapeProto.Dim(size=size) for size in shape])
    return proto.TensorProto(dtype=dtype, tensor_shape=sizes, **values)  # type: ignore[arg-type]


def asked(**spec: Any) -> proto.PredictRequest:
    """A good request of two rows."""
    made = proto.PredictRequest(model_spec=proto.ModelSpec(**{"name": "tiny", **spec}))
    numbers = np.array([1.5, 2.5], "<f4").tobytes()
    made.inputs["number"].CopyFrom(tensor(proto.DT_FLOAT, [2, 1], tensor_content=numbers))
    made.inputs["kind"].CopyFrom(tensor(proto.DT_STRING, [2, 1], string_val=[b"a", b"b"]))
    made.inputs["count"].CopyFrom(tensor(proto.DT_INT64, [2, 1], int64_val=[10]))
    return made


def predict(house: House, message: proto.PredictRequest) -> tuple[proto.PredictResponse, dict[str, Any]]:
    """Ask; the answer and its trailing metadata."""
    answer, call = house.method(PREDICT).with_call(message.SerializeToString())
    return proto.PredictResponse.FromString(answer), dict(call.trailing_metadata())


def read(dtype: int, shape: list[int], limit: int = LIMIT, **values: Any) -> Any:
    """What is understood of a tensor."""
    message = proto.PredictRequest()
    message.inputs["x"].CopyFrom(tensor(dtype, shape, **values))
    query = tfserving.open_query(message.SerializeToString(), limit)
    (given,) = query.read(Any, b"").inputs  # type: ignore[arg-type]
    return given


def test_an_answer_holds_typed_values_the_version_that_gave_them_and_the_event(house: House) -> None:
    answer, trailing = predict(house, asked())
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("tiny", 1, "serving_default")
    (told,) = answer.outputs.values()
    assert (list(answer.outputs), told.dtype) == (["total"], proto.DT_FLOAT)
    assert [dim.size for dim in told.tensor_shape.dim] == [2, 1]
    assert list(told.float_val) == [14.0, 17.0]
    (event,) = house.events()
    assert (event.id, event.protocol, event.status, event.rows) == (trailing["x-event-id"], "grpc", "ok", 2)


def test_version_signature_and_outputs_can_be_named(house: House, store: Store, publishing: Callable[..., str]) -> None:
    store.promote("tiny", publishing(3.0), reason="test")
    house.registry.refresh()
    named = asked(version=proto.Version(value=1), signature_name="serving_default")
    named.output_filter.append("total")
    assert predict(house, named)[0].model_spec.version.value == 1
    assert predict(house, asked())[0].model_spec.version.value == 2


@pytest.mark.parametrize(
    ("spec", "status", "said"),
    [
        ({"name": "large"}, grpc.StatusCode.NOT_FOUND, 'model "large": is not served here'),
        (
            {"signature_name": "other"},
            grpc.StatusCode.INVALID_ARGUMENT,
            "model_spec.signature_name: expected serving_default, got 'other'",
        ),
        (
            {"version_label": "stable"},
            grpc.StatusCode.UNIMPLEMENTED,
            "model_spec.version_label: versions have no labels",
        ),
    ],
)
def test_what_is_not_here_is_refused_with_an_event(
    house: House, spec: dict[str, Any], status: grpc.StatusCode, said: str
) -> None:
    got, words, more = refused(lambda: predict(house, asked(**spec)))
    assert (got, words[: len(said)]) == (status, said)
    assert [event.status for event in house.events()] == [more[CODE_KEY]]


def test_an_output_that_is_not_there_and_bytes_that_are_no_message_are_refused(house: House) -> None:
    wrong = asked()
    wrong.output_filter.append("other")
    assert refused(lambda: predict(house, wrong))[1].startswith('output "other": is not an output of this model')
    call = house.method(PREDICT)
    assert refused(lambda: call(b"\xff"))[0] == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("number", tfserving._TYPES)
def test_every_type_is_read_from_its_bytes_and_from_its_field_and_written_into_it(number: int) -> None:
    datatype, field = tfserving._TYPES[number]  # type: ignore[index]
    if datatype == "BYTES":
        values: list[Any] = ["a", "ü", ""]
    elif datatype == "BOOL":
        values = [True, False, True]
    else:
        values = [0, 1, 100]
    array = np.array(values, dtype=NUMPY[datatype])
    spec = TensorSpec(name="x", datatype=datatype, shape=[-1])  # type: ignore[arg-type]
    written = tfserving._write(Answer("event", "", "tiny", "1", [(Asked(spec), array)]))
    told = proto.PredictResponse.FromString(written).outputs["x"]
    assert (told.dtype, [name.name for name, _ in told.ListFields()]) == (number, ["dtype", "tensor_shape", field])
    row: Any = {field: getattr(told, field)}
    back = read(number, [3], **row)
    assert (back.datatype, back.array.dtype, back.array.tolist()) == (datatype, NUMPY[datatype], values)
    if datatype != "BYTES":
        from staytrue.raw import to_raw

        packed = read(number, [3], tensor_content=to_raw(array, datatype))
        assert (packed.datatype, packed.array.tolist()) == (datatype, values)
    single: Any = {field: list(getattr(told, field))[:1]}
    one = read(number, [2, 2], **single)
    assert one.array.tolist() == [values[:1] * 2] * 2


def test_one_text_stands_for_no_more_bytes_than_a_message_may_hold() -> None:
    long = b"x" * 60_000
    with pytest.raises(InvalidInput, match="expected 1000 values, or one for all, got 1 for more than 16777216 bytes"):
        read(proto.DT_STRING, [1000, 1], limit=16 * 1024**2, string_val=[long])
    assert read(proto.DT_STRING, [0], string_val=[long]).array.size == 0
    assert read(proto.DT_STRING, [200, 1], limit=16 * 1024**2, string_val=[long]).array.size == 200
    with pytest.raises(InvalidInput, match="got 1 for more than 1000 bytes"):
        read(proto.DT_STRING, [400], string_val=["ü".encode()])


def test_single_values_of_a_message_count_together() -> None:
    message = proto.PredictRequest()
    for name in ("one", "two", "three"):
        message.inputs[name].CopyFrom(tensor(proto.DT_FLOAT, [100], float_val=[1.0]))
    with pytest.raises(InvalidInput, match="got 1 for more than 200 bytes"):
        tfserving.open_query(message.SerializeToString(), LIMIT).read(Any, b"")  # type: ignore[arg-type]


def test_halves_are_told_by_their_bits() -> None:
    assert read(proto.DT_HALF, [2], half_val=[0x3C00, 0xC000]).array.tolist() == [1.0, -2.0]
    assert read(proto.DT_BFLOAT16, [2], half_val=[0x3F80, 0xC000]).array.tolist() == [1.0, -2.0]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ((8, [1], {}), r'input "x" dtype: expected one of DT_FLOAT \(1\), .*, got 8'),
        ((1, [2], {"float_val": [1, 2, 3]}), 'input "x": expected 2 values, or one for all, got 3'),
        ((1, [2], {}), 'input "x": expected 2 values, or one for all, got 0'),
        ((1, [2], {"double_val": [1, 2]}), 'input "x": expected float_val for DT_FLOAT, got double_val'),
        ((1, [2], {"tensor_content": b"12345678", "float_val": [1]}), "tensor_content: expected float_val alone"),
        ((7, [2], {"tensor_content": b"12345678"}), "tensor_content: expected string_val alone, got tensor_content"),
        ((1, [2], {"tensor_content": b"1234567"}), "tensor_content: expected 8 bytes for 2 values of FP32, got 7"),
        ((6, [1], {"int_val": [128]}), r"int_val\[0\]: expected INT8 from -128 to 127, got 128"),
        ((19, [1], {"half_val": [65536]}), r"half_val\[0\]: expected FP16 from 0 to 65535, got 65536"),
        ((7, [1], {"string_val": [b"\xff"]}), "string_val, element 0: expected UTF-8"),
        ((1, [-1], {"float_val": [1]}), 'input "x" shape: expected whole numbers, none negative'),
        ((1, [2**40], {"float_val": [1]}), "got 1 for more than 1000 bytes"),
        ((7, [2**40], {"string_val": [b"a"]}), "got 1 for more than 1000 bytes"),
        ((7, [2**40, 2**40], {"string_val": [b""]}), "got 1 for more than 1000 bytes"),
    ],
)
def test_tensors_that_contradict_themselves_are_refused_by_name(made: tuple[int, list[int], Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(made[0], made[1], **made[2])


def test_an_unknown_rank_is_no_shape() -> None:
    message = proto.PredictRequest()
    message.inputs["x"].CopyFrom(
        proto.TensorProto(dtype=proto.DT_FLOAT, tensor_shape=proto.TensorShapeProto(unknown_rank=True))
    )
    with pytest.raises(InvalidInput, match="tensor_shape: expected sizes, got an unknown rank"):
        tfserving.open_query(message.SerializeToString(), LIMIT).read(Signature(inputs=[], outputs=[]), b"")  # type: ignore[arg-type]


def test_every_datatype_of_a_signature_has_a_type_there() -> None:
    assert {datatype for datatype, _ in tfserving._TYPES.values()} == set(NUMPY)
