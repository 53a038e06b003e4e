"""The service ``inference.GRPCInferenceService``: its methods, each beside the scope that it needs.

Source: Open Inference Protocol, gRPC specification (kserve/open-inference-protocol); Triton's extension for streams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving.description import EXTENSIONS
from serving.grpc import codec
from serving.grpc.guard import headers_of, refusal_of
from serving.grpc.inference import query_of
from serving.grpc.repository import Repository
from serving.grpc.streams import Streams
from serving.proto import open_inference_grpc_pb2 as proto
from staytrue import __version__
from staytrue.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import grpc

    from serving.dataplane import Dataplane
    from serving.grpc.guard import Context, Guard
    from serving.grpc.inference import Inference
    from staytrue.server import ServingSection

SERVICE = proto.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
MOST_STREAMS = 32
OPEN = ("ServerLive", "ServerReady", "ServerMetadata")
"""Methods that need no key."""


class Methods:
    """The service.

    Args:
        dataplane: that answers.
        inference: asks it.
        guard: who may ask.
        settings: of serving.
    """

    def __init__(self, dataplane: Dataplane, inference: Inference, guard: Guard, settings: ServingSection) -> None:
        self._dataplane, self._inference, self._guard = dataplane, inference, guard
        self._repository = Repository(dataplane, guard, keys=settings.keys is not None, workers=settings.workers)
        self.streams = Streams("ModelStreamInfer", MOST_STREAMS)

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """The methods by name."""
        method = self._guard.method
        return {
            "ServerLive": method(proto.ServerLiveRequest, self.live, None),
            "ServerReady": method(proto.ServerReadyRequest, self.ready, None),
            "ServerMetadata": method(proto.ServerMetadataRequest, self.server, None),
            "ModelReady": method(proto.ModelReadyRequest, self.model_ready, "predict"),
            "ModelMetadata": method(proto.ModelMetadataRequest, self.model, "predict"),
            "ModelInfer": self._guard.unary(self._inference.infer),
            "ModelStreamInfer": self.streams.handler(
                self.stream, admit=lambda context: self._guard.check(context, "predict")
            ),
            **self._repository.handlers(),
        }

    def live(self, _: proto.ServerLiveRequest) -> proto.ServerLiveResponse:
        """The process answers."""
        return proto.ServerLiveResponse(live=True)

    def ready(self, _: proto.ServerReadyRequest) -> proto.ServerReadyResponse:
        """Each model has answered a real inference in this process, and the server is not shutting down."""
        return proto.ServerReadyResponse(ready=self._dataplane.ready())

    def server(self, _: proto.ServerMetadataRequest) -> proto.ServerMetadataResponse:
        """Server metadata."""
        return proto.ServerMetadataResponse(name="staytrue", version=__version__, extensions=EXTENSIONS)

    def model_ready(self, request: proto.ModelReadyRequest) -> proto.ModelReadyResponse:
        """Whether a model, or a version of it, answers."""
        try:
            model = self._dataplane.describe(request.name, request.version or None)
        except Unavailable:  # it is known, but no version of it has loaded
            return proto.ModelReadyResponse(ready=False)
        return proto.ModelReadyResponse(ready=model.ready)

    def model(self, request: proto.ModelMetadataRequest) -> proto.ModelMetadataResponse:
        """Model metadata."""
        return codec.metadata(self._dataplane.describe(request.name, request.version or None))

    def stream(self, data: bytes, context: Context) -> Iterator[bytes]:
        """The answer to one request of a stream; an error is told in its place, and the stream goes on."""
        told = proto.ModelStreamInferResponse()
        try:
            headers = headers_of(context)
            self._guard.admit(headers, "predict", context)
            answer = self._inference.ask(data, headers, context, _open_streamed(told)).body
            told.infer_response.ParseFromString(answer)
        except Exception as error:  # noqa: BLE001 - told by refusal_of
            told.error_message = refusal_of(error).details
        yield told.SerializeToString()


def _open_streamed(told: proto.ModelStreamInferResponse) -> Any:
    """Opens a request, and notes its id for an error: in a stream callers find by it what was refused."""

    def opened(data: bytes) -> Any:
        message = codec.message(proto.ModelInferRequest, data)
        told.infer_response.id = message.id
        return query_of(message)

    return opened
