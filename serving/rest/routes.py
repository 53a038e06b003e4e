"""Addresses: what is asked for where, of the Open Inference Protocol and of what people call already.

Sources: Open Inference Protocol, REST specification, with its extensions for repositories and statistics; KServe and
TensorFlow Serving (``/v1``), TorchServe (``/predictions``, ``/ping``), SageMaker and MLflow (``/invocations``).
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import orjson

from serving.description import EXTENSIONS
from serving.rest import codec, dialects, legacy, openapi
from serving.rest.addresses import HINT, HINTS, asks, decoded, inference
from staytrue import __version__
from staytrue.errors import InvalidInput, NotFound, Overloaded, StaytrueError, Unavailable, Unsupported
from staytrue.texts import from_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.dataplane import Dataplane
    from serving.http.exchange import Exchange
    from serving.rest.addresses import Inference
    from serving.rest.server import Rest

_MODEL = re.compile(r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/(?P<what>ready|stats))?")
_V1 = re.compile(r"/v1/models/(?P<model>[^/:]+)(?:/versions/(?P<version>[^/:]+))?")
_ADMIN = re.compile(r"/v2/repository/models/(?P<model>[^/]+)/(?P<what>load|unload)")
NO_ROOM = "the event log is full or cannot be written; the server's own log says which"
MOST_KNOWN = 1024


class Routes:
    """Follows an address.

    Args:
        rest: that has the dataplane.
        admin: also loads and unloads.
    """

    def __init__(self, rest: Rest, *, admin: bool) -> None:
        self._rest, self._admin = rest, admin
        self._changing = threading.Lock()
        self._known: dict[bytes, Inference] = {}
        """Addresses that have led to a model: reading one again is half of what a small request costs."""
        self._plain: dict[str, Callable[[Exchange], None]] = {
            "/": _alive,
            "/v2": self._server,
            "/v2/health/live": self._live,
            "/v2/health/ready": self._ready,
            "/v2/models/stats": lambda exchange: self._statistics(exchange, None, None),
            "/ping": self._ping,
            "/openapi.json": self._openapi,
            "/docs": self._docs,
        }

    def follow(self, exchange: Exchange) -> None:
        """Answer what is asked.

        Raises:
            StaytrueError: nothing is there, by this method, or for this caller.
        """
        known = self._known.get(exchange.path)
        if known is None:
            path = decoded(exchange.path)
            known = inference(path, self._only)
            if known is None:
                self._other(exchange, path)
                return
            # Which model an address without a name asks changes with the models that there are.
            if known.dialect is not dialects.invocations and self._rest.dataplane.registry.knows(known.model):
                if len(self._known) >= MOST_KNOWN:
                    self._known.clear()
                self._known[exchange.path] = known
        if not asks(exchange, known):
            raise self._method(exchange, "POST")
        self._rest.admission.admit(exchange, "predict")
        self._rest.infer(exchange, known)

    def inference(self, exchange: Exchange) -> str | None:
        """The model that an inference asks; None where the request is none."""
        try:
            found = inference(decoded(exchange.path), self._only)
        except StaytrueError:
            return None
        return None if found is None or not asks(exchange, found) else found.model

    def _only(self) -> str:
        names = self._rest.dataplane.registry.names()
        if len(names) != 1:
            there = ", ".join(names) or "none"
            raise InvalidInput(
                "/invocations", expected="one model that is served", got=there, hint="name the model: " + HINT
            )
        return names[0]

    def _other(self, exchange: Exchange, path: str) -> None:
        if path == "/v2/repository/index":
            self._allow(exchange, b"POST")
            self._rest.admission.admit(exchange, "predict")
            self._index(exchange)
        elif (match := _ADMIN.fullmatch(path)) is not None:
            self._allow(exchange, b"POST")
            self._repository(exchange, match["model"], match["what"])
        elif (plain := self._plain.get(path)) is not None:
            self._allow(exchange, b"GET", b"HEAD")
            plain(exchange)
        elif (match := _MODEL.fullmatch(path)) is not None:
            self._allow(exchange, b"GET", b"HEAD")
            self._rest.admission.admit(exchange, "predict")
            self._model(exchange, match["model"], match["version"], match["what"])
        elif (match := _V1.fullmatch(path)) is not None:
            self._allow(exchange, b"GET", b"HEAD")
            self._rest.admission.admit(exchange, "predict")
            self._v1(exchange, match["model"], match["version"])
        else:
            raise NotFound(path[:200], "is no address of this server", hint=HINTS.get(path.rstrip("/"), HINT))

    def _server(self, exchange: Exchange) -> None:
        _json(exchange, {"name": "staytrue", "version": __version__, "extensions": EXTENSIONS})

    def _live(self, exchange: Exchange) -> None:
        """The loop runs."""
        _json(exchange, {"live": True})

    def _ready(self, exchange: Exchange) -> None:
        """Each model has answered a real inference in this process, and the server is not shutting down."""
        ready = self._rest.dataplane.ready()
        told: dict[str, Any] = {"ready": ready}
        if not ready:
            told["reason"] = _reason(self._rest.dataplane)
        _json(exchange, told, 200 if ready else 503)

    def _ping(self, exchange: Exchange) -> None:
        ready = self._rest.dataplane.ready()
        _json(exchange, {"status": "Healthy" if ready else "Unhealthy"}, 200 if ready else 503)

    def _model(self, exchange: Exchange, model: str, version: str | None, what: str | None) -> None:
        if what == "stats":
            self._statistics(exchange, model, version)
            return

        def work() -> tuple[int, bytes]:
            found = self._rest.dataplane.describe(model, version)
            if what is None:
                return 200, orjson.dumps(codec.metadata(found))
            told = {"name": model, "version": found.bundle.version, "ready": found.ready}
            return 200 if found.ready else 503, orjson.dumps(told)

        self._rest.aside(exchange, work)

    def _v1(self, exchange: Exchange, model: str, version: str | None) -> None:
        def work() -> tuple[int, bytes]:
            found = self._rest.dataplane.describe(model, version)
            return 200 if found.ready else 503, orjson.dumps(
                legacy.status(model, found.bundle.version, ready=found.ready)
            )

        self._rest.aside(exchange, work)

    def _statistics(self, exchange: Exchange, model: str | None, version: str | None) -> None:
        self._rest.admission.admit(exchange, "metrics" if model is None else "predict")
        if model is not None:
            self._rest.dataplane.registry.model(model)
        _json(exchange, {"model_stats": self._rest.dataplane.statistics.told(model, version)})

    def _index(self, exchange: Exchange) -> None:
        asked = from_json(exchange.body) if exchange.body.strip() else {}
        ready = isinstance(asked, dict) and asked.get("ready") is True

        def work() -> tuple[int, bytes]:
            entries = self._rest.dataplane.registry.index()
            told = [
                {"name": one.name, "version": one.version, "state": one.state, "reason": one.reason}
                for one in entries
                if one.state == "READY" or not ready
            ]
            return 200, orjson.dumps(told)

        self._rest.aside(exchange, work)

    def _repository(self, exchange: Exchange, model: str, what: str) -> None:
        if not self._admin:
            hint = "set serving.admin_port and ask there"
            raise Unsupported(f"/v2/repository/models/{model[:100]}/{what}", "is not on this port", hint=hint)
        self._rest.admission.admit(exchange, "admin")
        if not self._changing.acquire(blocking=False):  # each holds a thread that large bodies wait for
            raise Overloaded("repository", "changes for another caller", hint="try again later")

        def work() -> tuple[int, bytes]:
            registry = self._rest.dataplane.registry
            try:
                registry.load(model) if what == "load" else registry.unload(model)
            finally:
                self._changing.release()
            return 200, b"{}"

        self._rest.aside(exchange, work, always=True)  # which lets go of the lock

    def _openapi(self, exchange: Exchange) -> None:
        self._rest.admission.admit(exchange, "predict")

        def work() -> tuple[int, bytes]:
            dataplane, found = self._rest.dataplane, []
            for name in dataplane.registry.names():
                try:
                    found.append(dataplane.describe(name, None))
                except Unavailable:
                    continue
            return 200, orjson.dumps(
                openapi.document(
                    found, keys=self._rest.settings.keys is not None, nan_policy=self._rest.settings.nan_policy
                )
            )

        self._rest.aside(exchange, work)

    def _docs(self, exchange: Exchange) -> None:
        exchange.answer(200, openapi.PAGE, kind=b"text/html; charset=utf-8", headers=openapi.PAGE_HEADERS)

    def _allow(self, exchange: Exchange, *methods: bytes) -> None:
        if exchange.method not in methods:
            raise self._method(exchange, ", ".join(method.decode() for method in methods))

    @staticmethod
    def _method(exchange: Exchange, allowed: str) -> Unsupported:
        return Unsupported(
            exchange.path[:200].decode("latin-1"), expected=allowed, got=exchange.method[:20].decode("latin-1")
        )


def _reason(dataplane: Dataplane) -> str:
    """Why a server is not ready; names no model, as whoever has no key asks it too."""
    if dataplane.draining:
        return "the server is shutting down"
    return dataplane.registry.unready() if dataplane.room.there else NO_ROOM


def _alive(exchange: Exchange) -> None:
    """The loop runs, as KServe's V1 says it."""
    _json(exchange, {"status": "alive"})


def _json(exchange: Exchange, value: Any, status: int = 200) -> None:
    exchange.answer(status, orjson.dumps(value))
