"""The descriptions that reflection tells: of the protocols' messages and services, and how they are looked up.

It is imported when somebody first asks: it takes memory, and most servers are never asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pool
from grpc_reflection.v1alpha import reflection, reflection_pb2

from serving.grpc import codec
from serving.proto import open_inference_grpc_pb2, tensorflow_serving_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from google.protobuf.descriptor import FileDescriptor


class Pool:
    """Several pools as one: the protocols' messages stand each in one of their own (see ``serving/proto``)."""

    def __init__(self) -> None:
        self._pools = (
            open_inference_grpc_pb2.DESCRIPTOR.pool,
            tensorflow_serving_pb2.DESCRIPTOR.pool,
            descriptor_pool.Default(),
        )

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


class Descriptions:
    """What is told of these services.

    Args:
        services: by name.
    """

    def __init__(self, services: Sequence[str]) -> None:
        self._servicer = reflection.ReflectionServicer(services, pool=Pool())

    def answer(self, data: bytes, context: Any) -> Iterator[bytes]:
        """The answer to one question.

        Raises:
            InvalidInput: the bytes are none.
        """
        asked = codec.message(reflection_pb2.ServerReflectionRequest, data)
        for told in self._servicer.ServerReflectionInfo(iter([asked]), context):
            yield told.SerializeToString()
