"""TorchScript, for those who load it themselves; text inputs are given as codes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch

from export.example import tensors

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from staytrue.signature import Signature

_DEPRECATED = r"`torch\.jit\.\w+` is deprecated"


def to_torchscript(
    module: nn.Module, signature: Signature, path: Path, example: tuple[torch.Tensor, ...] | None = None
) -> None:
    """Write the module as TorchScript, by tracing; the parity proof shows that the trace holds at other batch sizes.

    Args:
        example: what is traced with; zeros where there is none. Scripts within the module stay scripts.
    """
    with warnings.catch_warnings():
        # torch deprecates TorchScript in favour of torch.export; people still load it, so it is written while it works.
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=_DEPRECATED)
        # A trace that freezes a number of its example fails the proof at other batch sizes; no need to guess here.
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        with torch.no_grad():
            traced = torch.jit.trace(module, example or tensors(signature), check_trace=False)  # type: ignore[no-untyped-call]
        traced.save(str(path))


def load(path: Path) -> torch.jit.ScriptModule:
    """Load a TorchScript artefact."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=_DEPRECATED)
        loaded: torch.jit.ScriptModule = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    return loaded
