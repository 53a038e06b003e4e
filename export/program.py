"""torch.export: the module as a graph, which ONNX is made of, and as a ``.pt2`` for those who load it with PyTorch."""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from typing import TYPE_CHECKING, Any

import torch

from export.example import EXAMPLE_BATCH, tensors
from staytrue.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import nn
    from torch.export import ExportedProgram

    from staytrue.signature import Signature, TensorSpec

_KNOWN_WARNINGS = (
    # The exporter's own steps warn each other; nothing in them is for who exports.
    (UserWarning, "Anomaly Detection has been enabled"),
    (UserWarning, "# The axis name: batch will not be used"),
    (UserWarning, r"The tensor attributes? .*\._flat_weights"),  # recurrent cells list their weights once more
    (FutureWarning, r"`isinstance\(treespec, LeafSpec\)` is deprecated"),
)
_DECIDES = ("GuardOnDataDependent", "data-dependent", "DataDependent", "Data dependent")
"""How it says that Python asked for a number that only running tells."""
_LINE = re.compile(r'File "([^"]+)", line (\d+), in (\w+)')
_FIXED = "specialized it to be a constant"
"""What torch.export says of an axis that was to be free."""
_ORIGIN = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node", "custom")
"""Notes of a node: lines of source, paths of the machine, names of modules."""


def captured(module: nn.Module, signature: Signature, max_batch: int) -> ExportedProgram:
    """The module as a graph, for any batch up to a maximum. ONNX's exporter would take recurrent cells apart.

    Raises:
        Unsupported: the module has no such form.
    """
    # torch.export specialises on a batch that the range excludes; the server holds the smaller maximum.
    batch = torch.export.Dim("batch", min=1, max=max(max_batch, EXAMPLE_BATCH))
    shapes = tuple(_free(spec, batch, by_row=signature.rows != "none") for spec in signature.inputs)
    try:
        return torch.export.export(module, tensors(signature), dynamic_shapes=_for_forward(module, shapes))
    except Exception as error:  # torch raises a class of its own for every reason
        raise _uncaptured(signature, error) from error


def _uncaptured(signature: Signature, error: Exception) -> Unsupported:
    """What is told of a module that torch.export does not capture, and what to do about it."""
    said, kind = str(error), type(error).__name__
    hint = (
        "or leave onnx and pt2 out, and what is made of them: export.formats: [torchscript], which scripts control flow"
    )
    if any(mark in kind or mark in said for mark in _DECIDES):
        lines = [one for one in _LINE.findall(said) if "/torch/" not in one[0]]
        at = f" ({lines[-1][0].rsplit('/', 1)[-1]}, line {lines[-1][1]}, in {lines[-1][2]})" if lines else ""
        what = f"its forward decides by values of its inputs{at}, and a captured graph can follow one way alone"
        way = (
            "write an `if` with torch.cond or torch.where, a loop with torch.while_loop or as one operator of all steps"
        )
        return Unsupported("torch.export", what, hint=f"{way}; {hint}")
    if _FIXED in said:
        return Unsupported("torch.export", _fixed(signature), hint=hint)
    return Unsupported("torch.export", f"captures no graph of it: {kind}: {' '.join(said.split())[:500]}", hint=hint)


def to_program(module: nn.Module, signature: Signature, path: Path, max_batch: int) -> None:
    """Write the module as a ``.pt2``, without a word of where it was made; texts are given as codes, as in TorchScript.

    Raises:
        Unsupported: the module has no such form.
    """
    with quiet():
        program = captured(module, signature, max_batch)
    for inner in program.graph_module.modules():
        if isinstance(inner, torch.fx.GraphModule):
            for node in inner.graph.nodes:
                for note in _ORIGIN:
                    node.meta.pop(note, None)
    program._example_inputs = None  # noqa: SLF001 - they would be a pickle inside the file, and are but zeros
    torch.export.save(program, path)


def load(path: Path) -> Callable[..., Any]:
    """What runs a ``.pt2``: takes and gives what the module's ``forward`` does."""
    loaded: Callable[..., Any] = torch.export.load(path).module()
    return loaded


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the known warnings of the exporter."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)  # it warns of a torchvision that nobody needs
    try:
        with warnings.catch_warnings():
            for category, message in _KNOWN_WARNINGS:
                warnings.filterwarnings("ignore", category=category, message=message)
            yield
    finally:
        registration.setLevel(level)


def _fixed(signature: Signature) -> str:
    free = [f'"{spec.name}" {spec.shape}' for spec in signature.inputs if -1 in spec.shape[1:]]
    hint = (
        "recurrent cells, and loops of Python over an axis, are captured for one length: tell that in the signature, "
    )
    hint += "and fill up what is shorter"
    return f"the signature has free sizes, {', '.join(free)}, and the model's operators are for one alone; {hint}"


def _free(spec: TensorSpec, batch: Any, *, by_row: bool) -> dict[int, Any] | None:
    """Axes of any size: that of the rows up to the largest batch, others as large as the module takes."""
    free = {axis: torch.export.Dim.DYNAMIC for axis, size in enumerate(spec.shape) if size < 0 and not spec.tokenizer}
    if by_row and spec.shape[:1] == [-1]:
        free[0] = batch
    return free or None


def _for_forward(module: nn.Module, shapes: tuple[Any, ...]) -> tuple[Any, ...]:
    """Dynamic shapes as torch.export wants them: one more level where ``forward`` takes ``*inputs``."""
    code = module.forward.__code__
    takes_any = bool(code.co_flags & 0x04)
    named = code.co_argcount - 1
    return (*shapes[:named], shapes[named:]) if takes_any else shapes
