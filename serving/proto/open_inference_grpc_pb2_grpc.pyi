from typing import Callable, Generic, Iterator, Protocol, Sequence, TypeVar

import grpc

from serving.proto import open_inference_grpc_pb2

_Request = TypeVar("_Request", contravariant=True)
_Response = TypeVar("_Response", covariant=True)

class _Call(Protocol, Generic[_Request, _Response]):
    def __call__(
        self,
        request: _Request,
        timeout: float | None = None,
        metadata: Sequence[tuple[str, str | bytes]] | None = None,
        *,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> _Response: ...

class GRPCInferenceServiceStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    ServerLive: _Call[open_inference_grpc_pb2.ServerLiveRequest, open_inference_grpc_pb2.ServerLiveResponse]
    ServerReady: _Call[open_inference_grpc_pb2.ServerReadyRequest, open_inference_grpc_pb2.ServerReadyResponse]
    ModelReady: _Call[open_inference_grpc_pb2.ModelReadyRequest, open_inference_grpc_pb2.ModelReadyResponse]
    ServerMetadata: _Call[open_inference_grpc_pb2.ServerMetadataRequest, open_inference_grpc_pb2.ServerMetadataResponse]
    ModelMetadata: _Call[open_inference_grpc_pb2.ModelMetadataRequest, open_inference_grpc_pb2.ModelMetadataResponse]
    ModelInfer: _Call[open_inference_grpc_pb2.ModelInferRequest, open_inference_grpc_pb2.ModelInferResponse]
    ModelStatistics: _Call[open_inference_grpc_pb2.ModelStatisticsRequest, open_inference_grpc_pb2.ModelStatisticsResponse]
    RepositoryIndex: _Call[open_inference_grpc_pb2.RepositoryIndexRequest, open_inference_grpc_pb2.RepositoryIndexResponse]
    RepositoryModelLoad: _Call[open_inference_grpc_pb2.RepositoryModelLoadRequest, open_inference_grpc_pb2.RepositoryModelLoadResponse]
    RepositoryModelUnload: _Call[open_inference_grpc_pb2.RepositoryModelUnloadRequest, open_inference_grpc_pb2.RepositoryModelUnloadResponse]
    ModelStreamInfer: Callable[[Iterator[open_inference_grpc_pb2.ModelInferRequest]], Iterator[open_inference_grpc_pb2.ModelStreamInferResponse]]
