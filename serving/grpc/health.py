"""gRPC's own health checking: of the server, of the inference service, and of each model by its name.

Source: GRPC Health Checking Protocol, grpc.health.v1.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2

from staytrue.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from serving.dataplane import Dataplane

    Context = grpc.aio.ServicerContext[Any, Any]

SERVICE: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
WATCH_SECONDS = 0.2


class Health:
    """Asks the dataplane at each call: what is told is never older than the question."""

    def __init__(self, dataplane: Dataplane, inference: str) -> None:
        self._dataplane, self._inference = dataplane, inference

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """The service's methods by name."""
        coded = {
            "request_deserializer": health_pb2.HealthCheckRequest.FromString,
            "response_serializer": health_pb2.HealthCheckResponse.SerializeToString,
        }
        return {
            "Check": grpc.unary_unary_rpc_method_handler(self.check, **coded),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch, **coded),
        }

    def status(self, name: str) -> Any:
        """Whether the server (""), the inference service or a model serves; SERVICE_UNKNOWN for anything else."""
        answer = health_pb2.HealthCheckResponse
        if name in ("", self._inference):
            return answer.SERVING if self._dataplane.ready() else answer.NOT_SERVING
        try:
            ready = self._dataplane.describe(name, None).ready
        except NotFound:
            return answer.SERVICE_UNKNOWN
        except Unavailable:
            return answer.NOT_SERVING
        return answer.SERVING if ready else answer.NOT_SERVING

    async def check(self, request: Any, context: Context) -> Any:
        """The status now."""
        status = self.status(request.service)
        if status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN:
            missing = NotFound(f'service "{request.service[:100]}"', "is not served here")
            await context.abort(grpc.StatusCode.NOT_FOUND, str(missing))
        return health_pb2.HealthCheckResponse(status=status)

    async def watch(self, request: Any, _: Context) -> AsyncIterator[Any]:
        """The status now and at each change; ends with the server: a watcher must not hold up its drain."""
        told = None
        while True:
            draining, status = self._dataplane.draining, self.status(request.service)
            if status != told:
                told = status
                yield health_pb2.HealthCheckResponse(status=status)
            if draining:
                return
            await asyncio.sleep(WATCH_SECONDS)
