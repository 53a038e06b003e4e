"""Callers of both protocols that ask when they are told to, not when they have their answer, and what each was told."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple, cast

import grpc
import grpc.aio
import numpy as np

from serving.proto.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub
from tests.http_wire import Told, answers

if TYPE_CHECKING:
    from examples.bikeshare.demo.processes import Service
    from serving.proto import open_inference_grpc_pb2 as proto
    from tests.load.pictures import Array

OK, FULL, LATE = "ok", "full", "late"
"""Answered; refused for the time being, with a word on when to come again; past the caller's own deadline."""
PATIENCE_SECONDS = 60.0
"""Whoever has no answer by then has met a server that hangs."""

EARLY_SECONDS = 0.05
"""Two clocks are compared."""


class Outcome(NamedTuple):
    """What came of a request: one of the three above, or in words what must not be."""

    said: str
    event: str = ""
    version: str = ""
    values: Array | None = None


class Wire(asyncio.Protocol):
    """A kept connection over HTTP/1.1."""

    def __init__(self) -> None:
        self._seen = bytearray()
        self._answer: asyncio.Future[Told] | None = None
        self._transport: asyncio.Transport | None = None
        self.open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There it is."""
        self._transport = cast("asyncio.Transport", transport)

    async def ask(self, request: bytes) -> Told:
        """Send a request; its answer.

        Raises:
            ConnectionError: there was none before the end.
        """
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._answer

    def data_received(self, data: bytes) -> None:
        """An answer, or a part of one."""
        self._seen += data
        head = self._seen.find(b"\r\n\r\n")
        if head < 0:
            return
        lines = bytes(self._seen[:head]).lower()
        length = int(lines.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
        if len(self._seen) < head + 4 + length:
            return
        (told,) = answers(bytes(self._seen))
        self._seen.clear()
        self.open = self.open and not told.closes
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(told)

    def connection_lost(self, exc: Exception | None) -> None:
        """The server is gone."""
        self.open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(f"closed without an answer: {exc!r}"))

    def close(self) -> None:
        """Let go of it."""
        if self._transport is not None:
            self._transport.close()


class Rest:
    """Asks over HTTP, over as many kept connections as there are requests at once."""

    def __init__(self, server: Service) -> None:
        host, _, port = server.address.removeprefix("http://").partition(":")
        self._place = host, int(port)
        self._free: list[Wire] = []

    async def ask(self, request: bytes, outputs: int, seconds: float = PATIENCE_SECONDS) -> Outcome:
        """One request, which is given that long by its head; ``outputs`` values a row."""
        began = time.monotonic()
        try:
            wire = await self._wire()
            told = await wire.ask(request)
        except (OSError, TimeoutError) as error:
            return Outcome(f"rest: {error!r}")
        if wire.open:
            self._free.append(wire)
        else:
            wire.close()
        return _of_rest(told, outputs, late=time.monotonic() - began >= seconds - EARLY_SECONDS)

    async def status(self, path: str) -> int:
        """The status of a GET over a connection of its own.

        Raises:
            OSError: nobody listens, or hangs up without an answer.
        """
        _, wire = await asyncio.get_running_loop().create_connection(Wire, *self._place)
        try:
            return (await wire.ask(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())).status
        finally:
            wire.close()

    async def close(self) -> None:
        """Hang up."""
        for wire in self._free:
            wire.close()
        await asyncio.sleep(0)

    async def _wire(self) -> Wire:
        while self._free:
            wire = self._free.pop()
            if wire.open:
                return wire
        _, wire = await asyncio.get_running_loop().create_connection(Wire, *self._place)
        return wire


class Grpc:
    """Asks over gRPC, over one connection."""

    def __init__(self, server: Service) -> None:
        self._channel = grpc.aio.insecure_channel(server.grpc, options=[("grpc.use_local_subchannel_pool", 1)])
        self._stub = GRPCInferenceServiceStub(self._channel)  # type: ignore[arg-type]

    async def ask(self, request: proto.ModelInferRequest, outputs: int, seconds: float = PATIENCE_SECONDS) -> Outcome:
        """One request with a deadline."""
        began = time.monotonic()
        try:
            told = await self._stub.ModelInfer(request, timeout=seconds)  # type: ignore[misc]
        except grpc.aio.AioRpcError as error:
            return _of_error(error, late=time.monotonic() - began >= seconds - EARLY_SECONDS)
        values = np.frombuffer(told.raw_output_contents[0], np.float32).reshape(-1, outputs)
        return Outcome(OK, told.parameters["event_id"].string_param, told.model_version, values)

    async def close(self) -> None:
        """Hang up."""
        await self._channel.close()


def _of_rest(told: Told, outputs: int, *, late: bool) -> Outcome:
    if told.status == 200:
        values = np.frombuffer(told.body[int(told.headers["inference-header-content-length"]) :], np.float32)
        version = told.body.partition(b'"model_version":"')[2].partition(b'"')[0].decode()
        return Outcome(OK, told.headers["x-event-id"], version, values.reshape(-1, outputs))
    if told.status == 429 and int(told.headers.get("retry-after", "0")) >= 1:
        return Outcome(FULL)
    if told.status == 504 and late:
        return Outcome(LATE)
    return Outcome(f"rest: {told.status} {told.headers} {told.body[:300]!r}")


def _of_error(error: grpc.aio.AioRpcError, *, late: bool) -> Outcome:
    trailing = {str(key): value for key, value in error.trailing_metadata() or ()}
    code = error.code()
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED and int(trailing.get("grpc-retry-pushback-ms", "0")) >= 1:
        return Outcome(FULL)
    if code == grpc.StatusCode.DEADLINE_EXCEEDED and late:
        return Outcome(LATE)
    return Outcome(f"grpc: {code} {error.details()}")
