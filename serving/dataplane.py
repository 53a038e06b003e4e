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

from staytrue.errors import InternalError, InvalidInput, Overloaded, StaytrueError, TooLarge
from staytrue.events import Event, Tensor, encode
from staytrue.records import moment
from staytrue.signature import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from serving.registry import Loaded, Registry
    from staytrue.bundle import Bundle
    from staytrue.eventlog import Writer
    from staytrue.events import Heartbeat, Role
    from staytrue.sections import ServingSection
    from staytrue.signature import TensorSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Given:
    """One input as a protocol read it."""

    name: str
    datatype: str
    array: NDArray[Any]


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
class Parsed:
    """What the body said."""

    inputs: list[Given]
    id: str = ""
    outputs: list[str] | None = None
    """Names of the outputs asked for; None for all."""
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What is told to the caller."""

    event_id: str
    id: str
    model: str
    version: str
    outputs: list[tuple[TensorSpec, NDArray[Any]]]


@dataclass(frozen=True)
class Written:
    """An answer ready to be sent."""

    event_id: str
    version: str
    body: bytes


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
        self._pool = ThreadPoolExecutor(max_workers=max(4, os.cpu_count() or 1), thread_name_prefix="infer")
        self.in_flight = 0
        self.answered = 0
        self.draining = False

    def ready(self) -> bool:
        """Whether requests are welcome and every model has answered a real inference in this process."""
        return not self.draining and self.registry.ready()

    async def submit(self, request: Request) -> Written:
        """Answer one request without holding up the event loop; see :meth:`infer`.

        Raises:
            Overloaded: too many requests are in the house already.
        """
        if self.in_flight >= self._settings.max_concurrency:
            full = Overloaded("server", f"has {self.in_flight} requests in the house, its limit", hint="try again")
            self.refuse(request.protocol, request.model, full)
            raise full
        self.in_flight += 1
        try:
            arrived = self._clock()  # here, so that a wait for a free thread counts as time in the queue
            return await asyncio.get_running_loop().run_in_executor(self._pool, self.infer, request, arrived)
        finally:
            self.in_flight -= 1

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
        arrays = accepted(bundle, parsed.inputs)
        wanted = wanted_outputs(bundle, parsed.outputs)
        draft.inputs = [Tensor.of(spec.name, spec.datatype, arrays[spec.name]) for spec in bundle.signature.inputs]
        draft.rows = rows_of(list(arrays.values()))
        began = time.perf_counter()
        results = loaded.runtime.run(arrays)
        draft.run_seconds = time.perf_counter() - began
        draft.outputs = [Tensor.of(spec.name, spec.datatype, results[spec.name]) for spec in bundle.signature.outputs]
        outputs = [(spec, results[spec.name]) for spec in wanted]
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


def accepted(bundle: Bundle, given: list[Given]) -> dict[str, NDArray[Any]]:
    """Inputs by name, each as the signature wants it, with one number of rows that is within the limit.

    Raises:
        InvalidInput: an input is missing, unknown, twice there, or of another datatype or shape; rows differ.
        TooLarge: more rows than the bundle was proven for.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for item in given:
        spec = bundle.signature.input(item.name)
        if spec is None:
            there = ", ".join(f'"{known.name}"' for known in bundle.signature.inputs)
            raise InvalidInput(f'input "{item.name[:100]}"', "is not an input of this model", hint=f"it takes {there}")
        if item.name in arrays:
            raise InvalidInput(f'input "{item.name}"', "is given twice")
        spec.check(item.array, item.datatype)
        arrays[item.name] = item.array
    for spec in bundle.signature.inputs:
        if spec.name not in arrays:
            raise InvalidInput(f'input "{spec.name}"', expected=spec.label(), got="nothing", hint="add it to `inputs`")
    _check_rows(bundle, arrays)
    return arrays


def wanted_outputs(bundle: Bundle, names: list[str] | None) -> list[TensorSpec]:
    """The outputs asked for, or all.

    Raises:
        InvalidInput: no such output.
    """
    if names is None:
        return bundle.signature.outputs
    known = {spec.name: spec for spec in bundle.signature.outputs}
    for name in names:
        if name not in known:
            raise InvalidInput(
                f'output "{name[:100]}"', "is not an output of this model", hint=f"it gives {list(known)}"
            )
    return [known[name] for name in names]


def _check_rows(bundle: Bundle, arrays: dict[str, NDArray[Any]]) -> None:
    batched = {spec.name: arrays[spec.name].shape[0] for spec in bundle.signature.inputs if spec.shape[:1] == [-1]}
    if len(set(batched.values())) > 1:
        raise InvalidInput("inputs", expected="the same number of rows in each", got=str(batched)[:300])
    rows = next(iter(batched.values()), 1)
    if rows > bundle.max_batch:
        raise TooLarge(
            "inputs", expected=f"at most {bundle.max_batch} rows", got=str(rows), hint="send several requests"
        )
    if rows == 0:
        raise InvalidInput("inputs", expected="at least one row", got="0")
