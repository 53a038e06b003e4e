"""The server over gRPC: where it listens, what it serves there, and how it ends."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import grpc

from serving.grpc import health, methods, reflection, tfserving, tls
from serving.grpc.guard import Guard
from serving.grpc.inference import Inference
from serving.grpc.methods import SERVICE
from serving.grpc.shortcut import Methods, Threads
from serving.inflight import Inflight
from serving.tls import Certificate
from staytrue.errors import InvalidConfig
from staytrue.listening import place

if TYPE_CHECKING:
    import socket

    from serving.access import Access
    from serving.dataplane import Dataplane
    from staytrue.server import ServingSection

__all__ = ["SERVICE", "Grpc"]

QUIET_LOOKS, LOOK_SECONDS, HELD_SECONDS = 12, 0.01, 1.0
"""Answers are held back until no call has come for so many looks, and no longer; a busy machine looks more rarely. Nor
is one held back for more than half the time that its caller has left."""
CANCEL_SECONDS = 5.0
"""For gRPC to break off what has not ended in time."""
SPARE_THREADS = 8
"""For calls that are answered at once: health, metadata, and refusals of what is too much."""
STREAMS = 1024
"""Calls on one connection, at least."""
_PINGS = (
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
)
"""A caller whose machine is gone is found out, and one that asks so about us, every ten seconds at most, may."""
LARGEST_OPTION = 2**31 - 1
"""gRPC's options are C integers."""


class Grpc:
    """Translates gRPC to the dataplane and back.

    Args:
        dataplane: that answers.
        settings: of serving.
        access: who may ask.
        inflight: what this port and others may hold together; without it this one has a bound of its own.
        certificate: that all ports show; without it this one reads the files by itself.
    """

    def __init__(
        self,
        dataplane: Dataplane,
        settings: ServingSection,
        access: Access,
        inflight: Inflight | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        self._settings, self._certificate = settings, certificate
        inflight = inflight or Inflight(settings.max_inflight_bytes)
        self._guard = Guard(access)
        inference = self._inference = Inference(dataplane, settings, self._guard, inflight)
        self._methods = methods.Methods(dataplane, inference, self._guard, settings)
        self._services: dict[str, dict[str, grpc.RpcMethodHandler[Any, Any]]] = {
            SERVICE: self._methods.handlers(),
            tfserving.SERVICE: tfserving.handlers(inference, self._guard, settings.max_body_bytes),
            health.SERVICE: health.Health(dataplane, (SERVICE, tfserving.SERVICE), self._guard).handlers(),
        }
        told = reflection.Reflection([*self._services], self._guard)
        self._services[reflection.SERVICE] = told.handlers()
        self._streams = (self._methods.streams, told.streams)
        self._server: grpc.Server | None = None
        self._threads: Threads | None = None

    def start(self, reserved: socket.socket, *, reuse_port: bool = False, tells: bool = True) -> None:
        """Listen where a bound socket keeps the place, and let go of that.

        With ``reuse_port`` other processes may listen there too; of those one ``tells`` where.

        Raises:
            InvalidConfig: somebody else took it after all, or certificates cannot be used.
        """
        secure = tls.credentials(self._certificate or Certificate(self._settings))
        # As much again as the limit is received, so that our own words refuse it; beyond that gRPC's do.
        largest = min(2 * self._settings.max_body_bytes, LARGEST_OPTION)
        long_calls = methods.MOST_STREAMS + health.MOST_WATCHERS + reflection.MOST_STREAMS
        threads = self._settings.max_concurrency + long_calls + SPARE_THREADS
        read_seconds, share = self._settings.read_seconds, self._settings.max_inflight_bytes // largest
        self._threads = Threads(threads, self._inference, self._guard, self._methods_there(), read_seconds, share)
        options = [
            ("grpc.max_receive_message_length", largest),
            ("grpc.so_reuseport", int(reuse_port)),
            # More than may be in the house, so that what is too much is refused in our words and does not queue unseen.
            ("grpc.max_concurrent_streams", max(STREAMS, 2 * self._settings.max_concurrency)),
            *_PINGS,
            # It widens the windows of calls that we receive nothing of. Of a message that we receive gRPC knows the
            # length, and opens the window so far by itself.
            ("grpc.http2.bdp_probe", 0),
        ]
        server = grpc.server(self._threads, options=options)
        for name, handlers in self._services.items():
            server.add_registered_method_handlers(name, handlers)
        at = place(reserved)
        try:
            server.add_insecure_port(at) if secure is None else server.add_secure_port(at, secure)
        except RuntimeError as error:
            hint = "choose another with --grpc-port, or 0 for any free one"
            raise InvalidConfig(at, "cannot be listened on", hint=hint) from error
        server.start()
        self._server = server
        if tells:
            print(f"staytrue serve: grpc listening on {at}", flush=True)  # noqa: T201 - callers wait for it
        reserved.close()

    def _methods_there(self) -> Methods:
        mine, others = self._services[SERVICE], self._services[tfserving.SERVICE]
        told = self._services[reflection.SERVICE]
        keyed = [handler for name, handler in mine.items() if name not in methods.OPEN]
        every = [handler for handlers in self._services.values() for handler in handlers.values()]
        return Methods(every, [*keyed, *others.values(), *told.values()], mine["ModelInfer"])

    def stop(self, seconds: float) -> None:
        """Take no new calls, let those in flight end, for so long at most; blocks until then.

        gRPC breaks off a call that it has received and not yet handed over. So answers are held back for a moment,
        until callers have nothing to send that wait for one; they learn that this server goes before they get it.

        Units: seconds.
        """
        if self._server is None:
            return
        server, self._server = self._server, None
        self._guard.hold()
        self._wait_until_quiet(min(HELD_SECONDS, seconds))
        ended = server.stop(seconds)  # it has begun, and said so to all callers
        self._guard.release()
        closing = [threading.Thread(target=streams.end, args=(seconds,), daemon=True) for streams in self._streams]
        for thread in closing:
            thread.start()
        ended.wait(seconds + CANCEL_SECONDS)
        for thread in closing:
            thread.join()
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    def _wait_until_quiet(self, seconds: float) -> None:
        until, seen, quiet = time.monotonic() + seconds, -1, 0
        while self._threads is not None and quiet < QUIET_LOOKS and time.monotonic() < min(until, self._guard.due):
            quiet = quiet + 1 if self._threads.calls == seen else 0
            seen = self._threads.calls
            time.sleep(LOOK_SECONDS)
