"""The process that asks: one window of requests for each line of its input, its figures on a line of its output."""

from __future__ import annotations

import asyncio
import gc
import itertools
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import uvloop

from benchmarks import questions
from benchmarks.rest import Connection, Window
from benchmarks.rpc import Call, message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.questions import Question

PATIENCE_SECONDS = 30.0
MOST_A_SECOND = 60_000
"""Requests with ids of their own that are made for a second: more than this client can send."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A window to be measured."""

    folder: str
    """Holds ``rows.npz``."""
    host: str
    port: int
    path: str
    form: str
    """json, binary or grpc."""
    connections: int
    seconds: float
    """0: one request of each connection."""
    ids: bool = False
    """Whether each request has an ``X-Request-Id`` and a ``traceparent`` of its own, over HTTP/1.1."""
    key: str = ""
    """The API key that requests over HTTP/1.1 bring, if any."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    error: str = ""
    """What went wrong; all else is nothing then."""
    answered: int = 0
    """Requests, those after the end of the window included."""
    rate: float = 0.0
    """Answers a second within the window."""
    p50_seconds: float = 0.0
    p99_seconds: float = 0.0
    busy: float = 0.0
    """Share of a core that the client itself took: near 1, and it is the client that was measured."""


async def measure(order: Order) -> Figures:
    """One window: connections that each ask again at once."""
    made = prepared(order)
    turns = itertools.cycle(made)
    loop = asyncio.get_running_loop()
    kind: type[Call | Connection] = Call if order.form == "grpc" else Connection
    began, used = time.perf_counter(), time.process_time()
    window = Window(began + order.seconds, loop.create_future(), order.connections)
    loop.set_exception_handler(lambda _, context: window.fail(RuntimeError(str(context))))
    opened: list[asyncio.BaseTransport] = []
    try:
        for _ in range(order.connections):
            transport: asyncio.BaseTransport
            transport, _ = await loop.create_connection(_made(kind, turns, window), order.host, order.port)
            opened.append(transport)
        await asyncio.wait([window.done], timeout=order.seconds + PATIENCE_SECONDS)
        if not window.done.done():
            raise TimeoutError(f"{window.open} connections had no answer for {PATIENCE_SECONDS:.0f} s")
        window.done.result()
        busy = (time.process_time() - used) / (time.perf_counter() - began)
    finally:
        if not window.done.done():
            window.done.cancel()
        for transport in opened:
            transport.close()
        await asyncio.sleep(0)  # the loop's turn in which they do close
    if order.ids and len(window.latencies) + window.late > len(made):
        raise RuntimeError(f"ids of their own were made for {len(made)} requests, and more were sent")
    p50, p99 = np.quantile(window.latencies, [0.5, 0.99]).tolist() if window.latencies else (0.0, 0.0)
    return Figures(
        answered=len(window.latencies) + window.late,
        rate=len(window.latencies) / order.seconds if order.seconds else 0.0,
        p50_seconds=p50,
        p99_seconds=p99,
        busy=busy,
    )


def prepared(order: Order) -> list[Question]:
    """What connections ask, in turn: one row after the other, as bytes."""
    with np.load(Path(order.folder) / "rows.npz") as rows:
        pairs = list(zip(rows["x"], rows["y"], strict=True))
    if not order.seconds:  # whether a server answers yet is asked often: nothing is made then that is not sent
        pairs = pairs[: order.connections]
    made: list[Question] = []
    for x, y in pairs:
        rest = order.form != "grpc"
        asked = questions.rest(order.path, x, order.form, order.key) if rest else message(questions.rpc(x))
        made.append((asked, questions.Right(y, order.form).check))
    if order.ids:
        made = list(questions.with_ids(made, order.connections + math.ceil(order.seconds * MOST_A_SECOND)))
    return made


def _made(kind: type[Call | Connection], turns: Iterator[Question], window: Window) -> Callable[[], Call | Connection]:
    return lambda: kind(turns, window)


def main() -> None:
    """Serve orders until the input ends."""
    gc.disable()  # between windows only
    for line in sys.stdin:
        order = msgspec.json.decode(line, type=Order)
        try:
            figures = uvloop.run(measure(order))
        except (OSError, TimeoutError, RuntimeError, questions.WrongAnswer) as error:
            figures = Figures(error=f"{type(error).__name__}: {error}"[:600])
        print(msgspec.json.encode(figures).decode(), flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
