"""gRPC's own health checking: of the server, of the inference service, and of each model by its name.

Source: GRPC Health Checking Protocol, grpc.health.v1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2

from serving.grpc import codec
from serving.grpc.guard import guarded
from serving.grpc.watchers import Watcher, Watchers
from staytrue.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving.dataplane import Dataplane
    from serving.grpc.guard import Context, Guard

SERVICE: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
WATCH_SECONDS = 0.2
MOST_WATCHERS = 32


class Health:
    """Asks the dataplane at each call: what is told is never older than the question. Open to everybody.

    Args:
        dataplane: that is asked.
        services: names that stand for the whole server.
        guard: says how calls are refused.
    """

    def __init__(self, dataplane: Dataplane, services: tuple[str, ...], guard: Guard) -> None:
        self._dataplane, self._services, self._guard = dataplane, services, guard
        self._watchers = Watchers(MOST_WATCHERS)

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """The service's methods by name."""
        written = health_pb2.HealthCheckResponse.SerializeToString
        return {
            "Check": self._guard.method(health_pb2.HealthCheckRequest, self.check, None),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch, response_serializer=written),
        }

    def status(self, name: str) -> Any:
        """Whether the server (""), a service or a model serves; SERVICE_UNKNOWN for anything else."""
        answer = health_pb2.HealthCheckResponse
        if name == "" or name in self._services:
            return answer.SERVING if self._dataplane.ready() else answer.NOT_SERVING
        try:
            ready = self._dataplane.describe(name, None).ready
        except NotFound:
            return answer.SERVICE_UNKNOWN
        except Unavailable:
            return answer.NOT_SERVING
        return answer.SERVING if ready else answer.NOT_SERVING

    def check(self, request: Any) -> Any:
        """The status now.

        Raises:
            NotFound: of nothing that is here.
        """
        status = self.status(request.service)
        if status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN:
            raise NotFound(f'service "{request.service[:100]}"', "is not served here")
        return health_pb2.HealthCheckResponse(status=status)

    def watch(self, data: bytes, context: Context) -> Iterator[Any]:
        """The status now and at each change; ends with the server: a watcher must not hold up its drain."""
        return guarded(lambda: self._changes(data, context), context)

    def _changes(self, data: bytes, context: Context) -> Iterator[Any]:
        service, told = codec.message(health_pb2.HealthCheckRequest, data).service, None
        known = self._guard.knows(context)
        with Watcher(self._watchers, known=known) as watcher:
            while context.is_active():
                draining, status = self._dataplane.draining, self.status(service)
                if status != told:
                    told = status
                    yield health_pb2.HealthCheckResponse(status=status)
                if draining:
                    return
                watcher.wait(WATCH_SECONDS)
