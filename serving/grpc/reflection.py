"""Reflection: callers such as grpcurl learn services and messages from the server itself.

Source: GRPC Server Reflection Protocol, grpc.reflection.v1alpha.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from serving.grpc.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import grpc

    from serving.grpc.descriptions import Descriptions
    from serving.grpc.guard import Guard


SERVICE = "grpc.reflection.v1alpha.ServerReflection"
MOST_STREAMS, IDLE_SECONDS = 8, 60.0


class Reflection:
    """The reflection service, which tells of these services and of itself. Where there are keys it needs one, any.

    Args:
        services: by name.
        guard: who may ask.
    """

    def __init__(self, services: Sequence[str], guard: Guard) -> None:
        self._services, self._guard = [*services, SERVICE], guard
        self.streams = Streams("ServerReflectionInfo", MOST_STREAMS, IDLE_SECONDS)

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """The service's methods by name."""
        return {
            "ServerReflectionInfo": self.streams.handler(
                self.answer, admit=lambda context: self._guard.check(context, None)
            )
        }

    def answer(self, data: bytes, context: Any) -> Iterator[bytes]:
        """The answer to one question.

        Raises:
            InvalidInput: the bytes are none.
        """
        yield from self._descriptions.answer(data, context)

    @cached_property
    def _descriptions(self) -> Descriptions:
        from serving.grpc.descriptions import Descriptions  # noqa: PLC0415 - see there

        return Descriptions(self._services)
