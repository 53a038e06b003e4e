"""A server over gRPC in process, with a caller and what its log holds, for the tests of all that it speaks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

from serving.access import Access
from serving.dataplane import Dataplane
from serving.grpc.server import Grpc
from serving.proto import open_inference_grpc_pb2 as proto
from serving.proto.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub
from serving.registry import Registry
from serving.runtimes.fake import FakeRuntime
from staytrue.eventlog import Writer
from staytrue.events import Event, decode
from staytrue.listening import listen, place
from staytrue.readers import Reader
from staytrue.server import ServingSection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.store import Store

    Bytes = grpc.UnaryUnaryMultiCallable[bytes, bytes]

LIMIT = 10_000
PATIENCE_SECONDS = 20.0


class House:
    """A server on a port of its own, a caller, and what the log holds."""

    def __init__(self, store: Store, folder: Path, **settings: Any) -> None:
        self.log = folder / "events"
        self.settings = ServingSection(**{"max_body_bytes": LIMIT, **settings})
        self.writer = Writer(self.log)
        self.registry = Registry(store, [], attach=self._attach)
        self.dataplane = Dataplane(self.registry, self.writer, self.settings, clock=lambda: 1000.0)
        self.registry.refresh()
        self.server = Grpc(self.dataplane, self.settings, Access(self.settings.keys))
        reserved = listen("127.0.0.1", 0, insecure=False)
        self.address = place(reserved)
        self.server.start(reserved)
        self.channel = grpc.insecure_channel(self.address)
        self.stub = GRPCInferenceServiceStub(self.channel)

    @property
    def lane(self) -> Any:
        """The champion's queue."""
        champion = self.registry.model("tiny").champion
        assert champion
        return champion.lane

    def method(self, path: str) -> Bytes:
        """A method by its path, bytes in and out."""
        return self.channel.unary_unary(path)

    def runs_by(self, run: Callable[[Any, Any], Any]) -> FakeRuntime:
        """Have a function run the model instead; it is given the real run and the inputs."""
        real = self.lane._runtime
        fake = self.lane._runtime = FakeRuntime(lambda inputs: run(real.run, inputs))
        return fake

    def events(self) -> list[Event]:
        """Everything logged so far."""
        reader, found = Reader(self.log, "test"), list[Event]()
        for batch in reader.batches():
            found += [entry for entry in map(decode, batch.payloads) if isinstance(entry, Event)]
        return found

    def _attach(self, *loaded: Any) -> Any:
        return self.dataplane.attach(*loaded)

    def close(self) -> None:
        """End it."""
        self.channel.close()
        self.server.stop(PATIENCE_SECONDS)
        self.dataplane.close()
        self.registry.close()
        self.writer.close()


def request(rows: int = 1, *, raw: bool = False, **more: Any) -> proto.ModelInferRequest:
    """A good request."""
    made = proto.ModelInferRequest(**{"model_name": "tiny", **more})
    numbers = np.arange(rows, dtype=np.float32)
    for name, datatype in (("number", "FP32"), ("kind", "BYTES"), ("count", "INT64")):
        made.inputs.add(name=name, datatype=datatype, shape=[rows, 1])
    if raw:
        counts = np.full(rows, 10, np.int64).tobytes()
        made.raw_input_contents.extend([numbers.tobytes(), b"\1\0\0\0a" * rows, counts])
    else:
        made.inputs[0].contents.fp32_contents.extend(numbers.tolist())
        made.inputs[1].contents.bytes_contents.extend([b"a"] * rows)
        made.inputs[2].contents.int64_contents.extend([10] * rows)
    return made


def refused(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str, dict[str, Any]]:
    """How a call fails: status, details, trailing metadata."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    return error.code(), error.details(), dict(error.trailing_metadata() or ())


def until(true: Callable[[], bool]) -> None:
    """Wait for something that is bound to happen."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def fails(call: Callable[[], Any]) -> bool:
    """Whether a call is not answered."""
    try:
        call()
    except grpc.RpcError:
        return True
    return False
