"""Small requests of a model that compiled code knows, from end to end: answered, split, logged as by the usual way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from serving.rest import forms
from staytrue.signature import Signature, TensorSpec
from staytrue.store import Store
from tests import bundles
from tests.needs import needs_compiled
from tests.unit.serving.house import House
from tests.unit.serving.test_rest import INFER
from tests.unit.serving.test_turns import at_once, brief, plain, usually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import ModelProto

SIGNATURE = Signature(
    inputs=[TensorSpec(name="a", datatype="FP32", shape=[-1, 2]), TensorSpec(name="b", datatype="FP64", shape=[-1, 2])],
    outputs=[
        TensorSpec(name="sum", datatype="FP64", shape=[-1, 2]),
        TensorSpec(name="same", datatype="FP32", shape=[-1, 2]),
    ],
)


def graph() -> ModelProto:
    """``sum`` is a + b, ``same`` is a."""
    nodes = [
        helper.make_node("Cast", ["a"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Add", ["wide", "b"], ["sum"]),
        helper.make_node("Identity", ["a"], ["same"]),
    ]
    kinds = {"a": TensorProto.FLOAT, "b": TensorProto.DOUBLE, "sum": TensorProto.DOUBLE, "same": TensorProto.FLOAT}
    sides = {name: helper.make_tensor_value_info(name, kind, ["batch", 2]) for name, kind in kinds.items()}
    made = helper.make_graph(nodes, "tiny", [sides["a"], sides["b"]], [sides["sum"], sides["same"]])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server of that model."""
    needs_compiled()
    folder = tmp_path_factory.mktemp("house")
    store = Store(folder / "store")
    store.promote("tiny", bundles.publish(store, "tiny", graph(), SIGNATURE, 8), reason="test")
    made = House(store, folder)
    brief(made)
    yield made
    made.close()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Bodies that Python read, and not compiled code."""
    seen: list[bytes] = []
    real = forms.Form._read

    def watched(form: forms.Form, body: bytes) -> Any:
        seen.append(body)
        return real(form, body)

    monkeypatch.setattr(forms.Form, "_read", watched)
    return seen


def body(a: Any, b: Any, rows: int) -> bytes:
    """A request of so many rows; numbers may be given as texts, to be written as they are."""

    def data(numbers: Any) -> str:
        return ",".join(number if isinstance(number, str) else repr(float(number)) for number in numbers)

    tensors = [("a", "FP32", data(a)), ("b", "FP64", data(b))]
    told = [
        f'{{"name":"{name}","shape":[{rows},2],"datatype":"{datatype}","data":[{numbers}]}}'
        for name, datatype, numbers in tensors
    ]
    return f'{{"inputs":[{",".join(told)}]}}'.encode()


def told(answer: dict[str, Any]) -> list[list[float]]:
    """Its outputs' numbers."""
    return [output["data"] for output in answer["outputs"]]


def test_each_gets_its_own_rows_whatever_others_have(house: House, read: list[bytes]) -> None:
    chance = np.random.default_rng(0)
    asked = []
    for rows in (1, 3, 1, 1, 2, 8, 2, 1):
        a, b = chance.normal(size=(2, 2 * rows))
        asked.append((np.float32(a), b, rows))
    before = len(house.events())
    answers = at_once(house, [body(*one) for one in asked], head="X-Request-Id: mine\r\n")
    for (a, b, _), answer in zip(asked, answers, strict=True):
        assert told(answer) == [(a.astype(float) + b).tolist(), a.tolist()]
    assert read == []
    events = {event.id: event for event in house.events()[before:]}
    assert len(events) == len(asked)
    for (a, b, rows), answer in zip(asked, answers, strict=True):
        event = events[answer["parameters"]["event_id"]]
        assert (event.rows, event.request_id, event.status) == (rows, "mine", "ok")
        assert [tensor.array().ravel().tolist() for tensor in event.inputs] == [a.tolist(), b.tolist()]
        assert [tensor.array().ravel().tolist() for tensor in event.outputs] == told(answer)
        assert [tensor.shape for tensor in (*event.inputs, *event.outputs)] == [[rows, 2]] * 4


numbers = st.one_of(
    st.floats(-1e30, 1e30).map(repr),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map("{:f}".format),
    st.sampled_from(
        ["1e39", "1e400", "-0", "-0.0", "1e-50", "18446744073709551616.5", "01", "NaN", '"1"', "null", "[1]"]
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(a=st.lists(numbers, min_size=2, max_size=2), b=st.lists(numbers, min_size=2, max_size=2))
def test_any_numbers_are_answered_and_logged_as_by_the_usual_way(house: House, a: list[str], b: list[str]) -> None:
    asked, found = body(a, b, 1), []
    for way in ("short", "usual"):
        with pytest.MonkeyPatch.context() as patch:
            if way == "usual":
                usually(house, patch)
            answer = house.client.post(INFER, content=asked)
        event = house.events()[-1]
        said = answer.json()
        said.pop("parameters", None)
        found.append((answer.status_code, said, plain(event)))
    assert found[0] == found[1]
