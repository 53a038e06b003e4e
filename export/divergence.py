"""Divergence: where an artefact that failed its proof first differs from its module, by layer or node.

Three things stand between a module and what is served: the program captured of it, the graph written of that, and what
the runtime makes of the graph. Each is run beside the one before, operator by operator, until one differs.
"""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import onnx
import torch

from export import losses, nodes, program, torchscript
from export.example import eager_inputs
from export.layers import apart, called, recorded
from export.onnx import converted, finish
from export.recorder import Recorder
from staytrue.bundle import REDUCED

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn
    from torch.export import ExportedProgram

    from staytrue.bundle import Format
    from staytrue.sections import ExportSection
    from staytrue.signature import Signature

MOST_ROWS = 64
"""Rows that are looked at: a batch beyond that is cut."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """An artefact that failed, and the rows on which it did; texts with a tokenizer are token ids by now."""

    kind: Format
    path: Path
    module: nn.Module
    signature: Signature
    rows: dict[str, NDArray[Any]]
    settings: ExportSection

    def differs(self) -> str:
        """The first node or layer that differs, in words; why none is named, where that cannot be told."""
        try:
            return self._differs()
        except Exception as error:  # noqa: BLE001 - the failed proof is what is to be told, whatever fails in its search
            said = " ".join(str(error).split())[:200]
            return f"where it begins to differ could not be found: {type(error).__name__}: {said}"

    def depends(self) -> str:
        """The first layer whose answer to a row hangs on the rows beside it, in words."""
        inputs = self._inputs
        plain = recorded(self.module, inputs)
        copied = recorded(self.module, tuple(one[:1].expand(one.shape).contiguous() for one in inputs))
        turned = recorded(self.module, tuple(one.flip(0) for one in inputs))
        for call, other, last in zip(plain, copied, turned, strict=False):
            if _rows_depend(_tuple(call.made), _tuple(other.made), _tuple(last.made), self._near):
                return f"its rows depend on their neighbours, first in {called(call.layer, call.kind)}"
        return "its rows depend on their neighbours"

    @property
    def _inputs(self) -> tuple[torch.Tensor, ...]:
        rows = {name: array[:MOST_ROWS] for name, array in self.rows.items()}
        return eager_inputs(self.signature, rows)

    @property
    def _near(self) -> tuple[float, float]:
        return self.settings.absolute_tolerance, self.settings.relative_tolerance

    def _differs(self) -> str:
        if self.kind == "mar":
            return self._archived()
        if self.kind == "torchscript":
            return self._scripted(self.path)
        written = converted(self.module, self.signature, self.settings.max_batch)
        decomposed = written.exported_program
        told = Recorder(self._captured() if decomposed is None or self.kind == "pt2" else decomposed)
        if self.kind in REDUCED:
            return self._lost(written, told)
        told.record(self._inputs)
        if said := self._captured_otherwise(told):
            return said
        if self.kind == "pt2":
            return self._programmed(told)
        graph = self.path if self.kind == "onnx" else None
        return nodes.first_difference(graph, self.path, written, told, self.signature, self.rows, self._near)

    def _lost(self, written: torch.onnx.ONNXProgram, told: Recorder) -> str:
        """The node of an artefact of fewer bits that loses most, beside the graph in 32 written anew."""
        with TemporaryDirectory(prefix="staytrue-") as folder:
            path = Path(folder, "model.onnx")
            written.save(str(path), external_data=False)
            finish(path, self.signature)
            whole = onnx.load(path)
        layers, ends = told.layers(), told.output_names(len(self.signature.outputs))
        names = dict(zip((spec.name for spec in self.signature.outputs), ends, strict=True))
        rows = {name: array[:MOST_ROWS] for name, array in self.rows.items()}
        return losses.largest(
            whole, onnx.load(self.path), rows, lambda name: called(layers.get(names.get(name, name.rstrip("_")), ""))
        )

    def _captured(self) -> ExportedProgram:
        with program.quiet():
            return program.captured(self.module, self.signature, self.settings.max_batch)

    def _captured_otherwise(self, told: Recorder) -> str:
        """The first layer whose operators, as captured, do not give what the layer itself gives."""
        calls = recorded(self.module, self._inputs)
        if not apart(_tuple(calls[-1].made), told.outputs, *self._near):
            return ""
        layers = told.layers()
        for call in calls[:-1]:
            if sum(one.layer == call.layer for one in calls) > 1:
                continue  # which of its calls an operator is of is not told
            inside = [name for name in told.values if _within(layers[name], call.layer)]
            if inside and (said := apart(call.made, told.values[inside[-1]], *self._near)):
                return f"{called(call.layer, call.kind)} is captured otherwise than it computes: {said}"
        return "the model's own forward is captured otherwise than it computes"

    def _programmed(self, told: Recorder) -> str:
        """The first operator of a program on disk that gives another value than the one captured now."""
        read = Recorder(torch.export.load(self.path))
        read.record(self._inputs)
        layers = told.layers()
        for name, value in told.values.items():
            if name in read.values and (said := apart(value, read.values[name], *self._near)):
                return f'node "{name}" (from {called(layers[name])}) differs first: {said}'
        return ""

    def _scripted(self, path: Path) -> str:
        """The first layer of a TorchScript that, given what the module's own was given, gives something else."""
        loaded = torchscript.load(path)
        layers = dict(loaded.named_modules())
        for call in recorded(self.module, self._inputs):
            try:
                made = layers[call.layer](*call.given)
            except (KeyError, RuntimeError, AttributeError, TypeError):  # inlined, or traced with other arguments
                continue
            if said := apart(call.made, made, *self._near):
                return f"{called(call.layer, call.kind)} differs first: {said}"
        return ""

    def _archived(self) -> str:
        """What is inside an archive, as if it stood by itself."""
        inside, kind = ("model.onnx", "onnx") if self.settings.archive == "onnx" else ("model.ts", "torchscript")
        with TemporaryDirectory(prefix="staytrue-") as folder, zipfile.ZipFile(self.path) as archive:
            path = Path(archive.extract(inside, folder))
            return dataclasses.replace(self, kind=kind, path=path).differs()  # type: ignore[arg-type]


def _rows_depend(
    plain: tuple[Any, ...], copied: tuple[Any, ...], turned: tuple[Any, ...], near: tuple[float, float]
) -> bool:
    """Whether the first row is another beside its own copies, or any row in the opposite order."""
    tensors = (some for some in zip(plain, copied, turned, strict=False) if all(_has_rows(one) for one in some))
    return any(bool(apart(a[:1], b[:1], *near) or apart(a, c.flip(0), *near)) for a, b, c in tensors)


def _has_rows(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim > 0


def _within(layer: str, outer: str) -> bool:
    return layer == outer or layer.startswith(f"{outer}.")


def _tuple(made: Any) -> tuple[Any, ...]:
    return tuple(made) if isinstance(made, tuple | list) else (made,)
