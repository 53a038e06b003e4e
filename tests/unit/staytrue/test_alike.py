"""Events that are put together from parts have the bytes of those that are built and encoded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from staytrue.alike import Alike
from staytrue.events import Event, Tensor, encode
from staytrue.weaving import weave

texts = st.text(max_size=300)
times = st.floats(allow_nan=False)
shapes = st.lists(st.integers(0, 70_000), max_size=3)


@st.composite
def tensors(draw: st.DrawFn, side: str) -> list[Tensor]:
    """Of one side: numbers and texts, of any length a header may have."""
    held = st.one_of(st.binary(max_size=400), st.lists(texts, max_size=20), st.just(b"n" * 70_000))
    return [
        Tensor(name=f"{side} {at}", datatype="FP32", shape=draw(shapes), data=draw(held))
        for at in range(draw(st.integers(0, 3)))
    ]


events = st.builds(
    Event,
    id=st.text(min_size=1, max_size=40),
    time=times,
    recorded=times,
    request_id=texts,
    trace_id=texts,
    model=texts,
    version=texts,
    role=st.sampled_from(["champion", "challenger", "shadow", "pinned"]),
    protocol=st.sampled_from(["rest", "grpc"]),
    status=texts,
    error=texts,
    rows=st.integers(0, 70_000),
    queue_seconds=times,
    run_seconds=times,
    inputs=tensors("in"),
    outputs=tensors("out"),
)


@given(events, texts)
def test_they_are_as_if_they_had_been_built(event: Event, other: str) -> None:
    blank = [[structs.replace(tensor, data=b"") for tensor in side] for side in (event.inputs, event.outputs)]
    like = structs.replace(event, id="", time=0.0, recorded=0.0, request_id=other, inputs=blank[0], outputs=blank[1])
    moment = Alike(like).at(event.time, event.recorded, event.queue_seconds, event.run_seconds)
    callers = [(other, event.trace_id), ("", ""), (event.request_id, event.trace_id)]
    some = [structs.replace(event, id=f"{event.id}{at}", request_id=a, trace_id=b) for at, (a, b) in enumerate(callers)]
    data: list[list[bytes | list[str]]] = [[tensor.data] * len(some) for tensor in (*event.inputs, *event.outputs)]
    names = [one.id for one in some]
    assert weave(*moment.woven(names, callers, data)) == [encode(one) for one in some]
    same = [structs.replace(one, request_id=other) for one in some]
    assert weave(*moment.woven(names, [(other, event.trace_id)], data))[:1] == [encode(same[0])]


def test_tensors_of_different_lengths_are_told_too() -> None:
    tensor = Tensor(name="x", datatype="BYTES", shape=[1], data=b"")
    like = Event(id="", time=0.0, recorded=0.0, model="m", rows=1, inputs=[tensor])
    held: list[bytes | list[str]] = [b"1234", b"", b"12", ["a"], b"3" * 300]
    woven = Alike(like).at(0.0, 0.0, 0.0, 0.0).woven(["e"] * len(held), [("", "")], [held])
    wanted = [structs.replace(like, id="e", inputs=[structs.replace(tensor, data=data)]) for data in held]
    assert weave(*woven) == [encode(event) for event in wanted]


def test_no_tensor_is_left_out_unseen() -> None:
    tensor = Tensor(name="x", datatype="FP32", shape=[1], data=b"")
    like = Event(id="", time=0.0, recorded=0.0, model="m", rows=1, inputs=[tensor], outputs=[tensor])
    moment = Alike(like).at(1.0, 2.0, 0.0, 0.1)
    with pytest.raises(ValueError, match="zip"):
        moment.woven(["1"], [("", "")], [[b"1234"]])
