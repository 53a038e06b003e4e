"""Checkpoint: a finished run on disk, and the module built again from it."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import safetensors.torch
import yaml

from staytrue.bundle import PROFILE, digest
from staytrue.checkpoint import CHECKPOINT, WEIGHTS, Checkpoint
from staytrue.errors import CorruptData, NotFound
from staytrue.profile import ReferenceProfile
from staytrue.records import read, to_json, write_atomically
from training.data.encode import ColumnState
from training.models.regressor import Regressor, Scale, assemble

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.project import Project

CONFIGURATION = "project.yaml"
METRICS = "metrics.jsonl"
CURVE = "learning_curve.png"
SPLIT = "split.json"
DATA = "data.json"


def new_run(runs: Path) -> Path:
    """Claim a folder for a run; names sort by time."""
    while True:
        folder = runs / datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S-%f")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder


def newest_run(runs: Path, name: str) -> Path:
    """The newest finished run of a model that was not a retraining: those are published by their own job.

    Raises:
        NotFound: there is none.
    """
    for path in sorted(runs.glob(f"*/{CHECKPOINT}"), reverse=True):
        checkpoint = read(Checkpoint, path)
        if checkpoint.name == name and not checkpoint.lineage.parent:
            return path.parent
    raise NotFound(str(runs), f'holds no finished run of "{name}"', hint="`staytrue train` makes one")


def save_weights(model: Regressor, folder: Path) -> str:
    """Write the weights as safetensors; their SHA-256."""
    weights = {name: value.contiguous() for name, value in model.head.state_dict().items()}
    write_atomically(folder / WEIGHTS, safetensors.torch.save(weights))
    return digest(folder / WEIGHTS).sha256


def save_configuration(project: Project, folder: Path) -> None:
    """Write the configuration as resolved, defaults included; secrets stay masked."""
    text = yaml.safe_dump(project.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_atomically(folder / CONFIGURATION, text.encode())


def finish(checkpoint: Checkpoint, profile: ReferenceProfile, folder: Path) -> None:
    """Write the profile, then the record: a folder with the record is a finished run."""
    write_atomically(folder / PROFILE, to_json(profile))
    write_atomically(folder / CHECKPOINT, to_json(checkpoint))


def describe(model: Regressor, arguments: dict[str, Any], scale: Scale) -> tuple[dict[str, Any], dict[str, Any]]:
    """``Checkpoint.model`` and ``Checkpoint.preprocessing`` of a module."""
    states = [msgspec.to_builtins(state) for state in model.encoder.states]
    return {"body": arguments, "scale": msgspec.to_builtins(scale)}, {"columns": states}


def load(folder: Path) -> tuple[Checkpoint, ReferenceProfile, Regressor]:
    """Read a finished run and build its module again.

    Raises:
        NotFound: no finished run there.
        CorruptData: the weights are not those that were saved, or do not fit the architecture.
    """
    if not (folder / CHECKPOINT).is_file():
        raise NotFound(str(folder), "holds no finished run", hint="`staytrue train` makes one")
    checkpoint = read(Checkpoint, folder / CHECKPOINT)
    path = folder / WEIGHTS
    if not path.is_file() or digest(path).sha256 != checkpoint.weights_sha256:
        raise CorruptData(str(path), expected=f"SHA-256 {checkpoint.weights_sha256[:16]}…", got="other bytes or none")
    try:
        states = msgspec.convert(checkpoint.preprocessing["columns"], list[ColumnState])
        scale = msgspec.convert(checkpoint.model["scale"], Scale)
        model = assemble(states, checkpoint.architecture, checkpoint.model["body"], scale)
        model.head.load_state_dict(safetensors.torch.load_file(path))
    except (msgspec.ValidationError, KeyError, TypeError, RuntimeError) as error:
        raise CorruptData(str(folder), f"does not describe a module: {error}") from error
    model.eval()
    return checkpoint, read(ReferenceProfile, folder / PROFILE), model
