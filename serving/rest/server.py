"""Addresses of the Open Inference Protocol over REST.

Source: Open Inference Protocol, REST specification (kserve/open-inference-protocol).
"""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from serving.dataplane import Request
from serving.rest import codec, errors
from staytrue import __version__
from staytrue.errors import InternalError, InvalidInput, NotFound, StaytrueError, TooLarge, Unsupported

if TYPE_CHECKING:
    from starlette.requests import Request as Http
    from starlette.types import Lifespan

    from serving.dataplane import Dataplane
    from staytrue.sections import ServingSection

log = logging.getLogger(__name__)
_JSON = "application/json"
PROTOCOL = "rest"


class Rest:
    """Translates HTTP to the dataplane and back."""

    def __init__(self, dataplane: Dataplane, settings: ServingSection) -> None:
        self._dataplane, self._settings = dataplane, settings

    def app(self, lifespan: Lifespan[Starlette] | None = None) -> Starlette:
        """The ASGI application."""
        models = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
        routes = [
            Route("/v2", self.server),
            Route("/v2/health/live", self.live),
            Route("/v2/health/ready", self.ready),
        ]
        for path in models:
            routes += [
                Route(path, self.model),
                Route(f"{path}/ready", self.model_ready),
                Route(f"{path}/infer", self.infer, methods=["POST"]),
            ]
        handlers: dict[Any, Any] = {StaytrueError: refused, HTTPException: lost, Exception: broken}
        return Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)

    async def server(self, _: Http) -> Response:
        """Server metadata."""
        return _json({"name": "staytrue", "version": __version__, "extensions": []})

    async def live(self, _: Http) -> Response:
        """The loop runs."""
        return _json({"live": True})

    async def ready(self, _: Http) -> Response:
        """Each model has answered a real inference in this process, and the server is not shutting down."""
        ready = self._dataplane.ready()
        return _json({"ready": ready}, 200 if ready else 503)

    async def model(self, http: Http) -> Response:
        """Model metadata."""
        name, version = http.path_params["model"], http.path_params.get("version")
        return _json(codec.metadata(await run_in_threadpool(self._dataplane.describe, name, version)))

    async def model_ready(self, http: Http) -> Response:
        """Whether a model, or a version of it, answers."""
        name, version = http.path_params["model"], http.path_params.get("version")
        model = await run_in_threadpool(self._dataplane.describe, name, version)
        told = {"name": name, "version": model.bundle.version, "ready": model.ready}
        return _json(told, 200 if model.ready else 503)

    async def infer(self, http: Http) -> Response:
        """Inference."""
        name, policy = http.path_params["model"], self._settings.nan_policy
        try:
            body = await limited_body(http, self._settings.max_body_bytes)
        except StaytrueError as error:
            self._dataplane.refuse(PROTOCOL, name, error)
            raise
        request = Request(
            model=name,
            version=http.path_params.get("version"),
            protocol=PROTOCOL,
            read=lambda _: codec.parse(body, policy),
            write=lambda answer: codec.write(answer, policy),
            trace_id=http.headers.get("traceparent", "")[:55],
        )
        written = await self._dataplane.submit(request)
        return Response(written.body, media_type=_JSON, headers={"X-Event-Id": written.event_id})


async def limited_body(http: Http, limit: int) -> bytes:
    """The whole body, keeping no more than the limit.

    Of a body that is longer up to as much again is read and thrown away: a caller that writes all before it reads
    would meet a reset connection instead of the answer.

    Raises:
        TooLarge: it is longer, by its header or in fact.
        InvalidInput: it is compressed or broken off.
    """
    if http.headers.get("content-encoding", "identity") != "identity":
        raise InvalidInput("header Content-Encoding", expected="identity", got=http.headers["content-encoding"][:40])
    said = http.headers.get("content-length", "")
    announced = int(said) if said.isdecimal() else 0
    hint = "send fewer rows, or raise serving.max_body_bytes"
    longer = TooLarge("body", expected=f"at most {limit} bytes", got=said or "more", hint=hint)
    if announced > 2 * limit or (announced > limit and "expect" in http.headers):  # it waits for leave to send
        raise longer
    parts, size = [], 0
    try:
        async for part in http.stream():
            size += len(part)
            if max(size, announced) <= limit:
                parts.append(part)
            elif size > 2 * limit:
                break
    except ClientDisconnect:
        raise InvalidInput("body", f"broke off after {size} bytes: the caller hung up") from None
    if max(size, announced) > limit:
        raise longer
    return b"".join(parts)


async def refused(_: Http, error: Exception) -> Response:
    """A domain error by the table."""
    assert isinstance(error, StaytrueError)  # noqa: S101 - registered for no other
    status = errors.STATUS[error.code]
    headers = errors.headers(error)
    if status == 413:
        headers["Connection"] = "close"  # the rest of the body may not have been read
    return Response(errors.body(error), status, headers=headers, media_type=_JSON)


async def lost(http: Http, error: Exception) -> Response:
    """An address or a method that is not there."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for no other
    path = http.url.path[:200]
    if error.status_code == 405:
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))  # a set's order changes
        wrong: StaytrueError = Unsupported(path, expected=allowed or "another method", got=http.method[:20])
        return Response(errors.body(wrong), 405, headers={"Allow": allowed} if allowed else {}, media_type=_JSON)
    missing = NotFound(path, "is no address of this server", hint="try /v2/models/NAME/infer or /v2/health/ready")
    return Response(errors.body(missing), error.status_code, media_type=_JSON)


async def broken(http: Http, error: Exception) -> Response:
    """A fault of ours: an id and nothing more. Its text is in the log, never in an answer."""
    name = uuid.uuid4().hex
    log.error("request %s to %s failed", name, http.url.path[:200], exc_info=error)
    hidden = InternalError("server", f"failed; request {name} in its log tells why")
    return Response(errors.body(hidden), 500, media_type=_JSON)


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type=_JSON)
