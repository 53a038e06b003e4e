"""The sidecar's HTTP side: labels and CloudEvents in; status, metrics, alerts, jobs and reports out."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse
from prometheus_client.exposition import choose_encoder
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from monitoring.display.page import POLICY, page
from monitoring.ingest.pairs import OUTCOMES
from monitoring.response.hooks import Hooks
from staytrue import __version__
from staytrue.errors import ErrorCode, InternalError, InvalidInput, NotFound, StaytrueError, TooLarge, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry
    from starlette.types import Lifespan

    from monitoring.analyst import Parts
    from monitoring.ingest.labels import LabelDesk

log = logging.getLogger(__name__)
STATUS = {
    ErrorCode.INVALID_INPUT: 400,
    ErrorCode.INVALID_CONFIG: 500,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.PERMISSION_DENIED: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.UNSUPPORTED: 405,
    ErrorCode.CONFLICT: 409,
    ErrorCode.OVERLOADED: 429,
    ErrorCode.DEADLINE_EXCEEDED: 504,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.CORRUPT_DATA: 500,
    ErrorCode.CANCELLED: 499,
    ErrorCode.INTERNAL: 500,
}
LARGEST_BODY = 16 * 1024 * 1024
_FILES = {"report.html": "text/html", "scores.json": "application/json", "error.json": "application/json"}


class Api:
    """The endpoints, over the sidecar's parts."""

    def __init__(self, parts: Parts, desk: LabelDesk, metrics: CollectorRegistry, backlog: Callable[[], int]) -> None:
        self._parts, self._desk, self._metrics, self._backlog = parts, desk, metrics, backlog
        self._hooks = Hooks(parts.state, parts.store)

    def app(self, lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
        """The ASGI application."""
        # FastAPI's own pages load their scripts from elsewhere, which a closed network does not let through.
        app = FastAPI(title="Staytrue sidecar", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
        app.add_api_route("/livez", self.live, response_class=Response)
        app.add_api_route("/healthz", self.health, response_class=Response)
        app.add_api_route("/metrics", self.metrics, response_class=Response)
        app.add_api_route("/v1/labels", self.labels, methods=["POST"])
        app.add_api_route("/v1/events", self.events, methods=["POST"], status_code=202)
        app.add_api_route("/v1/hooks/alertmanager", self.alertmanager, methods=["POST"])
        app.add_api_route("/v1/status", self.status, response_class=Response)
        app.add_api_route("/v1/windows", self.windows, response_class=Response)
        app.add_api_route("/v1/alerts", self.alerts, response_class=Response)
        app.add_api_route("/v1/jobs", self.jobs, response_class=Response)
        app.add_api_route("/v1/reports", self.reports, response_class=Response)
        app.add_api_route("/reports/{name}/{file}", self.report, response_class=Response)
        app.add_api_route("/", self.page, response_class=HTMLResponse)
        app.add_exception_handler(StaytrueError, refused)
        app.add_exception_handler(HTTPException, lost)
        app.add_exception_handler(RequestValidationError, wrong)
        app.add_exception_handler(Exception, failed)
        return app

    async def live(self) -> Response:
        """The process answers. A tick that fails is no reason to end it: it is tried again, and told of."""
        return _json({"status": "ok"})

    async def health(self) -> Response:
        """Whether the last tick succeeded; what it failed with stands in the log."""
        failing = bool(self._parts.vitals.failing)
        return _json({"status": "the last tick failed" if failing else "ok"}, 503 if failing else 200)

    def metrics(self, request: Request) -> Response:
        """Prometheus metrics, or OpenMetrics where asked for."""
        encoder, kind = choose_encoder(request.headers.get("accept", ""))
        return Response(encoder(self._metrics), headers={"Content-Type": kind})

    async def labels(self, request: Request) -> dict[str, int]:
        """Take labels: ``{"labels": [{"event_id": …, "truth": …, "known": …}]}``; durable before the answer."""
        body = await _limited(request)
        return {"accepted": await run_in_threadpool(self._desk.accept, body)}

    async def events(self, request: Request) -> dict[str, str]:
        """Take a CloudEvent of KServe's payload logger: one half of an inference; durable before the answer."""
        body = await _limited(request)
        return {"state": await run_in_threadpool(self._parts.pairs.accept, request.headers, body)}

    async def alertmanager(self, request: Request) -> dict[str, int]:
        """Take what Alertmanager posts: alerts labelled ``staytrue_retrain`` may start a retraining."""
        return await run_in_threadpool(self._hooks.accept, await _limited(request))

    def status(self) -> Response:
        """How things stand. Cheap: may be asked often, and runs in a thread as a tick may hold the state a moment."""
        state, vitals = self._parts.state, self._parts.vitals
        by_status: dict[str, int] = {}
        for (_, status), count in vitals.by_status().items():
            by_status[status] = by_status.get(status, 0) + count
        looked = [until for model in vitals.newest if (until := state.looked_until(model)) is not None]
        events, pairs = vitals.totals["events"], self._parts.pairs
        torn = sum(c.reader.places.torn_tails for c in (self._parts.events, pairs.collector))
        return _json(
            {
                "watermark": max(vitals.newest.values(), default=None),
                "looked_until": min(looked, default=None),
                "counts": {
                    "events": sum(by_status.values()),
                    "by_status": by_status,
                    "rows": events.get("rows", 0),
                    "labels": vitals.totals["labels"].get("labels", 0),
                    "labels_without_event": vitals.unmatched["event"],
                    "labels_without_row": vitals.unmatched["row"],
                    "torn_tails": torn,
                    "damaged": events.get("damaged", 0),
                },
                "cloudevents": {**{o: pairs.outcomes[o] for o in OUTCOMES}, "waiting": pairs.waiting()},
                "backlog_bytes": self._backlog(),
                "models": {m: {"champion": c[0]} for m in vitals.newest if (c := state.champion_at(m, float("inf")))},
                "alerts": state.active(),
                "job": self._parts.jobs.active(),
                "jobs": len(state.jobs()),
                "reports_pending": self._parts.reports.pending(),
                "webhooks": self._parts.outbox.counts(),
            }
        )

    def windows(self, model: str = Query(), after: float = Query(default=0.0)) -> Response:
        """Looks of a model whose end is after an event time."""
        return _json(self._parts.state.windows(model, after))

    def alerts(self) -> Response:
        """All alerts there were, firing and resolved."""
        return _json(self._parts.state.alerts())

    def jobs(self) -> Response:
        """Retraining jobs with their verdicts."""
        return _json([{"job": job, "verdict": verdict} for job, verdict in self._parts.state.jobs()])

    def reports(self) -> Response:
        """Evidently's reports: scores, and where the page is."""
        return _json(self._parts.reports.listing())

    def report(self, name: str, file: str) -> Response:
        """One file of a report."""
        path = self._parts.reports.root / name / file
        if file not in _FILES or "/" in name or name.startswith(".") or not path.is_file():
            raise NotFound(f"report {name[:80]}/{file[:40]}", "is not there", hint="/v1/reports lists them")
        # The page shows values that callers sent: it gets an origin of its own.
        return FileResponse(path, media_type=_FILES[file], headers={"Content-Security-Policy": "sandbox allow-scripts"})

    def page(self) -> HTMLResponse:
        """The status page."""
        return HTMLResponse(page(self._parts), headers={"Content-Security-Policy": POLICY})


async def _limited(request: Request) -> bytes:
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > LARGEST_BODY:
        raise TooLarge("body", expected=f"at most {LARGEST_BODY} bytes", got=said, hint="send several requests")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_BODY:
            raise TooLarge("body", expected=f"at most {LARGEST_BODY} bytes", got="more", hint="send several requests")
        parts.append(part)
    return b"".join(parts)


async def refused(_: Request, error: Exception) -> Response:
    """A domain error."""
    assert isinstance(error, StaytrueError)  # noqa: S101 - registered for no other
    return _json({"error": str(error), "code": error.code.value}, STATUS[error.code])


async def lost(request: Request, error: Exception) -> Response:
    """An address or a method that is not there."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for no other
    path = request.url.path[:200]
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        return await refused(request, Unsupported(path, expected=allowed, got=request.method[:20]))
    return await refused(request, NotFound(path, "is no address of the sidecar", hint="/openapi.json lists them"))


async def wrong(request: Request, error: Exception) -> Response:
    """A query parameter that is missing or wrong."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for no other
    first = error.errors()[0]
    where = " ".join(str(part) for part in first["loc"])
    return await refused(request, InvalidInput(where, first["msg"], got=repr(first.get("input"))[:80]))


async def failed(request: Request, error: Exception) -> Response:
    """Something unexpected: the caller gets an id, the log gets the text."""
    name = uuid.uuid4().hex
    log.error("request %s to %s failed", name, request.url.path[:200], exc_info=error)
    return await refused(request, InternalError("sidecar", f"failed; request {name} in its log tells why"))


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
