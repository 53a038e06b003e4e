"""The repository and statistics extensions over gRPC: what there is, loading, unloading, and what was done.

Source: Triton Inference Server, protocol extensions "model repository" and "statistics" (docs/protocol).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving.grpc import codec
from serving.grpc.guard import Bounded, headers_of
from serving.proto import open_inference_grpc_pb2 as proto
from staytrue.errors import Unsupported
from staytrue.listening import REACHES_ONE

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc
    from google.protobuf.message import Message

    from serving.dataplane import Dataplane
    from serving.grpc.guard import Context, Guard

_WITHOUT_MEANING = ("unload_dependents",)
"""Parameters that Triton's clients always send."""


class Repository:
    """Methods of the two extensions.

    Args:
        dataplane: that has the registry.
        guard: who may ask.
        keys: whether callers need keys; without, nobody may load or unload here.
        workers: processes that share the port; of several a call would reach one alone.
    """

    def __init__(self, dataplane: Dataplane, guard: Guard, *, keys: bool, workers: int) -> None:
        self._dataplane, self._guard, self._keys, self._workers = dataplane, guard, keys, workers
        self._changing = Bounded("repository", 1)

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """By name."""
        return {
            "RepositoryIndex": self._guard.method(proto.RepositoryIndexRequest, self.index, "predict"),
            "RepositoryModelLoad": self._changes("RepositoryModelLoad", proto.RepositoryModelLoadRequest, self.load),
            "RepositoryModelUnload": self._changes(
                "RepositoryModelUnload", proto.RepositoryModelUnloadRequest, self.unload
            ),
            "ModelStatistics": self._guard.unary(self._statistics),
        }

    def index(self, request: proto.RepositoryIndexRequest) -> proto.RepositoryIndexResponse:
        """Every version of the models served here, or those that answer."""
        _only(request.repository_name)
        told = proto.RepositoryIndexResponse()
        for one in self._dataplane.registry.index():
            if one.state == "READY" or not request.ready:
                told.models.add(name=one.name, version=one.version, state=one.state, reason=one.reason)
        return told

    def load(self, request: proto.RepositoryModelLoadRequest) -> proto.RepositoryModelLoadResponse:
        """Load what a model's aliases name, anew where it is in memory.

        Raises:
            StaytrueError: why it does not load; what answered before goes on.
        """
        self._plain(request)
        self._dataplane.registry.load(request.model_name)
        return proto.RepositoryModelLoadResponse()

    def unload(self, request: proto.RepositoryModelUnloadRequest) -> proto.RepositoryModelUnloadResponse:
        """Free a model once its calls have ended.

        Raises:
            NotFound: no such model.
        """
        self._plain(request)
        self._dataplane.registry.unload(request.model_name)
        return proto.RepositoryModelUnloadResponse()

    def statistics(self, request: proto.ModelStatisticsRequest) -> proto.ModelStatisticsResponse:
        """What all versions have done, or those that are named.

        Raises:
            NotFound: no such model.
        """
        if request.name:
            self._dataplane.registry.model(request.name)
        told = self._dataplane.statistics.told(request.name or None, request.version or None)
        return proto.ModelStatisticsResponse(model_stats=[proto.ModelStatistics(**one) for one in told])

    def _statistics(self, data: bytes, context: Context) -> bytes:
        """All that is done here is for who may see metrics, a model's figures for who may ask it."""
        headers = headers_of(context)
        if not data:
            self._guard.admit(headers, "metrics", context)
        else:
            request = codec.message(proto.ModelStatisticsRequest, data)
            self._guard.admit(headers, "predict" if request.name else "metrics", context)
        return self.statistics(codec.message(proto.ModelStatisticsRequest, data)).SerializeToString()

    def _changes(
        self, name: str, kind: type[Message], call: Callable[[Any], Message]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """A method that changes what is in memory, one at a time: each holds a thread while it waits for the disk."""
        if self._workers > 1:
            return self._guard.unary(lambda _, __: _reaches_one(name))
        if not self._keys:
            return self._guard.unary(lambda _, __: _refuse(name))

        def alone(request: Any) -> Message:
            with self._changing:
                return call(request)

        return self._guard.method(kind, alone, "admin")

    @staticmethod
    def _plain(request: proto.RepositoryModelLoadRequest | proto.RepositoryModelUnloadRequest) -> None:
        """Refuse what would bring a model, or settings of one, along.

        Raises:
            Unsupported: a parameter that means something.
        """
        _only(request.repository_name)
        if strange := sorted(set(request.parameters) - set(_WITHOUT_MEANING)):
            hint = "publish a version into the store, then load it"
            raise Unsupported(f'parameter "{strange[0][:100]}"', "is not known here", hint=hint)


def _only(name: str) -> None:
    if name:
        raise Unsupported(
            f'repository "{name[:100]}"', "there is one, without a name", hint="leave repository_name out"
        )


def _refuse(name: str) -> bytes:
    raise Unsupported(name, "needs a key with scope admin, or the admin port", hint="set serving.keys, or admin_port")


def _reaches_one(name: str) -> bytes:
    raise Unsupported(name, REACHES_ONE, hint="promote a version: all workers follow the aliases")
