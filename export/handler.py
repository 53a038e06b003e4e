"""Runs inside TorchServe's workers: the handler of every archive that we make, copied into it.

It takes an inference request of the Open Inference Protocol in JSON, by ``POST /predictions/MODEL``, and answers in the
same form. Of each such request it writes the event before it answers, into the log whose folder the worker's
environment names (``STAYTRUE_SERVING_LOG``, an absolute path), so that a TorchServe that people call directly is
watched as our own server is. Our server, as TorchServe's caller, marks its requests with a secret that it has given to
the worker: for these, tensors come and go as MessagePack, and no event is written here, since our server writes it.
"""

from __future__ import annotations

import hmac
import importlib
import json
import logging
import time
import traceback
import uuid
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.runtimes import halves
from serving.runtimes.tokens import front
from staytrue.bodies import parsed, written
from staytrue.errors import ErrorCode, InternalError, InvalidInput, StaytrueError
from staytrue.eventlog import Writer
from staytrue.events import Event, Tensor, encode
from staytrue.records import Record, moment, read
from staytrue.server import ServingSection
from staytrue.settings import gateway, resolve
from staytrue.signature import Signature, rows_of
from staytrue.tensors import Answer, Given, Parsed, accepted, coded, decoded, wanted
from staytrue.texts import from_json, writable

log = logging.getLogger(__name__)
Arrays = dict[str, NDArray[Any]]

CONTENTS = "staytrue.json"
MARK = "x-staytrue-gateway"
PROTOCOL = "torchserve"
_STATUS = {ErrorCode.INVALID_INPUT: 400, ErrorCode.TOO_LARGE: 413, ErrorCode.UNAVAILABLE: 503}


class Contents(Record, frozen=True, kw_only=True):
    """What the archive holds: ``staytrue.json`` in it."""

    name: str
    version: str
    kind: Literal["torchscript", "onnx"]
    file: str
    runs: str
    """For people: ``TorchScript torch 2.13.0``."""
    max_batch: int
    signature: Signature


@dataclass
class Call:
    """One request of a batch, and what becomes of it."""

    marked: bool
    began: float
    asked: Parsed = field(default_factory=lambda: Parsed([]))
    arrays: Arrays = field(default_factory=dict)
    outputs: Arrays = field(default_factory=dict)
    time: float = 0.0
    run_seconds: float = 0.0
    error: StaytrueError | None = None
    told: str = ""
    """What went wrong, for our own server's log: never for other callers."""


class Handler:
    """A model in a worker.

    Args:
        folder: where TorchServe has unpacked the archive.
        settings: of the section ``serving``, by the worker's environment.
        secret: what our own server marks its requests with; empty where TorchServe runs by itself.
    """

    def __init__(self, folder: Path, settings: ServingSection, secret: str = "") -> None:
        self._settings, self._secret = settings, secret.encode()
        self.contents = read(Contents, folder / CONTENTS)
        self.signature = self.contents.signature
        load = _torchscript if self.contents.kind == "torchscript" else _onnx
        model = load(folder / self.contents.file, self.signature, settings.threads)
        tokenized = front(self.signature, folder)
        self._model = model if tokenized is None else lambda arrays: model(tokenized(arrays))
        self._writer: Writer | None = None
        if not secret and not settings.log.is_absolute():  # relative, it would lie in TorchServe's own temporary folder
            log.warning("direct calls are not watched: STAYTRUE_SERVING_LOG is no absolute path of an event log")

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:
        """Answer a batch, whose requests succeed and fail one by one."""
        calls = [self._read(item, context, place) for place, item in enumerate(data)]
        good = [call for call in calls if call.error is None]
        if not self._together(good):
            for call in good:
                self._alone(call)
        return [self._answer(call, context, place) for place, call in enumerate(calls)]

    def _read(self, item: dict[str, Any], context: Any, place: int) -> Call:
        call = Call(self._marked(context, place), time.time())
        body = item.get("body", item.get("data")) or b""
        try:
            if call.marked:
                tensors = msgspec.msgpack.decode(body, type=list[Tensor])
                call.asked = Parsed([Given(each.name, each.datatype, each.array()) for each in tensors])
            else:
                call.asked = parsed(from_json(body), self._settings.nan_policy)
            call.time = self._time(call)
            call.arrays = accepted(self.signature, self.contents.max_batch, call.asked.inputs)
            wanted(self.signature, call.asked)  # before it is run in vain
        except Exception as error:  # noqa: BLE001 - one request's fault is not another's
            _failed(call, error)
        return call

    def _marked(self, context: Any, place: int) -> bool:
        """Whether it is our own server that asks: anybody can send the header."""
        headers = context.get_all_request_header(place)  # names come in the caller's own letters
        given = next((value for name, value in headers.items() if name.lower() == MARK), "")
        return bool(self._secret) and hmac.compare_digest(str(given).encode(errors="replace"), self._secret)

    def _time(self, call: Call) -> float:
        """When it happened, where requests are believed; 0 for now."""
        said = call.asked.parameters.get("event_time")
        if said is None or self._settings.event_time != "request":
            return 0.0
        return moment(said, 'parameter "event_time"')

    def _together(self, calls: list[Call]) -> bool:
        """Run a whole batch in one go, where that can be done; False where it was not."""
        if len(calls) < 2 or not self.signature.merges:
            return False
        rows = [rows_of(list(call.arrays.values())) for call in calls]
        shapes = {tuple(array.shape[1:] for array in call.arrays.values()) for call in calls}
        if sum(rows) > self.contents.max_batch or len(shapes) > 1:
            return False
        joined = {name: np.concatenate([call.arrays[name] for call in calls]) for name in calls[0].arrays}
        began = time.perf_counter()
        try:
            outputs = self._model(joined)
        except Exception:
            log.warning("a batch of %d failed together, each is run alone", len(calls), exc_info=True)
            return False
        seconds, end = time.perf_counter() - began, np.cumsum(rows)
        for call, last, count in zip(calls, end, rows, strict=True):
            call.outputs = {name: array[last - count : last] for name, array in outputs.items()}
            call.run_seconds = seconds
        return True

    def _alone(self, call: Call) -> None:
        began = time.perf_counter()
        try:
            call.outputs = self._model(call.arrays)
        except Exception as error:  # noqa: BLE001 - one request's fault is not another's
            _failed(call, error)
        call.run_seconds = time.perf_counter() - began

    def _answer(self, call: Call, context: Any, place: int) -> bytes:
        name, body = uuid.uuid4().hex, b""
        try:
            if call.error is None:
                body = self._body(call, name)
        except Exception as error:  # noqa: BLE001 - one request's fault is not another's
            _failed(call, error)
        if not call.marked:
            self._watched(call, name)
        if call.error:
            body = _refusal(call, name)
            context.set_response_status(_STATUS.get(call.error.code, 500), "", place)
        packed = call.marked and call.error is None
        context.set_response_content_type(place, "application/octet-stream" if packed else "application/json")
        return body

    def _body(self, call: Call, name: str) -> bytes:
        if call.marked:
            return msgspec.msgpack.encode(self._tensors(call.outputs, output=True))
        outputs = [(asked, call.outputs[asked.spec.name]) for asked in wanted(self.signature, call.asked)]
        answer = Answer(name, call.asked.id, self.contents.name, self.contents.version, outputs)
        return json.dumps(written(answer, self._settings.nan_policy)).encode()

    def _watched(self, call: Call, name: str) -> None:
        """Write the event, without what was sent where that is at fault: no prediction without its event."""
        for _ in range(2):
            try:
                return self._log(call, name)
            except StaytrueError as error:  # the log takes nothing
                return _failed(call, error)
            except Exception as error:  # noqa: BLE001 - as above
                _failed(call, error)
                call.asked, call.arrays = Parsed([]), {}
        return None

    def _log(self, call: Call, name: str) -> None:
        """Write the event, or raise that it cannot be written."""
        if not self._settings.log.is_absolute():
            return
        if self._writer is None:  # only now: a worker that our own server asks needs none
            settings = self._settings
            self._writer = Writer(settings.log, durability=settings.durability, max_bytes=settings.log_max_bytes)
        error = call.error
        event = Event(
            id=name,
            time=call.time or call.began,
            recorded=time.time(),
            request_id=call.asked.id,
            model=self.contents.name,
            version=self.contents.version,
            protocol=PROTOCOL,
            status=error.code.value if error else "ok",
            error=writable(str(error)[:500]) if error else "",
            rows=rows_of(list(call.arrays.values())),
            run_seconds=call.run_seconds,
            inputs=self._tensors(call.arrays),
            outputs=[] if error else self._tensors(call.outputs, output=True),
        )
        self._writer.append([encode(event)])

    def _tensors(self, arrays: Arrays, *, output: bool = False) -> list[Tensor]:
        specs = self.signature.outputs if output else self.signature.inputs
        return [Tensor.of(spec.name, spec.datatype, arrays[spec.name]) for spec in specs if spec.name in arrays]


_loaded: list[Handler] = []


def handle(data: list[dict[str, Any]] | None, context: Any) -> list[bytes] | None:
    """What TorchServe calls: once without data to load the model, then for each batch."""
    if data is None:
        settings = resolve(ServingSection(), "serving", {})
        _loaded[:] = [Handler(Path(context.system_properties["model_dir"]), settings, gateway())]
        return None
    return _loaded[0].handle(data, context)


def _torchscript(path: Path, signature: Signature, threads: int) -> Any:
    torch: Any = importlib.import_module("torch")  # late: an archive of ONNX does not need it
    torch.set_num_threads(threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's, of all TorchScript
        module = torch.jit.load(str(path), map_location="cpu").eval()

    def run(arrays: Arrays) -> Arrays:
        given = [
            coded(spec, arrays[spec.name]) if arrays[spec.name].dtype == object else np.array(arrays[spec.name])
            for spec in signature.inputs
        ]
        with torch.inference_mode():
            result = module(*map(torch.from_numpy, given))
        values = result if isinstance(result, tuple) else (result,)
        return {
            spec.name: decoded(spec, value.numpy()) if spec.datatype == "BYTES" else value.numpy()
            for spec, value in zip(signature.outputs, values, strict=True)
        }

    return run


def _onnx(path: Path, signature: Signature, threads: int) -> Any:
    ort: Any = importlib.import_module("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = halves.session(path, options)
    names = [spec.name for spec in signature.outputs]
    refused = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state").InvalidArgument

    def run(arrays: Arrays) -> Arrays:
        try:
            return dict(zip(names, session.run(names, arrays), strict=True))
        except refused as error:
            raise InvalidInput("model", f"could not run on this input: {str(error)[:300]}") from error

    return run


def _failed(call: Call, error: Exception) -> None:
    if isinstance(error, StaytrueError):
        call.error = error
        return
    log.error("a request failed", exc_info=error)
    call.error = InternalError("server", "failed; the worker's log tells why")
    call.told = "".join(traceback.format_exception_only(error)).strip()


def _refusal(call: Call, name: str) -> bytes:
    """The body of an error; only our own server is told what is not for callers."""
    assert call.error is not None  # noqa: S101 - asked just before
    told = {"error": (call.marked and call.told) or str(call.error), "code": call.error.code.value}
    return json.dumps(told if call.marked else {**told, "event_id": name}).encode()
