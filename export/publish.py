"""From a checkpoint to a version in the store: artefacts, proofs, card, seal. No proof, no bundle."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from export.archive import to_archive
from export.card import card
from export.example import eager_inputs, edge_rows
from export.mobile import to_mobile
from export.onnx import to_onnx
from export.parity import examine, own
from export.program import to_program
from export.reduction import reduced
from export.settings import write_settings
from export.tokenizers import copy_tokenizers
from export.torchscript import to_torchscript
from serving.runtimes.tokens import front
from staytrue.bundle import CARD, MANIFEST, PROFILE, REDUCED, SETTINGS, Bundle, digest, load_profile, seal, sign
from staytrue.bundle import load as load_bundle
from staytrue.checkpoint import CONFIGURATION
from staytrue.evaluation import EVALUATION, Evaluation
from staytrue.records import read, to_json, utc
from staytrue.signing import private_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from export.held import Held
    from staytrue.bundle import Fidelity, Format, Parity
    from staytrue.checkpoint import Checkpoint
    from staytrue.environment import Environment
    from staytrue.profile import ReferenceProfile
    from staytrue.sections import ExportSection
    from staytrue.signature import Signature
    from staytrue.store import Store

FILES: dict[Format, str] = {
    "onnx": "model.onnx",
    "int8_dynamic": "model.int8_dynamic.onnx",
    "int8_static": "model.int8_static.onnx",
    "fp16": "model.fp16.onnx",
    "torchscript": "model.ts",
    "pt2": "model.pt2",
    "ort": "model.ort",
    "mar": "model.mar",
}


def publish(
    store: Store,
    model: nn.Module,
    checkpoint: Checkpoint,
    profile: ReferenceProfile,
    rows: Mapping[str, NDArray[Any]],
    settings: ExportSection,
    run: Path | None = None,
    held: Held | None = None,
) -> Bundle:
    """Export, prove and publish a version; it is nobody's champion yet.

    Args:
        rows: real rows as callers send them, by input name, to prove the artefacts on.
        run: folder of the run: its settings, the tokenizers which the signature names, and the evaluation that the card
            tells of; nothing where there is none.
        held: validation rows to tell by what each artefact costs, and training rows to calibrate by: without them
            there are no artefacts of fewer bits.

    Raises:
        CorruptData: an artefact does not give the model's outputs, one of fewer bits costs more than is allowed, or
            the profile holds what is no number; nothing is published.
        InvalidConfig: the key to sign with cannot be used, or the model has nothing that could have fewer bits.
        InvalidInput: the model's outputs are not those of its signature; nothing is published.
    """
    if settings.signing_key is not None:
        private_key(settings.signing_key)  # what is wrong with it is told before anything is made
    model.eval()
    scale, units = _unit(checkpoint, profile), _units(checkpoint)
    with store.new_version(checkpoint.name) as (version, folder):
        parity: list[Parity] = []
        fidelity: list[Fidelity] = []
        if run is not None:
            copy_tokenizers(checkpoint.signature, run, folder)
            write_settings(run / CONFIGURATION, folder / SETTINGS)
        tokenized = front(checkpoint.signature, folder) or dict
        answers, others = own(model, checkpoint.signature, tokenized), _others(checkpoint.signature, rows, tokenized)
        for kind in sorted(settings.formats, key=list(FILES).index):  # some take what is there by then
            path = folder / FILES[kind]
            made = _export(kind, path, model, checkpoint, version, settings, held, others)
            found = examine(kind, path, model, checkpoint.signature, rows, scale, settings, answers, held, made, units)
            parity, fidelity = parity + found[0], fidelity + found[1]
        (folder / PROFILE).write_bytes(msgspec.json.encode(profile))
        bundle = msgspec.structs.replace(_manifest(checkpoint, version, parity, settings), fidelity=fidelity)
        finish(bundle, folder, settings.signing_key, checkpoint.environment, _evaluation(run))
        checked = load_bundle(folder)  # what server and sidecar will check, checked before it can be seen
        load_profile(folder)
    return checked


def _export(
    kind: Format,
    path: Path,
    model: nn.Module,
    checkpoint: Checkpoint,
    version: str,
    settings: ExportSection,
    held: Held | None,
    others: Sequence[tuple[Tensor, ...]],
) -> str:
    """Write an artefact; how it was made, in words, where there are several ways; ``others``: rows beside zeros."""
    signature = checkpoint.signature
    if kind == "onnx":
        to_onnx(model, signature, path, settings.max_batch)
    elif kind == "torchscript":
        return to_torchscript(model, signature, path, others=others)
    elif kind == "pt2":
        to_program(model, signature, path, settings.max_batch)
    else:
        source: Format = settings.archive if kind == "mar" else "onnx"
        inside = path.with_name(FILES[source])
        alone = not inside.exists()
        said = _export(source, inside, model, checkpoint, version, settings, held, others) if alone else ""
        try:
            return _made_of(inside, kind, path, checkpoint, version, settings, held) or said
        finally:
            if alone:
                inside.unlink()
    return ""


def _others(
    signature: Signature, rows: Mapping[str, NDArray[Any]], tokenized: Callable[[dict[str, NDArray[Any]]], Any]
) -> list[tuple[Tensor, ...]]:
    """Rows as the module takes them, to see whether a trace holds: one, some, and those at the edges."""
    parts = [{name: array[:count] for name, array in rows.items()} for count in (1, 7)]
    return [eager_inputs(signature, tokenized(part)) for part in (*parts, edge_rows(signature, rows))]


def _made_of(
    inside: Path,
    kind: Format,
    path: Path,
    checkpoint: Checkpoint,
    version: str,
    settings: ExportSection,
    held: Held | None,
) -> str:
    """Write an artefact that is made of another."""
    if kind in REDUCED:
        return reduced(kind, inside, path, checkpoint.signature, held, settings.reduction)
    if kind == "ort":
        to_mobile(inside, path)
    else:
        made_of: dict[str, Any] = {"name": checkpoint.name, "version": version, "max_batch": settings.max_batch}
        to_archive(inside, settings.archive, checkpoint.signature, path, **made_of)
    return ""


def _unit(checkpoint: Checkpoint, profile: ReferenceProfile) -> float:
    """What errors are measured in: the target's deviation, the mean of made pictures, and 1 for probabilities."""
    if checkpoint.task == "generation":
        return float(np.mean(np.abs(np.array(profile.prediction, dtype=np.float64)))) or 1.0
    if checkpoint.task != "regression":
        return 1.0
    if checkpoint.targets:  # of several the smallest, which is the strictest
        return min(float(scale["spread"]) for scale in checkpoint.model["scales"])
    truth = np.array(profile.truth, dtype=np.float64)
    # A target that never changed has no deviation to measure errors by.
    return float(np.std(truth)) or abs(float(np.mean(truth))) or 1.0


def _units(checkpoint: Checkpoint) -> dict[str, float]:
    """Of several targets each one's own deviation, in which it is judged; of one it is :func:`_unit`."""
    scales = checkpoint.model["scales"] if checkpoint.targets and checkpoint.task == "regression" else []
    named = zip(checkpoint.targets, scales, strict=False)
    return {name: float(scale["spread"]) for name, scale in named}


def _manifest(checkpoint: Checkpoint, version: str, parity: list[Parity], settings: ExportSection) -> Bundle:
    return Bundle(
        name=checkpoint.name,
        version=version,
        created=utc(time.time()),
        task=checkpoint.task,
        target=checkpoint.target,
        targets=checkpoint.targets,
        signature=checkpoint.signature,
        classes=checkpoint.classes,
        max_batch=settings.max_batch,
        artefacts={kind: FILES[kind] for kind in settings.formats},
        files={},
        parity=parity,
        evaluation=checkpoint.evaluation,
        lineage=checkpoint.lineage,
    )


def _evaluation(run: Path | None) -> Evaluation | None:
    """What the run tells of slices; runs from before there were any tell nothing."""
    path = run / EVALUATION if run is not None else None
    return read(Evaluation, path) if path is not None and path.is_file() else None


def finish(
    bundle: Bundle,
    folder: Path,
    key: Path | None,
    environment: Environment | None = None,
    evaluation: Evaluation | None = None,
) -> None:
    """Write card, manifest with the digests of all files, the seal, and the signature where there is a key for it."""
    (folder / CARD).write_text(card(bundle, environment, evaluation), encoding="utf-8")
    files = {path.name: digest(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    (folder / MANIFEST).write_bytes(to_json(msgspec.structs.replace(bundle, files=files)))
    seal(folder)
    if key is not None:
        sign(folder, key)
