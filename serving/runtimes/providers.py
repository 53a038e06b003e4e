"""Where ONNX Runtime runs: the provider that was asked for, or a clear refusal, never something slower in its place."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Literal

import onnxruntime as ort

from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

Provider = Literal["cpu", "cuda", "tensorrt", "openvino"]
_NAMES: dict[Provider, list[str]] = {
    "cpu": ["CPUExecutionProvider"],
    # The processor stays behind a device for operators that it does not have, those of text above all.
    "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
    "tensorrt": ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
    "openvino": ["OpenVINOExecutionProvider", "CPUExecutionProvider"],
}
_SHOWN: dict[Provider, str] = {"cpu": "CPU", "cuda": "CUDA", "tensorrt": "TensorRT", "openvino": "OpenVINO"}
_NUMBERED = ("cuda", "tensorrt")
"""Providers that choose among devices by number; OpenVINO takes the processor, or what its own settings say."""
_CUDA = {
    "arena_extend_strategy": "kSameAsRequested",  # not twice as much each time: versions share the GPU, two in a reload
    "cudnn_conv_algo_search": "HEURISTIC",  # the exhaustive search runs anew for each size of a batch, in that request
    "do_copy_in_default_stream": "1",  # copying beside computing is open to races, as ONNX Runtime's manual warns
}
"""Options of CUDA. Source: https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html"""
_INSTALL: dict[Provider, str] = {
    "cuda": "needs an NVIDIA GPU and the extra [gpu], see docs/gpu.md; or set serving.provider: cpu",
    "tensorrt": "needs an NVIDIA GPU and the extra [gpu], see docs/gpu.md; or set serving.provider: cpu",
    "openvino": "needs the package onnxruntime-openvino, see docs/gpu.md; or set serving.provider: cpu",
}
_SILENT = 4
_SMALLEST = (
    b'\x08\x08:3\n\x0c\n\x01x\x12\x01y"\x04Relu\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)
"""A graph of one Relu as ONNX writes it: what shows whether a device is there before any model is."""


def describe(provider: Provider, device_id: int) -> str:
    """For people: ``onnxruntime 1.32.0 CPU``, ``onnxruntime 1.32.0 CUDA device 0``."""
    device = f" device {device_id}" if provider in _NUMBERED else ""
    return f"onnxruntime {ort.__version__} {_SHOWN[provider]}{device}"


def arguments(provider: Provider, device_id: int, memory_bytes: int | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Providers of a session with their options, in the order in which operators are given to them.

    Args:
        provider: the first of them.
        device_id: which of its devices.
        memory_bytes: the most that the session's arena on a GPU may take; nothing: all that is free.
    """
    on_device = {"device_id": str(device_id)} if provider in _NUMBERED else {}
    limit = {} if memory_bytes is None else {"gpu_mem_limit": str(memory_bytes)}
    options = {"CPUExecutionProvider": {}, "CUDAExecutionProvider": on_device | _CUDA | limit}
    return [(name, options.get(name, on_device)) for name in _NAMES[provider]]


def demand(provider: Provider, got: Sequence[str], why: str = "") -> None:
    """Refuse when the provider that was asked for is not among those that are there.

    Raises:
        InvalidConfig: says what there is, and what to do.
    """
    wanted = _NAMES[provider][0]
    if wanted not in got:
        where = f"serving.provider {provider}"
        raise InvalidConfig(where, why, expected=wanted, got=", ".join(got) or "none", hint=_INSTALL.get(provider, ""))


def check(provider: Provider, device_id: int) -> None:
    """Load a smallest graph on the device, where it is another than the processor.

    Raises:
        InvalidConfig: ONNX Runtime was built without the provider, or finds no such device.
    """
    demand(provider, ort.get_available_providers(), "is not in this ONNX Runtime")
    if provider == "cpu":  # always there
        return
    if provider in _NUMBERED and hasattr(ort, "preload_dlls"):
        with contextlib.redirect_stdout(sys.stderr):
            ort.preload_dlls()  # CUDA and cuDNN that pip has installed, which the loader would not find by itself
    options = ort.SessionOptions()
    options.log_severity_level = _SILENT  # the error that is raised says it
    try:
        session = ort.InferenceSession(_SMALLEST, options, providers=arguments(provider, device_id), enable_fallback=0)
    except Exception as error:
        where, said = f"serving.provider {provider}", first_line(error)
        raise InvalidConfig(
            where, f"device {device_id} cannot be used: {said}", hint=_INSTALL.get(provider, "")
        ) from error
    demand(provider, session.get_providers(), f"device {device_id} was not found")


def first_line(error: Exception) -> str:
    """The first line of what ONNX Runtime says, which may go on for pages."""
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
