"""ONNX Runtime, on the processor or on a GPU: the default, and what every parity proof and gate runs."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import EPFail, Fail, InvalidArgument, RuntimeException

from serving.runtimes import bfloats
from serving.runtimes.base import RunError
from serving.runtimes.bindings import Bindings, bindings
from serving.runtimes.halves import unsafe
from serving.runtimes.providers import arguments, check, demand, describe, first_line
from serving.runtimes.tokens import front
from staytrue.errors import CorruptData, InvalidConfig, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from serving.runtimes.providers import Provider
    from staytrue.bundle import Format
    from staytrue.signature import Signature

log = logging.getLogger(__name__)
_LOG_FATAL_ONLY = 4
"""Its errors come as exceptions; what it would print beside holds callers' values."""
_FAILED = (InvalidArgument, Fail, RuntimeException, EPFail)
"""What its operators raise, for whatever reason."""
CLOSE_SECONDS = 2.0
"""For a run that is broken off to end: it does between two operators."""


class OnnxRuntime:
    """One session.

    Raises:
        CorruptData: ONNX Runtime cannot load the file, or its inputs and outputs are not the signature's; or a
            tokenizer beside it, which the signature names, cannot be read.
        InvalidConfig: the provider is not in this ONNX Runtime, or it does not find its device; or there is a tokenizer
            and the library for it is not here.
    """

    def __init__(
        self,
        path: Path,
        signature: Signature,
        *,
        threads: int = 1,
        provider: Provider = "cpu",
        device_id: int = 0,
        device_memory_bytes: int | None = None,
    ) -> None:
        self.description = describe(provider, device_id)
        demand(provider, ort.get_available_providers())
        options = _options(signature, provider, threads)
        try:
            self._session: Any = ort.InferenceSession(
                str(path),
                options,
                providers=arguments(provider, device_id, device_memory_bytes),
                enable_fallback=0,
                disabled_optimizers=unsafe(path),
            )
        except Exception as error:  # ONNX Runtime raises a class of its own for every status
            raise CorruptData(str(path), f"ONNX Runtime cannot load it: {first_line(error)}") from error
        demand(provider, self._session.get_providers())
        sides = [*self._session.get_inputs(), *self._session.get_outputs()]
        self._brain = {side.name for side in sides if side.type == bfloats.TYPE}
        if self._brain and any(side.type == "tensor(string)" for side in sides):
            raise CorruptData(str(path), "has texts and bfloat16, which ONNX Runtime's Python cannot take together")
        self._how, self._running = _run_options(), set[int]()
        """Of all runs; and threads that are in one."""
        self._outputs = [spec.name for spec in signature.outputs]
        self._match(
            "input", [spec.name for spec in signature.inputs], [i.name for i in self._session.get_inputs()], path
        )
        self._match("output", self._outputs, [o.name for o in self._session.get_outputs()], path)
        self._bindings = self._bound(provider, device_id)
        self._front = front(signature, path.parent)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the graph; see :class:`serving.runtimes.base.Runtime`.

        Raises:
            RunError: the graph failed in this run: an index out of range, sizes that do not fit, memory that ran out.
            InvalidInput: a text that cannot be made tokens.
            Unavailable: after ``close``.
        """
        if self._front is not None:
            inputs = self._front(inputs)
        thread, how = threading.get_ident(), self._how
        self._running.add(thread)
        try:
            return self._run(inputs, how)
        except Exception as error:
            if how.terminate and not isinstance(error, Unavailable):
                raise Unavailable("model", "was closed during a run, or the run broken off") from error
            if isinstance(error, _FAILED):
                raise RunError(str(error)) from error
            raise
        finally:
            self._running.discard(thread)

    def ready(self) -> bool:
        """A session in this process runs for as long as it is open."""
        return self._session is not None

    def break_off(self) -> None:
        """End what runs now, between two operators; see :class:`serving.runtimes.base.Runtime`."""
        how, self._how = self._how, _run_options()
        how.terminate = True

    def close(self) -> None:
        """Free the session, and break off what still runs: it is closed once all runs have ended, or stalled."""
        self._session = self._bindings = None
        self._how.terminate = True
        until = time.monotonic() + CLOSE_SECONDS
        while self._running:
            if time.monotonic() > until:
                log.warning("a run does not end though its model was closed: its operator takes too long")
                return
            time.sleep(0.002)

    def _run(self, inputs: Mapping[str, NDArray[Any]], how: Any) -> dict[str, NDArray[Any]]:
        """Over buffers that stay, where there are any and their answers are to be trusted; else the plain way."""
        session, bindings = self._session, self._bindings
        if session is None:
            raise Unavailable("model", "was closed")
        bound, failed = None, ""
        if bindings is not None:
            try:
                bound = bindings.run(inputs, how)
            except Exception as error:  # noqa: BLE001 - whose fault it is shows only on the plain way
                failed = first_line(error)
            if bound is not None and bindings.proven:
                return bound
        plain = self._run_plain(session, inputs, how)
        if bindings is not None and bound is not None:
            failed = bindings.differs(bound, plain)
        if failed:
            self._bindings = None
            log.warning("a model runs without buffers that stay from now on: %s", failed)
        return plain

    def _run_plain(self, session: Any, inputs: Mapping[str, NDArray[Any]], how: Any) -> dict[str, NDArray[Any]]:
        if self._brain:
            return bfloats.run(session, self._outputs, inputs, self._brain, how)
        return dict(zip(self._outputs, session.run(self._outputs, dict(inputs), how), strict=True))

    def _bound(self, provider: Provider, device_id: int) -> Bindings | None:
        try:
            return bindings(self._session, self._outputs, provider, device_id)
        except Exception as error:  # noqa: BLE001 - a slower way remains, with the same answers
            log.warning("a model runs without buffers that stay: %s", first_line(error))
            return None

    @staticmethod
    def _match(side: str, wanted: list[str], found: list[str], path: Path) -> None:
        if set(wanted) != set(found):
            raise CorruptData(str(path), expected=f"{side}s {sorted(wanted)}", got=str(sorted(found)))


def _options(signature: Signature, provider: Provider, threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _LOG_FATAL_ONLY
    # Threads that wait for a next run spin as they come, for many times as long as a small model takes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A plan of memory is made and kept for each shape, each a block of its own: with batches of any size an arena
    # falls to pieces and grows for as long as new sizes come, by half of what the largest batch needs.
    options.enable_mem_pattern = all(size >= 0 for spec in signature.inputs for size in spec.shape)
    # An arena keeps what the largest batch needed, each version its own. Without one all versions share the memory of
    # the C library, which gives back what is free; runs take as long.
    options.enable_cpu_mem_arena = provider != "cpu"
    return options


def _run_options() -> ort.RunOptions:
    options = ort.RunOptions()
    # No capture of graphs, as it comes. ONNX Runtime's Python looks for this entry before each run over buffers that
    # stay, and what is not there costs an exception in C++, as much as a small model.
    options.add_run_config_entry("gpu_graph_id", "-1")
    return options


class OnnxMaker:
    """Makes sessions on one device.

    Args:
        provider: where models run.
        device_id: which of its devices.
        threads: of one run.
        fallback: whether to run on the processor where the provider is not there; that is said, and told in metadata.
        device_memory_bytes: the most that one session may take of a GPU; nothing: all that is free.
        artefact: which of a bundle's it takes.

    Raises:
        InvalidConfig: this ONNX Runtime lacks the provider, or the provider finds no device: before any model is there.
    """

    platform = "onnx_onnxv1"

    def __init__(
        self,
        provider: Provider = "cpu",
        device_id: int = 0,
        *,
        threads: int = 1,
        fallback: bool = False,
        device_memory_bytes: int | None = None,
        artefact: Format = "onnx",
    ) -> None:
        self.format: Format = artefact
        try:
            check(provider, device_id)
        except InvalidConfig as error:
            if not fallback:
                raise
            log.warning("models run on the processor, as serving.provider_fallback allows: %s", error)
            provider = "cpu"
        self.provider: str = provider
        self._provider: Provider = provider
        self._device_id, self._threads, self._device_memory_bytes = device_id, threads, device_memory_bytes
        self.description = describe(provider, device_id)

    def __call__(self, path: Path, signature: Signature) -> OnnxRuntime:
        """Load a graph."""
        return OnnxRuntime(
            path,
            signature,
            threads=self._threads,
            provider=self._provider,
            device_id=self._device_id,
            device_memory_bytes=self._device_memory_bytes,
        )

    def close(self) -> None:
        """Nothing is shared."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
