"""The least that answers over HTTP from Python at all: right answers from memory, heads unread, no model run twice.

What it costs is what a machine asks for receiving, waking and sending on uvloop. No server of this kind can cost less.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, cast

import numpy as np
import orjson
import uvloop

from benchmarks.peers.session import session

if TYPE_CHECKING:
    from collections.abc import Callable


class Floor(asyncio.Protocol):
    """One connection; each request is believed to come in one piece.

    Args:
        answers: those known, by the body that asks for them.
        ask: makes one that is not known yet.
    """

    def __init__(self, answers: dict[bytes, bytes], ask: Callable[[bytes], bytes]) -> None:
        self._answers, self._ask = answers, ask
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where answers go."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer."""
        body = data[data.find(b"\r\n\r\n") + 4 :]
        answer = self._answers.get(body)
        if answer is None:
            answer = self._answers[body] = self._ask(body)
        assert self._transport is not None
        self._transport.write(answer)


async def serve(path: str, port: int) -> None:
    """Until the process is ended."""
    model, answers = session(path), dict[bytes, bytes]()

    def ask(body: bytes) -> bytes:
        tensor = orjson.loads(body)["inputs"][0]
        (y,) = model.run(None, {tensor["name"]: np.array(tensor["data"], np.float32).reshape(tensor["shape"])})
        output = {"name": "y", "datatype": "FP32", "shape": y.shape, "data": y.ravel().tolist()}
        answer = orjson.dumps({"model_name": "bench", "outputs": [output]})
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Floor(answers, ask), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
