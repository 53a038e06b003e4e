"""Methods of the Open Inference Protocol over gRPC, gRPC's own health checking, and reflection.

Source: Open Inference Protocol, gRPC specification (kserve/open-inference-protocol); gRPC Health Checking Protocol.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from serving.dataplane import Request
from serving.grpc import codec, errors, health, reflection
from serving.proto import open_inference_grpc_pb2 as proto
from staytrue import __version__
from staytrue.errors import InternalError, InvalidConfig, StaytrueError, TooLarge, Unavailable
from staytrue.listening import place

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from google.protobuf.message import Message

    from serving.dataplane import Dataplane
    from staytrue.sections import ServingSection

    Context = grpc.aio.ServicerContext[Any, Any]
    Call = Callable[[Any, Context], Awaitable[bytes]]
    Refusal = tuple[grpc.StatusCode, str, tuple[tuple[str, str], ...]]

log = logging.getLogger(__name__)
PROTOCOL = "grpc"
SERVICE = proto.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
HELD_SECONDS = 0.05
LARGEST_OPTION = 2**31 - 1
"""gRPC's options are C integers."""


class Grpc:
    """Translates gRPC to the dataplane and back."""

    def __init__(self, dataplane: Dataplane, settings: ServingSection) -> None:
        self._dataplane, self._settings = dataplane, settings
        self._health = health.Health(dataplane, SERVICE)
        self._server: grpc.aio.Server | None = None
        self._answering = asyncio.Event()
        self._answering.set()

    async def start(self, reserved: socket.socket) -> None:
        """Listen where a bound socket keeps the place, and let go of that.

        Raises:
            InvalidConfig: somebody else took it after all.
        """
        # As much again as the limit is received, so that our own words refuse it; beyond that gRPC's do.
        largest = min(2 * self._settings.max_body_bytes, LARGEST_OPTION)
        options = [("grpc.max_receive_message_length", largest), ("grpc.so_reuseport", 0)]
        self._server = grpc.aio.server(options=options)
        services = {SERVICE: self.handlers(), health.SERVICE: self._health.handlers()}
        named = [grpc.method_handlers_generic_handler(name, methods) for name, methods in services.items()]
        self._server.add_generic_rpc_handlers([*named, reflection.handler([*services])])
        try:
            self._server.add_insecure_port(place(reserved))
        except RuntimeError as error:
            hint = "choose another with --grpc-port, or 0 for any free one"
            raise InvalidConfig(place(reserved), "cannot be listened on", hint=hint) from error
        await self._server.start()
        print(f"staytrue serve: grpc listening on {place(reserved)}", flush=True)  # noqa: T201 - callers wait for it
        reserved.close()

    async def stop(self) -> None:
        """Take no new calls, let those in flight end, for so long as a drain may last.

        gRPC breaks off a call that it has received and not yet handed over. So answers are held back for a moment, in
        which callers have nothing to send that wait for one; they learn that this server goes before they get it.
        """
        if self._server is None:
            return
        self._answering.clear()
        await asyncio.sleep(HELD_SECONDS)
        ending = asyncio.create_task(self._server.stop(self._settings.drain_seconds))
        await asyncio.sleep(0)  # it has begun, and said so to all callers
        self._answering.set()
        await ending

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """The service's methods by name; bytes go in and out, so that no message is read before its size is known."""
        plain: dict[str, tuple[type[Message], Callable[[Any], Awaitable[Message]]]] = {
            "ServerLive": (proto.ServerLiveRequest, self.live),
            "ServerReady": (proto.ServerReadyRequest, self.ready),
            "ServerMetadata": (proto.ServerMetadataRequest, self.server),
            "ModelReady": (proto.ModelReadyRequest, self.model_ready),
            "ModelMetadata": (proto.ModelMetadataRequest, self.model),
        }
        made: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            name: grpc.unary_unary_rpc_method_handler(self._guarded(_translated(*what))) for name, what in plain.items()
        }
        # As a stream of one message, which looks the same on the wire: so also one that gRPC refuses leaves an event.
        return {**made, "ModelInfer": grpc.stream_unary_rpc_method_handler(self._guarded(self.infer))}

    async def live(self, _: proto.ServerLiveRequest) -> proto.ServerLiveResponse:
        """The loop runs."""
        return proto.ServerLiveResponse(live=True)

    async def ready(self, _: proto.ServerReadyRequest) -> proto.ServerReadyResponse:
        """Each model has answered a real inference in this process, and the server is not shutting down."""
        return proto.ServerReadyResponse(ready=self._dataplane.ready())

    async def server(self, _: proto.ServerMetadataRequest) -> proto.ServerMetadataResponse:
        """Server metadata."""
        return proto.ServerMetadataResponse(name="staytrue", version=__version__)

    async def model_ready(self, request: proto.ModelReadyRequest) -> proto.ModelReadyResponse:
        """Whether a model, or a version of it, answers."""
        try:
            model = await asyncio.to_thread(self._dataplane.describe, request.name, request.version or None)
        except Unavailable:  # it is known, but no version of it has loaded
            return proto.ModelReadyResponse(ready=False)
        return proto.ModelReadyResponse(ready=model.ready)

    async def model(self, request: proto.ModelMetadataRequest) -> proto.ModelMetadataResponse:
        """Model metadata."""
        model = await asyncio.to_thread(self._dataplane.describe, request.name, request.version or None)
        return codec.metadata(model)

    async def infer(self, _: object, context: Context) -> bytes:
        """Inference."""
        try:
            data = await self._limited(context)
        except StaytrueError as error:
            self._dataplane.refuse(PROTOCOL, "", error)
            raise
        trace = str(dict(context.invocation_metadata() or ()).get("traceparent", ""))[:55]
        # Unpacked by the thread that runs it: a message may hold a thousand times its length in objects.
        return (await self._dataplane.take(PROTOCOL, "", lambda: _request(data, trace))).body

    def _guarded(self, call: Call) -> Call:
        """A domain error by the table; for a fault of ours an id, its text only in the log."""

        async def handle(request: Any, context: Context) -> bytes:
            answer, refusal = b"", None
            try:
                answer = await call(request, context)
            except StaytrueError as error:
                refusal = _refusal(error)
            except Exception as error:
                name = uuid.uuid4().hex
                log.error("request %s failed", name, exc_info=error)  # noqa: TRY400 - with the id
                refusal = _refusal(InternalError("server", f"failed; request {name} in its log tells why"))
            await self._answering.wait()
            if refusal is not None:
                await context.abort(*refusal)
            return answer

        return handle

    async def _limited(self, context: Context) -> bytes:
        """The message's bytes.

        Raises:
            TooLarge: it is longer than the limit, or so long that gRPC did not keep it.
        """
        data = await context.read()
        limit = self._settings.max_body_bytes
        got = f"{len(data)}" if isinstance(data, bytes) else "none, or one that is longer still"
        if not isinstance(data, bytes) or len(data) > limit:
            hint = "send fewer rows, or raise serving.max_body_bytes"
            raise TooLarge("message", expected=f"at most {limit} bytes", got=got, hint=hint)
        return data


def _refusal(error: StaytrueError) -> Refusal:
    """What is told of an error. The error itself, kept, would keep the whole request with it: its traceback does."""
    return errors.STATUS[error.code], errors.details(error), errors.trailing(error)


def _request(data: bytes, trace_id: str) -> Request:
    """A message's bytes as a request.

    Raises:
        InvalidInput: they are no message.
    """
    message = codec.message(proto.ModelInferRequest, data)
    return Request(
        model=message.model_name,
        version=message.model_version or None,
        protocol=PROTOCOL,
        read=lambda _: codec.parse(message),
        write=lambda answer: codec.write(answer, raw=bool(message.raw_input_contents)),
        trace_id=trace_id,
    )


def _translated(kind: type[Message], call: Callable[[Any], Awaitable[Message]]) -> Call:
    """A method that takes and gives messages."""

    async def translate(data: bytes, _: Context) -> bytes:
        return (await call(codec.message(kind, data))).SerializeToString()

    return translate
