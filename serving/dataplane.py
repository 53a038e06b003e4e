"""The only logic of serving: admit, route, run, write the event, then answer. Protocols translate to it and from it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from staytrue.errors import DeadlineExceeded, InternalError, Overloaded, StaytrueError
from staytrue.events import Event, Tensor, encode
from staytrue.records import moment
from staytrue.signature import rows_of
from staytrue.tensors import Answer, Parsed, accepted, wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.registry import Loaded, Registry
    from staytrue.bundle import Bundle
    from staytrue.eventlog import Writer
    from staytrue.events import Heartbeat, Role
    from staytrue.sections import ServingSection

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """An inference request, whatever it came by. ``read`` gives the inputs once the model's signature is known."""

    model: str
    version: str | None
    protocol: str
    read: Callable[[Bundle], Parsed]
    write: Callable[[Answer], bytes]
    """Writes the answer in the protocol's form; what cannot be written fails the request, and its event says so."""
    trace_id: str = ""


@dataclass(frozen=True)
class Written:
    """An answer ready to be sent."""

    event_id: str
    version: str
    body: bytes


@dataclass(frozen=True)
class Description:
    """A version as it is told to callers."""

    bundle: Bundle
    versions: list[str]
    """Those that are loaded."""
    platform: str
    provider: str
    runtime: str
    refused: dict[str, str]
    """Version → why it did not load."""
    ready: bool

    def more(self) -> dict[str, Any]:
        """What the protocol's metadata has no place for."""
        specs = [*self.bundle.signature.inputs, *self.bundle.signature.outputs]
        return {
            "version": self.bundle.version,
            "runtime": self.runtime,
            "provider": self.provider,
            "max_batch": self.bundle.max_batch,
            "categories": {spec.name: spec.categories for spec in specs if spec.categories},
            "refused_versions": self.refused,
        }


@dataclass
class _Draft:
    """An event in the making."""

    id: str
    arrived: float
    model: str = ""
    version: str = ""
    role: Role = "champion"
    request_id: str = ""
    time: float = 0.0
    rows: int = 0
    run_seconds: float = 0.0
    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)


class Dataplane:
    """Answers requests with the registry's models. Every answer, also a refusal, has its event in the log first."""

    def __init__(
        self, registry: Registry, writer: Writer, settings: ServingSection, clock: Callable[[], float] = time.time
    ) -> None:
        self.registry, self._writer, self._settings, self._clock = registry, writer, settings, clock
        self._counting = threading.Lock()
        # Beside TorchServe a thread only waits for a socket: one for each request, or a model that is stuck stops all.
        waiting = settings.runtime == "torchserve"
        threads = settings.max_concurrency if waiting else max(4, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="infer")
        self._patience = settings.torchserve.timeout_seconds if waiting else None
        self.in_flight = 0
        self.answered = 0
        self.draining = False

    def ready(self) -> bool:
        """Whether requests are welcome and every model has answered a real inference in this process."""
        return not self.draining and self.registry.ready()

    def describe(self, name: str, version: str | None) -> Description:
        """A model's champion, or the version that is named; that one may have to be loaded, so not in the event loop.

        Raises:
            StaytrueError: it is not there or cannot be loaded; see :meth:`serving.registry.Registry.version`.
        """
        model = self.registry.model(name)
        with self.registry.version(name, version) as loaded:
            return Description(
                bundle=loaded.bundle,
                versions=self.registry.versions()[name],
                platform=self.registry.make.platform,
                provider=self.registry.make.provider,
                runtime=loaded.runtime.description,
                refused=model.refused,
                ready=not self.draining and loaded.runtime.ready(),
            )

    async def submit(self, request: Request) -> Written:
        """Answer one request without holding up the event loop; see :meth:`infer`.

        Raises:
            Overloaded: too many requests are in the house already.
        """
        return await self.take(request.protocol, request.model, lambda: request)

    async def take(self, protocol: str, model: str, make: Callable[[], Request]) -> Written:
        """Answer what is first to be made a request, beside the event loop too: unpacking may take long, and much room.

        Raises:
            Overloaded: too many requests are in the house already.
            StaytrueError: it is no request; the event says so.
        """
        if self.in_flight >= self._settings.max_concurrency:
            full = Overloaded("server", f"has {self.in_flight} requests in the house, its limit", hint="try again")
            self.refuse(protocol, model, full)
            raise full
        self.in_flight += 1
        try:
            arrived = self._clock()  # here, so that a wait for a free thread counts as time in the queue
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._made, protocol, model, make, arrived)
        finally:
            self.in_flight -= 1

    def _made(self, protocol: str, model: str, make: Callable[[], Request], arrived: float) -> Written:
        try:
            request = make()
        except StaytrueError as error:
            self.refuse(protocol, model, error)
            raise
        return self.infer(request, arrived)

    def infer(self, request: Request, arrived: float | None = None) -> Written:
        """Answer one request, which arrived just now where nothing else is said.

        Raises:
            StaytrueError: it was refused or failed, and the event says so; for an unexpected fault an InternalError
                that carries the event's id.
            Unavailable: the event could not be written; no prediction is given then.
        """
        draft = _Draft(id=uuid.uuid4().hex, arrived=self._clock() if arrived is None else arrived)
        try:
            written = self._answer(request, draft)
        except StaytrueError as error:
            self._log(request.protocol, request.trace_id, draft, error)
            raise
        except Exception as error:
            log.exception("request %s failed", draft.id)
            hidden = InternalError("server", f"failed; request {draft.id} in its log tells why")
            self._log(request.protocol, request.trace_id, draft, hidden)
            raise hidden from error
        else:
            self._log(request.protocol, request.trace_id, draft, None)
            return written

    def close(self) -> None:
        """Wait for requests that run."""
        self._pool.shutdown(wait=True)

    def refuse(self, protocol: str, model: str, error: StaytrueError) -> None:
        """Write the event of a request that never became one (no body, too large …)."""
        draft = _Draft(id=uuid.uuid4().hex, arrived=self._clock(), model=self._known(model))
        self._log(protocol, "", draft, error)

    def _answer(self, request: Request, draft: _Draft) -> Written:
        draft.model = self._known(request.model)
        waited = self._clock() - draft.arrived
        if self._patience is not None and waited >= self._patience:
            raise DeadlineExceeded("server", expected=f"an answer within {self._patience:g} s", got=f"{waited:.1f} s")
        with self.registry.version(request.model, request.version) as loaded:
            draft.version = loaded.bundle.version
            if request.version is not None:
                draft.role = "pinned"
            parsed = request.read(loaded.bundle)
            draft.request_id = parsed.id
            draft.time = self._event_time(parsed.parameters)
            answer = self._run(loaded, parsed, draft)
            return Written(draft.id, answer.version, request.write(answer))

    def _run(self, loaded: Loaded, parsed: Parsed, draft: _Draft) -> Answer:
        bundle = loaded.bundle
        arrays = accepted(bundle.signature, bundle.max_batch, parsed.inputs)
        asked = wanted(bundle.signature, parsed.outputs)
        draft.inputs = [Tensor.of(spec.name, spec.datatype, arrays[spec.name]) for spec in bundle.signature.inputs]
        draft.rows = rows_of(list(arrays.values()))
        began = time.perf_counter()
        results = loaded.runtime.run(arrays)
        draft.run_seconds = time.perf_counter() - began
        draft.outputs = [Tensor.of(spec.name, spec.datatype, results[spec.name]) for spec in bundle.signature.outputs]
        outputs = [(spec, results[spec.name]) for spec in asked]
        return Answer(draft.id, parsed.id, bundle.name, bundle.version, outputs)

    def _event_time(self, parameters: dict[str, Any]) -> float:
        """When it happened, where the server is told to believe the request; otherwise 0, for arrival.

        Raises:
            InvalidInput: neither Unix seconds nor a date.
        """
        said = parameters.get("event_time")
        if said is None or self._settings.event_time != "request":
            return 0.0
        return moment(said, 'parameter "event_time"')

    def _log(self, protocol: str, trace_id: str, draft: _Draft, error: StaytrueError | None) -> None:
        now = self._clock()
        event = Event(
            id=draft.id,
            time=draft.time or draft.arrived,
            recorded=now,
            request_id=draft.request_id,
            trace_id=trace_id,
            model=draft.model,
            version=draft.version,
            role=draft.role,
            protocol=protocol,
            status=error.code.value if error else "ok",
            error=str(error)[:500] if error else "",
            rows=draft.rows,
            queue_seconds=max(0.0, now - draft.arrived - draft.run_seconds),
            run_seconds=draft.run_seconds,
            inputs=draft.inputs,
            outputs=draft.outputs,
        )
        self._writer.append([encode(event)])
        with self._counting:
            self.answered += 1

    def beat(self, heartbeat: Heartbeat) -> None:
        """Write a heartbeat into the log."""
        self._writer.append([encode(heartbeat)])

    def _known(self, model: str) -> str:
        """The model's name, or "" for one that is not here: names of strangers must not become labels of metrics."""
        return model if model in self.registry.names() else ""
