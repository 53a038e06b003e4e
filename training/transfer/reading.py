"""Reading: the tensors of files of weights, by name; nothing that a file holds is ever run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.importing.weights import safe, state
from staytrue.bundle import digest
from staytrue.checkpoint import CHECKPOINT, WEIGHTS, Checkpoint
from staytrue.errors import CorruptData
from staytrue.records import read as read_record
from staytrue.weights import files

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


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
        tensors |= safe(path) if path.suffix == ".safetensors" else state(path, key, "training.transfer.key")
    return tensors


def _check_run(path: Path) -> None:
    """A run's weights are those that its record names."""
    record = path.parent / CHECKPOINT
    if path.name == WEIGHTS and record.is_file():
        wanted = read_record(Checkpoint, record).weights_sha256
        if digest(path).sha256 != wanted:
            raise CorruptData(str(path), expected=f"SHA-256 {wanted[:16]}…", got="other bytes")
