"""ONNX Runtime on the processor: the default, and what every parity proof and gate runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from staytrue.errors import CorruptData, InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.signature import Signature

_LOG_ERRORS_ONLY = 3


class OnnxRuntime:
    """One session.

    Raises:
        CorruptData: ONNX Runtime cannot load the file, or its inputs and outputs are not the signature's.
    """

    def __init__(self, path: Path, signature: Signature, *, threads: int = 1) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _LOG_ERRORS_ONLY
        try:
            self._session: Any = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises a class of its own for every status
            raise CorruptData(str(path), f"ONNX Runtime cannot load it: {_first_line(error)}") from error
        self._outputs = [spec.name for spec in signature.outputs]
        self._match(
            "input", [spec.name for spec in signature.inputs], [i.name for i in self._session.get_inputs()], path
        )
        self._match("output", self._outputs, [o.name for o in self._session.get_outputs()], path)
        self.description = f"onnxruntime {ort.__version__} CPU"

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the graph; see :class:`serving.runtimes.base.Runtime`.

        Raises:
            InvalidInput: the graph refused these values, an index out of range for example.
            Unavailable: after ``close``.
        """
        session = self._session
        if session is None:
            raise Unavailable("model", "was closed")
        try:
            values = session.run(self._outputs, dict(inputs))
        except InvalidArgument as error:  # any other failure, memory that ran out for example, is not the caller's
            raise InvalidInput("model", f"could not run on this input: {_first_line(error)}") from error
        return dict(zip(self._outputs, values, strict=True))

    def close(self) -> None:
        """Free the session."""
        self._session = None

    @staticmethod
    def _match(side: str, wanted: list[str], found: list[str], path: Path) -> None:
        if set(wanted) != set(found):
            raise CorruptData(str(path), expected=f"{side}s {sorted(wanted)}", got=str(sorted(found)))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
