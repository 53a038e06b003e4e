"""Reading: the tensors of files of weights, by name; nothing that a file holds is ever run."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import safetensors

from export.importing.weights import safe, state
from staytrue.bundle import digest
from staytrue.checkpoint import CHECKPOINT, WEIGHTS, Checkpoint
from staytrue.errors import CorruptData, StaytrueError
from staytrue.records import read as read_record
from staytrue.weights import SETTING, WHOLE, files

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from staytrue.transferring import TransferSection


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
        try:
            tensors |= safe(path) if path.suffix == ".safetensors" else state(path, key, "training.transfer.key")
        except StaytrueError as error:
            raise _named(error, path) from error
    return tensors


def check(settings: TransferSection) -> None:
    """Look at files before data are read: whether they are there, and as long as they say that they are.

    Raises:
        NotFound: a file is missing.
        CorruptData: one is cut off.
    """
    for path in [] if settings.weights is None else files(settings.weights):
        if path.suffix == ".safetensors":
            try:
                with safetensors.safe_open(path, framework="pt"):
                    pass
            except safetensors.SafetensorError as error:
                raise CorruptData(SETTING, f"{path} is not safetensors: {error}", hint=WHOLE) from error
        else:
            with path.open("rb") as file:
                packed = file.read(2) == b"PK"
            if packed and not zipfile.is_zipfile(path):  # its table of contents stands at the end
                raise CorruptData(SETTING, f"{path} is cut off", hint=WHOLE)


def _named(error: StaytrueError, path: Path) -> StaytrueError:
    """The same error by the setting that names the file, with what to do."""
    if error.where != str(path):
        return error
    problem, expected = error.problem and f"{path} {error.problem}", error.expected and f"{error.expected} in {path}"
    return type(error)(SETTING, problem, expected=expected, got=error.got, hint=error.hint or WHOLE)


def _check_run(path: Path) -> None:
    """A run's weights are those that its record names."""
    record = path.parent / CHECKPOINT
    if path.name == WEIGHTS and record.is_file():
        wanted = read_record(Checkpoint, record).weights_sha256
        if digest(path).sha256 != wanted:
            expected = f"SHA-256 {wanted[:16]}… of {path}"
            raise CorruptData(SETTING, expected=expected, got="other bytes", hint=WHOLE)
