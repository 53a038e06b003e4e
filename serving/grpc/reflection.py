"""Reflection: callers such as grpcurl learn services and messages from the server itself.

Source: GRPC Server Reflection Protocol, grpc.reflection.v1alpha.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import descriptor_pool
from grpc_reflection.v1alpha import reflection, reflection_pb2

from serving.proto import open_inference_grpc_pb2 as proto

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.descriptor import FileDescriptor


class Pool:
    """Two pools as one: the protocol's messages stand in one of their own (see ``serving/proto``)."""

    def __init__(self) -> None:
        self._pools = (proto.DESCRIPTOR.pool, descriptor_pool.Default())

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 - protobuf's name
        """The file of a message, a service or, which protobuf's own pool does not find, of a service's method."""
        find = self.__getattr__("FindFileContainingSymbol")
        try:
            return find(symbol)  # type: ignore[no-any-return]
        except KeyError:
            return find(symbol.rpartition(".")[0])  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """A lookup that asks one pool after the other; the last one's KeyError counts."""

        def find(*what: Any) -> Any:
            for pool in self._pools[:-1]:
                try:
                    return getattr(pool, name)(*what)
                except KeyError:
                    continue
            return getattr(self._pools[-1], name)(*what)

        return find


def handler(services: Sequence[str]) -> grpc.GenericRpcHandler:
    """The reflection service, which tells of these services and of itself."""
    names = [*services, reflection.SERVICE_NAME]
    servicer = reflection.aio.ReflectionServicer(names, pool=Pool())
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(reflection.SERVICE_NAME, {"ServerReflectionInfo": method})
