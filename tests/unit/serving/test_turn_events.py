"""Events of a turn: each says whose it is, and holds its own rows, whichever of them are written together."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from serving.calls import ID_LENGTH, Form, Request, Stretch
from serving.turns import events_of
from staytrue.alike import Alike
from staytrue.events import Event, Tensor, encode
from staytrue.filling import When, whole
from staytrue.segments import WOVEN, frames, scan

WHEN = When(1.0, 2.0, 0.5, 0.25)
NONE = Request("churn", None, "rest", cast("Any", None), cast("Any", None))
NAMED = msgspec.structs.replace(NONE, request_id="order 7")
TRACED = msgspec.structs.replace(NONE, trace_id="0af7")


def event(request: Request, name: str, rows: int, data: bytes) -> Event:
    """As the usual way makes it; one input of a byte a row, and what came of it."""
    tensors = [
        [Tensor(name=side, datatype="UINT8", shape=[rows, width], data=data[: rows * width])]
        for side, width in (("in", 1), ("out", 2))
    ]
    return Event(
        id=name,
        time=WHEN.time,
        recorded=WHEN.recorded,
        request_id=request.request_id,
        trace_id=request.trace_id,
        model=request.model,
        version="1",
        role="champion",
        protocol="rest",
        status="ok",
        error="",
        rows=rows,
        queue_seconds=WHEN.queue_seconds,
        run_seconds=WHEN.run_seconds,
        inputs=tensors[0],
        outputs=tensors[1],
    )


class Bytes:
    """A form of a model that takes a byte a row, and gives two."""

    widths = (1, 2)

    def alike(self, request: Request, rows: int) -> Alike:
        """Made anew each time."""
        return Alike(event(request, "0" * ID_LENGTH, rows, bytes(2 * rows)))


@pytest.mark.parametrize(
    ("requests", "rows"),
    [
        ([NONE], [1]),
        ([NONE, NONE], [3, 3]),
        ([NAMED], [1]),
        ([TRACED, TRACED], [1, 1]),
        ([NONE, NAMED, TRACED], [2, 2, 2]),
        ([NONE, NONE, NONE], [2, 1, 3]),  # as many together as if each had as many as the first
        ([NAMED, NONE, TRACED], [1, 2, 2]),
    ],
)
def test_each_says_whose_it_is_and_holds_its_own_rows(requests: list[Request], rows: list[int]) -> None:
    names = [f"{at:0{ID_LENGTH}d}" for at in range(len(requests))]
    inputs, outputs = bytes(range(sum(rows))), bytes(range(100, 100 + 2 * sum(rows)))
    pieces = events_of(
        requests, "".join(names).encode(), Stretch.all(rows), WHEN, cast("Form", Bytes()), [inputs, outputs]
    )
    wanted, row = [], 0
    for request, name, count in zip(requests, names, rows, strict=True):
        made = event(request, name, count, b"")
        made.inputs[0] = msgspec.structs.replace(made.inputs[0], data=inputs[row : row + count])
        made.outputs[0] = msgspec.structs.replace(made.outputs[0], data=outputs[2 * row : 2 * (row + count)])
        wanted.append(encode(made))
        row += count
    assert scan(frames(whole(pieces), 7, WOVEN), 7).payloads == wanted
