"""Events that are put together from parts have the bytes of those that are built and encoded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from staytrue.alike import Alike
from staytrue.events import Event, Tensor, encode
from staytrue.filling import When, whole
from staytrue.segments import kept

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
    id=st.from_regex(r"[a-z0-9]{1,40}", fullmatch=True),
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


def like(event: Event) -> Event:
    """Another, as different as it may be."""
    sides = [
        [structs.replace(one, data=bytes(len(one.data)) if isinstance(one.data, bytes) else []) for one in side]
        for side in (event.inputs, event.outputs)
    ]
    other = structs.replace(event, id="0" * len(event.id), time=0.5, recorded=0.0, request_id="another's")
    return structs.replace(other, queue_seconds=1.0, run_seconds=0.0, inputs=sides[0], outputs=sides[1])


def when(event: Event) -> When:
    """An event's times."""
    return When(event.time, event.recorded, event.queue_seconds, event.run_seconds)


def held(*events: Event) -> list[bytes | list[list[str]]]:
    """What their tensors hold."""
    columns = zip(*([one.data for one in (*event.inputs, *event.outputs)] for event in events), strict=True)
    made: list[Any] = [b"".join(some) if isinstance(some[0], bytes) else [*some] for some in map(list[Any], columns)]
    return made


@given(events, texts)
def test_they_are_as_if_they_had_been_built(event: Event, other: str) -> None:
    callers = [(other, event.trace_id), ("", ""), (event.request_id, event.trace_id)]
    names = [f"{at}{event.id[1:]}" for at in range(len(callers))]
    some = [
        structs.replace(event, id=name, request_id=caller[0], trace_id=caller[1])
        for name, caller in zip(names, callers, strict=True)
    ]
    alike, data, ids = Alike(like(event)), held(*some), "".join(names).encode()
    assert alike.woven(when(event), callers, ids, data).texts() == [encode(one) for one in some]
    for told in (callers, [("", "")], [("", "")], [(other, "")]):  # the third from parts made by the second
        wanted = kept(alike.woven(when(event), told, ids, data))
        assert whole([alike.piece(when(event), told, ids, data)]) == [wanted]
    same = [structs.replace(one, request_id=other) for one in some]
    assert alike.woven(when(event), callers[:1], ids, data).texts() == [
        encode(structs.replace(one, trace_id=event.trace_id)) for one in same
    ]


TENSOR = Tensor(name="x", datatype="FP32", shape=[1], data=b"1234")
EVENT = Event(id="e1", time=0.0, recorded=0.0, model="m", rows=1, inputs=[TENSOR], outputs=[TENSOR])


def test_texts_are_of_any_length() -> None:
    words: list[list[str]] = [["a"], [], ["b" * 300, "\u00e9"], ["c"] * 40]
    some = [structs.replace(EVENT, inputs=[structs.replace(TENSOR, data=data)]) for data in words]
    woven = Alike(like(some[0])).woven(when(EVENT), [("", "")], b"e1" * len(some), held(*some))
    assert woven.texts() == [encode(event) for event in some]


@pytest.mark.parametrize(
    ("names", "data"),
    [
        (b"", [b"", b""]),
        (b"e1", [b"1234"]),
        (b"e1", [b"1234", b"1234", b"1234"]),
        (b"e1", [b"1234", b"12345"]),
        (b"e1e2", [b"1234123", b"12341234"]),
        (b"e1", [[["text"]], b"1234"]),
        (b"e1", [[["f"], ["o"], ["u"], ["r"]], b"1234"]),
        (b"e12", [b"1234", b"1234"]),
    ],
    ids=repr,
)
def test_what_could_not_be_read_again_is_not_written(names: bytes, data: list[bytes | list[list[str]]]) -> None:
    alike = Alike(like(EVENT))
    for way in (alike.woven, lambda *given: whole([alike.piece(*given)])):
        with pytest.raises(ValueError, match=r"zip|are not as|fill: expected"):
            way(when(EVENT), [("", "")], names, data)


def test_texts_are_as_many_as_events() -> None:
    words = Tensor(name="x", datatype="BYTES", shape=[1], data=[])
    with pytest.raises(ValueError, match="are not as many"):
        Alike(structs.replace(EVENT, inputs=[words])).woven(when(EVENT), [("", "")], b"e1", [[["a"], ["b"]], b"1234"])
