"""Weights out of files of PyTorch's own form: tensors alone; nothing that a file holds is ever run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
import torch

from staytrue.errors import CorruptData, InvalidConfig, Unsupported
from staytrue.nearest import meant

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torch import Tensor

REFUSED = re.compile(r"Unsupported (?:global|class).*")
"""How PyTorch says that a file names more than tensors."""


def state(path: Path, key: str, setting: str) -> dict[str, Tensor]:
    """The tensors of a file by name, on the processor; ``key`` says where in it they are, ``setting`` what names it.

    Raises:
        CorruptData: it cannot be read.
        Unsupported: it holds more than tensors.
        InvalidConfig: there is nothing under the key, or without one several things might be meant.
    """
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever its unpickler raises, of a class that is banned here
        more = REFUSED.search(str(error))
        if more is None:
            first = str(error).split("\n", 1)[0][:150]
            raise CorruptData(str(path), f"cannot be read as weights of PyTorch: {first}") from error
        what = f"holds more than tensors ({more[0][:150]}), and to read that would run code out of the file"
        hint = "where you trust it, save module.state_dict() as safetensors and name that file"
        raise Unsupported(str(path), what, hint=hint) from error
    return _under(held, key, path, setting)


def safe(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name.

    Raises:
        CorruptData: it is none.
    """
    try:
        held: dict[str, Tensor] = safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise CorruptData(str(path), f"is not safetensors: {error}") from error
    return held


def _under(held: Any, key: str, path: Path, setting: str) -> dict[str, Tensor]:
    """The tensors under a key, or the only tensors there are."""
    for name in filter(None, key.split(".")):
        if not isinstance(held, dict) or name not in held:
            known = ", ".join(map(str, held)) if isinstance(held, dict) else "no names"
            raise InvalidConfig(setting, f"{path} has no {name!r}", got=known[:200])
        held = held[name]
    if own := _tensors(held):
        return own
    found = _nested(held)
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise InvalidConfig(str(path), expected="tensors by name", got=type(held).__name__)
    names, question = ", ".join(found), meant("model", found)
    raise InvalidConfig(setting, expected=f"one of {names}", got="none", hint=question)


def _tensors(held: Any) -> dict[str, Tensor]:
    if not isinstance(held, dict):
        return {}
    return {name: value for name, value in held.items() if isinstance(name, str) and isinstance(value, torch.Tensor)}


def _nested(held: Any) -> dict[str, dict[str, Tensor]]:
    """Where tensors are, of the first level that has any: what an optimiser remembers lies deeper."""
    level = {"": held}
    while level := {f"{at}.{name}".lstrip("."): value for at, inner in level.items() for name, value in _named(inner)}:
        if found := {at: own for at, inner in level.items() if (own := _tensors(inner))}:
            return found
    return {}


def _named(held: Any) -> Iterable[tuple[Any, Any]]:
    return held.items() if isinstance(held, dict) else ()
