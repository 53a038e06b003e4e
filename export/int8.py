"""int8: weights, and what they are multiplied by, in 8 bits; by ranges of each run, or of some rows once."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType
from onnxruntime.quantization import quantize_dynamic as dynamic
from onnxruntime.quantization import quantize_static as static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from export.weighted import between, weighted
from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from staytrue.reduction import ReductionSection

    Rows = Mapping[str, NDArray[Any]]

_DYNAMIC = ("Conv", "Gather", "Gemm", "MatMul", "LSTM")
_STATIC = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_ALONG = ("Relu", "Clip", "MaxPool")
"""Choose among what they are given: in 8 bits they lose nothing more, and need no way back to 32."""
_AT_ONCE = 32
"""Calibration rows of one run."""
_OPTIONS: dict[str, Any] = {"MatMulConstBOnly": True}
"""A product of two answers, as attention makes, has no weights to save, and loses most."""


def to_dynamic(graph: Path, path: Path) -> str:
    """Write an ONNX file with weights of 8 bits, each output channel with a range of its own; what was done, in words.

    Inputs of its products are brought to 8 bits in each run, by the range of the whole batch. Weights take 7 of the 8
    bits: with all of them processors without VNNI overflow, and answers would hang on where it is served.

    Raises:
        InvalidConfig: there is nothing in it that can be quantised.
    """
    model = onnx.load(graph)
    nodes, said = _chosen(model, _DYNAMIC, "int8_dynamic")
    with tempfile.TemporaryDirectory(prefix="staytrue-") as folder:
        made = Path(folder, path.name)
        dynamic(
            model,
            made,
            op_types_to_quantize=list(_DYNAMIC),
            nodes_to_quantize=[*nodes, *(f"{name}_MatMul" for name in nodes)],  # what it takes a Gemm apart into
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            extra_options=_OPTIONS,
        )
        _keep(made, path)
    return f"weights of {said} in 8 bits, ranges of a run"


def to_static(graph: Path, path: Path, rows: Rows, settings: ReductionSection) -> str:
    """Write an ONNX file that computes in 8 bits (QDQ), by the ranges that some rows reach; what was done, in words.

    Args:
        graph: takes them.
        rows: of the training part, as the graph takes them.

    Raises:
        InvalidConfig: there is nothing in it that can be quantised.
    """
    model = onnx.load(graph)
    nodes, said = _chosen(model, _STATIC, "int8_static")
    nodes += [node.name for node in between(model.graph) if node.op_type in _ALONG]
    method = CalibrationMethod.MinMax if settings.calibration == "minmax" else CalibrationMethod.Percentile
    with tempfile.TemporaryDirectory(prefix="staytrue-") as folder:
        made = Path(folder, path.name)
        static(
            model,
            made,
            _Reader(rows),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*_STATIC, *_ALONG],
            nodes_to_quantize=nodes,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=method,
            extra_options=_OPTIONS | {"CalibPercentile": 99.99},
        )
        _keep(made, path)
    count = len(next(iter(rows.values())))
    return f"{said} in 8 bits, {settings.calibration} ranges of {count} training rows"


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # ships no types
    """Rows, some at a time."""

    def __init__(self, rows: Rows) -> None:
        self._parts = self._divided(rows)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next ones; nothing after the last."""
        return next(self._parts, None)

    @staticmethod
    def _divided(rows: Rows) -> Iterator[dict[str, NDArray[Any]]]:
        for begin in range(0, len(next(iter(rows.values()))), _AT_ONCE):
            yield {name: array[begin : begin + _AT_ONCE] for name, array in rows.items()}


def _chosen(model: onnx.ModelProto, operators: tuple[str, ...], kind: str) -> tuple[list[str], str]:
    """Names of the nodes that are quantised, and what they are in words, with what stays as it is."""
    heavy = weighted(model.graph)
    nodes = [node for node in heavy if node.op_type in operators]
    add_pre_process_metadata(model)  # it would advise to let ONNX Runtime optimise it first, which is done at each load
    left = Counter(node.op_type for node in heavy if node.op_type not in operators)
    if not nodes:
        there = _counted(left) or "no weights"
        expected = f"weights of {', '.join(operators)}, which ONNX Runtime can quantise"
        hint = f"take {kind} out of export.formats; fp16 makes smaller what has weights"
        raise InvalidConfig(f"export.formats: {kind}", expected=expected, got=there, hint=hint)
    said = _counted(Counter(node.op_type for node in nodes))
    return [node.name for node in nodes], f"{said} ({_counted(left)} left in 32)" if left else said


def _counted(operators: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(operators.items()))


def _keep(made: Path, path: Path) -> None:
    """Write what was made, once ONNX's own check takes it."""
    model = onnx.load(made)
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    onnx.save(model, path)
