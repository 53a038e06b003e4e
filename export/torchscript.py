"""TorchScript, for those who load it themselves; text inputs are given as codes."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from export.example import tensors
from export.layers import apart
from staytrue.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import nn

    from staytrue.signature import Signature

Tensors = tuple[torch.Tensor, ...]

_NO_PART = "no part of it can be scripted so that it holds"
_HINT = "have its forward decide by torch.where, or write what decides so that torch.jit.script takes it"
_OWN = str(Path(torch.__file__).parent)
"""Where layers of PyTorch's own warn of checks that decide nothing."""
_FROZEN = ("Converting a tensor to a Python", "Iterating over a tensor")
"""How the tracer says that a number became one of Python's, which it cannot follow."""
_DEPRECATED = r"`torch\.jit\.\w+` is deprecated"


TRACED = "traced"
_NEAR = (1e-3, 1e-3)
"""What a trace is held to beside the module: another way through its code differs by more; the proof is stricter."""


def to_torchscript(
    module: nn.Module,
    signature: Signature,
    path: Path,
    example: Tensors | None = None,
    others: Sequence[Tensors] = (),
) -> str:
    """Write the module as TorchScript; how, in words.

    It is traced. Where that fails, or says that it froze a decision, or the trace answers other inputs otherwise than
    the module, what hangs on values or lengths is scripted: the module, or as large parts of it as PyTorch can script,
    and the trace goes around these. The parity proof shows that it holds on all rows and batch sizes.

    Args:
        example: what is traced with; zeros where there is none. Scripts within the module stay scripts.
        others: more inputs that the module takes, of other sizes and values.

    Raises:
        Unsupported: it has no such form; says what to do.
    """
    given = example or tensors(signature)
    with _quietly(), torch.no_grad():
        made, fault, warned = _traced(module, given, others)
        said = TRACED
        if fault or warned:
            written, parts = _scripted(module, given, others)
            if written is not None:
                made, said = written, f"scripted {parts}: {fault or warned}"
            elif made is None:
                raise Unsupported("TorchScript", f"{fault}, and {_NO_PART}", hint=_HINT)
            elif fault:  # the proof will refuse it, and name the layer
                said = f"{TRACED}, though {fault}, and {_NO_PART}: {_HINT}"
        made.save(str(path))  # type: ignore[union-attr]
    return said


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    with warnings.catch_warnings():
        # torch deprecates TorchScript in favour of torch.export; people still load it, so it is written while it works.
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=_DEPRECATED)
        yield


def _traced(
    module: nn.Module, given: Tensors, others: Sequence[Tensors]
) -> tuple[torch.jit.ScriptModule | None, str, str]:
    """The trace, what is wrong with it, and what it warned of: that a decision by numbers was frozen."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        try:
            made: torch.jit.ScriptModule = torch.jit.trace(module, given, check_trace=False)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001 - whatever its forward raises
            return None, f"tracing it fails: {type(error).__name__}: {' '.join(str(error).split())[:200]}", ""
    said = [
        str(one.message)
        for one in heard
        if not one.filename.startswith(_OWN) and issubclass(one.category, torch.jit.TracerWarning)  # type: ignore[attr-defined]
    ]
    frozen = any(any(what in message for what in _FROZEN) for message in said)
    return made, _differs(made, module, [given, *others]), "its trace warns that it froze a decision" if frozen else ""


def _differs(made: torch.jit.ScriptModule, module: nn.Module, inputs: Sequence[Tensors]) -> str:
    """Why a script does not stand for the module; nothing where it answers alike."""
    for some in inputs:
        want = module(*some)
        try:
            have = made(*some)
        except Exception as error:  # noqa: BLE001 - whatever its operators raise
            return f"its trace fails on other inputs: {type(error).__name__}"
        if said := apart(want, have, *_NEAR):
            return f"its trace answers other inputs otherwise ({said})"
    return ""


def _scripted(
    module: nn.Module, given: Tensors, others: Sequence[Tensors]
) -> tuple[torch.jit.ScriptModule | None, str]:
    """The module with its largest parts scripted that can be, and which; nothing where that does not hold either."""
    try:
        made = torch.jit.script(module)
        whole = not _differs(made, module, [given, *others])
    except Exception:  # noqa: BLE001 - PyTorch's compiler raises a class of its own for every reason
        whole = False
    if whole:
        return made, "whole"
    parts = list(_parts(module, ""))
    try:
        for _, parent, name, script, _ in parts:
            setattr(parent, name, script)
        traced, fault, _ = _traced(module, given, ())
    finally:
        for _, parent, name, _, own in parts:
            setattr(parent, name, own)
    if not parts or traced is None or fault or _differs(traced, module, [given, *others]):
        return None, ""
    return traced, ", ".join(part[0] for part in parts)[:200]


def _parts(parent: nn.Module, path: str) -> Iterator[tuple[str, nn.Module, str, Any, nn.Module]]:
    """Of each largest part that can be scripted and has a forward of its own: path, parent, name, script, itself."""
    for name, child in parent.named_children():
        where = f"{path}.{name}".lstrip(".")
        if type(child).__module__.startswith("torch."):  # of layers, which decide nothing, or of a container's parts
            yield from _parts(child, where)
            continue
        try:
            script = torch.jit.script(child)
        except Exception:  # noqa: BLE001 - as above
            yield from _parts(child, where)
        else:
            yield where, parent, name, script, child


def load(path: Path) -> torch.jit.ScriptModule:
    """Load a TorchScript artefact."""
    with _quietly():
        loaded: torch.jit.ScriptModule = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    return loaded
