"""TorchServe behind the runtimes' seam: a model of it, and the maker that owns the supervised server."""

from __future__ import annotations

import json
import time
import zipfile
from typing import TYPE_CHECKING, Any, NoReturn, Self

import msgspec

from serving.runtimes.base import RunError
from serving.runtimes.torchserve.server import said, version
from serving.runtimes.torchserve.supervisor import Supervisor
from staytrue.errors import (
    CorruptData,
    DeadlineExceeded,
    ErrorCode,
    InvalidInput,
    Overloaded,
    TooLarge,
    Unavailable,
)
from staytrue.events import Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.bundle import Format
    from staytrue.server import TorchServeSection
    from staytrue.signature import Signature

PACKED = {"Content-Type": "application/octet-stream"}
CONTENTS = "staytrue.json"
"""What the archive says of itself."""
WORKER_DIED = (500, 507)
_REFUSALS = {ErrorCode.INVALID_INPUT: InvalidInput, ErrorCode.TOO_LARGE: TooLarge}


class TorchServeRuntime:
    """One model in a TorchServe.

    Raises:
        CorruptData: the archive is none of ours, or does not load.
        Unavailable: TorchServe is gone just now.
    """

    def __init__(self, path: Path, signature: Signature, supervisor: Supervisor, seconds: float) -> None:
        self._specs = signature.inputs
        self._outputs = [spec.name for spec in signature.outputs]
        self._supervisor, self._seconds = supervisor, seconds
        self.description = f"{version()} {_held(path)} CPU"
        self._name: str | None = supervisor.add(path)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Ask TorchServe; see :class:`serving.runtimes.base.Runtime`.

        A worker that dies fails the request that it held, or the next one: then another worker is asked once, in what
        is left of the time. An inference may be done twice.

        Raises:
            InvalidInput: the model refused these values.
            RunError: it failed in this run.
            DeadlineExceeded: no answer within the time.
            Overloaded: TorchServe's queue is full.
            Unavailable: after ``close``, or TorchServe is gone just now.
        """
        tensors = [Tensor.of(spec.name, spec.datatype, inputs[spec.name]) for spec in self._specs]
        body = msgspec.msgpack.encode(tensors)
        deadline = time.monotonic() + self._seconds
        status, answer = self._ask(body, deadline)
        if status in WORKER_DIED and _code(answer) is None:
            status, answer = self._ask(body, deadline)
        if status != 200:
            _fail(status, answer)
        found = {tensor.name: tensor.array() for tensor in msgspec.msgpack.decode(answer, type=list[Tensor])}
        return {name: found[name] for name in self._outputs}

    def ready(self) -> bool:
        """Whether a worker of this model answers."""
        return self._name is not None and self._supervisor.ready(self._name)

    def break_off(self) -> None:
        """Nothing runs in this process: a thread only waits, and has its own time for that."""

    def close(self) -> None:
        """Have TorchServe let go of it."""
        name, self._name = self._name, None
        if name is not None:
            self._supervisor.remove(name)

    def _ask(self, body: bytes, deadline: float) -> tuple[int, bytes]:
        name, left = self._name, deadline - time.monotonic()
        if name is None:
            raise Unavailable("model", "was closed")
        try:
            return self._supervisor.predict(name, body, PACKED, left)
        except DeadlineExceeded:
            hint = "send fewer rows, or raise serving.torchserve.timeout_seconds"
            raise DeadlineExceeded("TorchServe", f"gave no answer within {self._seconds:g} s", hint=hint) from None


class TorchServeMaker:
    """Starts a TorchServe, and gives it the models.

    Args:
        threads: of each worker.

    Raises:
        InvalidConfig: Java or a package is missing, or TorchServe ends at once.
        Unavailable: it does not start in its time.
    """

    format: Format = "mar"
    platform = "pytorch_torchserve"
    provider = "cpu"

    def __init__(self, settings: TorchServeSection, *, threads: int = 1) -> None:
        self._settings = settings
        self.supervisor = Supervisor(settings, threads=threads)
        self.description = f"{version()} CPU"

    def __call__(self, path: Path, signature: Signature) -> TorchServeRuntime:
        """Have TorchServe load an archive."""
        return TorchServeRuntime(path, signature, self.supervisor, self._settings.timeout_seconds)

    def close(self) -> None:
        """End TorchServe."""
        self.supervisor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _held(path: Path) -> str:
    """What runs inside, with its version: ``TorchScript torch 2.13.0``.

    Raises:
        CorruptData: no archive of ours.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return str(json.loads(archive.read(CONTENTS))["runs"])
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise CorruptData(str(path), "is no archive that `staytrue export` made", hint="export it again") from error


def _code(answer: bytes) -> ErrorCode | None:
    """The code of an error that our handler tells; None where TorchServe itself speaks."""
    try:
        return ErrorCode(json.loads(answer)["code"])
    except (ValueError, KeyError, TypeError):
        return None


def _fail(status: int, answer: bytes) -> NoReturn:
    code = _code(answer)
    if code is not None:
        told = str(json.loads(answer).get("error", ""))
        if code in _REFUSALS:
            raise _REFUSALS[code]("model", told)
        raise RunError(told)
    if status == 503 and b"ServiceUnavailable" in answer:
        raise Overloaded("TorchServe", said(answer), hint="try again")
    if status in WORKER_DIED or status == 404:
        raise Unavailable("TorchServe", f"has no worker for this model: {said(answer)}", hint="try again")
    raise RuntimeError(f"TorchServe answered {status}: {said(answer)}")
