"""The session that every peer runs: ONNX Runtime on one thread, as Staytrue's own."""

from __future__ import annotations

from typing import Any

import onnxruntime as ort


def session(path: str) -> Any:
    """Open an ONNX file."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
