"""bfloat16 through ONNX Runtime's Python, which knows it only as values of its own; float32 to all others."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

TYPE = "tensor(bfloat16)"
_ONNX_BFLOAT16 = 16
"""ONNX's number of the datatype (TensorProto.DataType)."""


def run(
    session: Any, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]], brain: set[str], how: Any
) -> dict[str, NDArray[Any]]:
    """Run a graph some of whose inputs and outputs, ``brain``, are bfloat16; ``how`` are ONNX Runtime's run options."""
    given = {name: _given(array, brain=name in brain) for name, array in inputs.items()}
    values = session.run_with_ort_values(list(outputs), given, how)
    return {name: _taken(value, brain=name in brain) for name, value in zip(outputs, values, strict=True)}


def _given(array: NDArray[Any], *, brain: bool) -> Any:
    if not brain:
        return ort.OrtValue.ortvalue_from_numpy(array)
    halves = (np.ascontiguousarray(array, dtype=np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(halves, _ONNX_BFLOAT16)


def _taken(value: Any, *, brain: bool) -> NDArray[Any]:
    if not brain:
        array: NDArray[Any] = value.numpy()
        return array
    shape = value.shape()
    data = ctypes.string_at(value.data_ptr(), 2 * int(np.prod(shape, dtype=np.int64)))
    return (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(shape)
