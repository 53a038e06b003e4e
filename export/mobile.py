"""ONNX Runtime's own format, ``.ort``: for its small builds on phones and devices, which read no ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnxruntime as ort

from serving.runtimes.halves import session

if TYPE_CHECKING:
    from pathlib import Path


def to_mobile(graph: Path, path: Path) -> None:
    """Write an ONNX file as ``.ort``, optimised as far as holds on any processor: no layout of one kind of them.

    Source: ONNX Runtime, "ORT model format".
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.save_model_format", "ORT")
    options.log_severity_level = 3  # it warns that a file may be of one kind of processor, which this level avoids
    session(graph, options)
