"""Checkpoint: a finished run on disk, and the module built again from it."""

from __future__ import annotations

import contextlib
import datetime
import os
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import safetensors
import safetensors.numpy
import safetensors.torch
import yaml

from staytrue.bundle import PROFILE, digest
from staytrue.checkpoint import CHECKPOINT, CONFIGURATION, WEIGHTS, Checkpoint
from staytrue.claims import claim
from staytrue.errors import Conflict, CorruptData, NotFound
from staytrue.profile import ReferenceProfile
from staytrue.project import BESIDE, DECIDING
from staytrue.records import read, to_json, write_atomically
from staytrue.yamlfile import flat
from training.data import mapped
from training.data.clean.steps import CleaningState
from training.data.encode import tokenizers
from training.data.encode.encoder import ColumnState
from training.data.split.identity import keep
from training.ensemble.listed import ENSEMBLE, Listed
from training.models.assembly import assemble
from training.models.ensemble import Ensemble, united
from training.resume import OTHERWISE, STATE
from training.tasks.tasks import restored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.project import Project
    from training.data.clean.report import StepsReport
    from training.models.model import Model
    from training.prepare import Prepared
    from training.tasks.task import Task

MOST_TOLD = 5
"""Settings that a message names."""
METRICS = "metrics.jsonl"
CURVE = "learning_curve.png"
SPLIT = "split.json"
SEALED = "sealed.keys"
"""Which rows are sealed."""
DATA = "data.json"
PICTURES = "pictures.safetensors"
TEXTS = "texts.json"
CLEANING = "cleaning.json"
ASKED = "asked.yaml"
"""Features and cleaning as they were asked for, in the run of a model without some of them."""


def new_run(runs: Path) -> Path:
    """Claim a folder for a run; names sort by time."""
    while True:
        folder = runs / datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S-%f")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder


def refuse_changed(project: Project, folder: Path) -> None:
    """Refuse to go on with a run that was made by other settings.

    Raises:
        Conflict: says which, as they were and are.
    """
    said = yaml.safe_load((folder / CONFIGURATION).read_text(encoding="utf-8"))
    try:
        same = type(project).model_validate(said).fingerprint() == project.fingerprint()
    except ValueError:  # of another version of Staytrue: what is kept tells whether it goes on
        return
    if same:
        return
    were, are = flat(said), flat(project.model_dump(mode="json"))
    beside = {f"training.{name}" for name in BESIDE}
    differ = [name for name in {**were, **are} if were.get(name) != are.get(name) and name not in beside]
    changed = [name for name in differ if name.split(".")[0] in (*DECIDING, "data")]
    told = ", ".join(f"{name} was {were.get(name)} and is {are.get(name)}" for name in changed[:MOST_TOLD])
    more = f" and {len(changed) - MOST_TOLD} more" if len(changed) > MOST_TOLD else ""
    raise Conflict(str(folder), f"was made with other settings: {told}{more}", hint=OTHERWISE)


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep a run to this process while it trains; however that ends, the claim ends with it.

    Raises:
        Conflict: another process trains it.
    """
    try:
        handle = claim(folder)
    except BlockingIOError:
        raise Conflict(str(folder), "is being trained by another process", hint="wait for it, or end it") from None
    try:
        yield
    finally:
        os.close(handle)


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


def unfinished(runs: Path, name: str, folder: Path | None = None) -> Path:
    """A run of a model that began and did not finish, the newest unless a folder is named.

    Raises:
        NotFound: there is none, or the folder holds none.
        Conflict: the run in the folder is finished.
    """
    if folder is not None:
        if not (folder / CONFIGURATION).is_file():
            raise NotFound(str(folder), "holds no run", hint="`staytrue train` begins one")
        if (folder / CHECKPOINT).exists():
            raise Conflict(str(folder), "is a finished run", hint="`staytrue train` begins a new one")
        return folder
    for path in sorted(runs.glob(f"*/{CONFIGURATION}"), reverse=True):
        began = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not (path.parent / CHECKPOINT).exists() and began["name"] == name:
            return path.parent
    raise NotFound(str(runs), f'holds no run of "{name}" that is not finished', hint="`staytrue train` begins one")


def begin(project: Project, prepared: Prepared, folder: Path) -> None:
    """Write what a run is made of; the configuration last, as a folder with it is a run that began.

    The test rows are sealed by what the model takes of them, sparse features left out.
    """
    split = msgspec.structs.replace(prepared.split, seal=prepared.sealed.seal(project.data.features))
    data = {
        "fingerprint": prepared.fingerprint,
        "collection": prepared.collection,
        "cleaning": prepared.cleaning,
        "split": prepared.parted,
    }
    write_atomically(folder / SPLIT, msgspec.json.encode(split))
    keep(prepared.sealed.keys.all, folder / SEALED)
    write_atomically(folder / DATA, msgspec.json.format(msgspec.json.encode(data)))
    save_asked(project, prepared, folder)
    save_configuration(project, folder)


def save_weights(model: Model, folder: Path) -> str:
    """Write the weights as safetensors; their SHA-256."""
    weights = {name: value.contiguous() for name, value in model.head.state_dict().items()}
    write_atomically(folder / WEIGHTS, safetensors.torch.save(weights))
    return digest(folder / WEIGHTS).sha256


def save_cleaning(report: StepsReport, folder: Path) -> None:
    """Write what the steps did to the training rows; nothing where they did nothing."""
    if report.touches:
        write_atomically(folder / CLEANING, msgspec.json.format(msgspec.json.encode(report)))


def save_asked(project: Project, prepared: Prepared, folder: Path) -> None:
    """Write what the rows were prepared by, where sparse features were left out of the model since.

    Without them other rows are duplicates, and the data have another digest. Nothing is written where none were.
    """
    if prepared.project.data.features != project.data.features:
        asked = prepared.project.model_dump(mode="json", include={"data": {"features"}, "cleaning": True})
        write_atomically(folder / ASKED, yaml.safe_dump(asked, sort_keys=False, allow_unicode=True).encode())


def save_configuration(project: Project, folder: Path) -> None:
    """Write the configuration as resolved, defaults included; secrets stay masked."""
    text = yaml.safe_dump(project.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_atomically(folder / CONFIGURATION, text.encode())


def finish(checkpoint: Checkpoint, profile: ReferenceProfile, folder: Path) -> None:
    """Write the profile, then the record: a folder with the record is a finished run, which needs no state any more."""
    mapped.give_back()  # of large sets the profile as a text takes as much as all before
    write_atomically(folder / PROFILE, to_json(profile))
    write_atomically(folder / CHECKPOINT, to_json(checkpoint))
    (folder / STATE).unlink(missing_ok=True)


def save_pictures(pictures: dict[str, NDArray[Any]], folder: Path) -> None:
    """Write the pictures and texts of the sample that export proves an artefact on; nothing without any."""
    texts = {name: values.ravel().tolist() for name, values in pictures.items() if values.dtype == object}
    arrays = {name: values for name, values in pictures.items() if name not in texts}
    if arrays:
        write_atomically(folder / PICTURES, safetensors.numpy.save(arrays))
    if texts:
        write_atomically(folder / TEXTS, msgspec.json.encode(texts))


def pictures(folder: Path) -> dict[str, NDArray[Any]]:
    """The pictures and texts of a run's sample; none of a run of tables.

    Raises:
        CorruptData: they cannot be read.
    """
    path = folder / PICTURES
    try:
        found: dict[str, NDArray[Any]] = safetensors.numpy.load_file(path) if path.is_file() else {}
    except safetensors.SafetensorError as error:
        raise CorruptData(str(path), f"cannot be read: {error}") from error
    return found | _texts(folder / TEXTS)


def _texts(path: Path) -> dict[str, NDArray[Any]]:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, list[str]]) if path.is_file() else {}
    except msgspec.MsgspecError as error:
        raise CorruptData(str(path), f"cannot be read: {error}") from error
    return {name: np.array(texts, dtype=object).reshape(-1, 1) for name, texts in found.items()}


def describe(
    model: Model, arguments: dict[str, Any], task: Task, cleaning: CleaningState
) -> tuple[dict[str, Any], dict[str, Any]]:
    """``Checkpoint.model`` and ``Checkpoint.preprocessing`` of a module."""
    states = [msgspec.to_builtins(tokenizers.without(state)) for state in model.encoder.states]
    return {"body": arguments, **task.described()}, {"columns": states, "cleaning": msgspec.to_builtins(cleaning)}


def cleaning_of(checkpoint: Checkpoint) -> CleaningState:
    """What the steps on the training rows had learnt; runs from before there were any have learnt nothing.

    Raises:
        msgspec.ValidationError: it is not their state.
    """
    return msgspec.convert(checkpoint.preprocessing.get("cleaning", {}), CleaningState)


def load(folder: Path) -> tuple[Checkpoint, ReferenceProfile, Model]:
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
        model = _built(checkpoint, folder)
        model.head.load_state_dict(safetensors.torch.load_file(path))
    except (msgspec.ValidationError, KeyError, TypeError, RuntimeError) as error:
        raise CorruptData(str(folder), f"does not describe a module: {error}") from error
    model.eval()
    return checkpoint, read(ReferenceProfile, folder / PROFILE), model


def _built(checkpoint: Checkpoint, folder: Path) -> Model:
    """The module with fresh weights; of an ensemble all its members."""
    if checkpoint.architecture == ENSEMBLE:
        listed = msgspec.convert(checkpoint.model["members"], list[Listed])
        members = [_built(one.within(checkpoint), folder) for one in listed]
        weights = [one.weight for one in listed]
        return Ensemble(members, united(members), weights, vote=checkpoint.model["method"] == "vote")
    states = tokenizers.found(msgspec.convert(checkpoint.preprocessing["columns"], list[ColumnState]), folder)
    cleaning_of(checkpoint)
    body = {key: value for key, value in checkpoint.model["body"].items() if key != "shape"}  # older runs name it
    return assemble(states, checkpoint.architecture, body, restored(checkpoint))
