"""Reading: the tensors of files of weights, by name; nothing that a file holds is ever run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
import torch

from staytrue.bundle import digest
from staytrue.checkpoint import CHECKPOINT, WEIGHTS, Checkpoint
from staytrue.errors import CorruptData, InvalidConfig, Unsupported
from staytrue.nearest import meant
from staytrue.records import read as read_record
from staytrue.weights import files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torch import Tensor

REFUSED = re.compile(r"Unsupported (?:global|class).*")
"""How PyTorch says that a file names more than tensors."""


def read(weights: Path, key: str = "") -> dict[str, Tensor]:
    """All tensors of a file or folder, on the processor; ``key`` says where in a PyTorch file they are.

    Raises:
        NotFound: a file is missing.
        CorruptData: one cannot be read, or is not what a run of ours saved.
        Unsupported: one holds more than tensors.
        InvalidConfig: there is nothing under the key, or without one several things might be meant.
    """
    tensors: dict[str, Tensor] = {}
    for path in files(weights):
        _check_run(path)
        tensors |= _safe(path) if path.suffix == ".safetensors" else _state(path, key)
    return tensors


def _check_run(path: Path) -> None:
    """A run's weights are those that its record names."""
    record = path.parent / CHECKPOINT
    if path.name == WEIGHTS and record.is_file():
        wanted = read_record(Checkpoint, record).weights_sha256
        if digest(path).sha256 != wanted:
            raise CorruptData(str(path), expected=f"SHA-256 {wanted[:16]}…", got="other bytes")


def _safe(path: Path) -> dict[str, Tensor]:
    try:
        held: dict[str, Tensor] = safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise CorruptData(str(path), f"is not safetensors: {error}") from error
    return held


def _state(path: Path, key: str) -> dict[str, Tensor]:
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
    return _under(held, key, path)


def _under(held: Any, key: str, path: Path) -> dict[str, Tensor]:
    """The tensors under a key, or the only tensors there are."""
    for name in filter(None, key.split(".")):
        if not isinstance(held, dict) or name not in held:
            known = ", ".join(map(str, held)) if isinstance(held, dict) else "no names"
            raise InvalidConfig("training.transfer.key", f"{path} has no {name!r}", got=known[:200])
        held = held[name]
    if own := _tensors(held):
        return own
    found = _nested(held)
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise InvalidConfig(str(path), expected="tensors by name", got=type(held).__name__)
    names, question = ", ".join(found), meant("model", found)
    raise InvalidConfig("training.transfer.key", expected=f"one of {names}", got="none", hint=question)


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
