"""From a file made elsewhere to a version in the store: looked through, amended, tried, proven, sealed; or nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from export.importing.amendment import Amending
from export.importing.archives import kind_of
from export.importing.artefacts import check_formats, write
from export.importing.foreign import open_onnx
from export.importing.profile import profile
from export.importing.proof import prove
from export.importing.recognition import rows_of_first_axis, usable, with_outputs, with_sizes, with_typical
from export.importing.reference import read
from export.publish import FILES, finish
from staytrue.bundle import PROFILE, Bundle, Parity, digest, load_profile
from staytrue.bundle import load as load_bundle
from staytrue.errors import InvalidConfig
from staytrue.lineage import Lineage
from staytrue.records import utc
from staytrue.signing import private_key

if TYPE_CHECKING:
    from pathlib import Path

    from export.importing.foreign import Foreign
    from export.importing.reference import Reference
    from export.importing.rows import Arrays
    from staytrue.sections import ExportSection
    from staytrue.signature import Signature
    from staytrue.store import Store


def take_in(
    store: Store,
    name: str,
    path: Path,
    settings: ExportSection,
    *,
    reference: Path | None = None,
    amendment: Path | None = None,
    factory: str = "",
) -> Bundle:
    """Publish a version of a model made elsewhere; it is nobody's champion yet.

    Args:
        path: ONNX, TorchScript, or weights of PyTorch's or safetensors, whose module ``factory`` makes.
        reference: rows as callers send them, to prove it on and to see drift by.
        amendment: what the file does not tell.

    Raises:
        StaytrueError: it is not what it should be, or the server would answer otherwise; nothing is published.
    """
    store.versions(name)  # refuses what is no name of a model before anything is done
    if settings.signing_key is not None:
        private_key(settings.signing_key)
    amending = Amending(amendment)
    foreign = _opened(path, amending, settings, factory)
    formats = check_formats(foreign, settings)
    signature = msgspec.structs.replace(foreign.signature, rows=amending.said.rows or "independent")
    given = read(reference, signature, amending) if reference else None
    signature = with_typical(foreign, signature, given.rows if given else [])
    rows = _rows(foreign, signature, given)
    signature = with_outputs(foreign, signature, rows, amending)
    counted = rows_of_first_axis(foreign, signature, rows, amending, settings)
    signature = msgspec.structs.replace(signature, rows=counted)
    signature = with_sizes(foreign, signature, rows, amending)
    _check_classes(signature, amending)
    max_batch = 1 if signature.rows == "none" else amending.said.max_batch or settings.importing.max_batch
    what = f"rows of {reference.name}" if reference else "made-up rows: zeros, ones, random"
    with store.new_version(name) as (version, folder):
        parity = list[Parity]()
        how: dict[str, Any] = {"name": name, "version": version, "max_batch": max_batch}
        for kind in formats:
            written, made = write(kind, foreign, folder, signature, settings, **how)
            told: dict[str, Any] = {"made_up": reference is None, "made": made}
            parity += prove(foreign, kind, written, signature, rows, max_batch, settings, what, **told)
        (folder / PROFILE).write_bytes(msgspec.json.encode(profile(foreign, signature, given)))
        bundle = _manifest(signature, amending, parity, _lineage(foreign, given), **how)
        finish(bundle, folder, settings.signing_key)
        checked = load_bundle(folder)  # what server and sidecar will check, checked before it can be seen
        load_profile(folder)
    return checked


def _manifest(
    signature: Signature,
    amending: Amending,
    parity: list[Parity],
    lineage: Lineage,
    *,
    name: str,
    version: str,
    max_batch: int,
) -> Bundle:
    said = amending.said
    return Bundle(
        name=name,
        version=version,
        created=utc(time.time()),
        task=said.task or ("classification" if said.classes else "regression"),
        target=said.target or signature.outputs[0].name,
        signature=signature,
        classes=said.classes,
        max_batch=max_batch,
        artefacts={proof.format: FILES[proof.format] for proof in parity},
        files={},
        parity=parity,
        evaluation={},
        lineage=lineage,
    )


def _opened(path: Path, amending: Amending, settings: ExportSection, factory: str) -> Foreign:
    kind = kind_of(path)
    if factory and kind != "weights":
        raise InvalidConfig("--factory", f"goes with weights of PyTorch's; {path.name} is {kind} and holds its model")
    if kind == "onnx":
        return open_onnx(path, amending, settings.importing)
    from export.importing import modules  # noqa: PLC0415 - PyTorch, which an ONNX file needs nothing of

    if kind == "torchscript":
        return modules.open_torchscript(path, amending, settings.importing)
    return modules.open_weights(path, amending, settings.importing, factory)


def _rows(foreign: Foreign, signature: Signature, given: Reference | None) -> list[Arrays]:
    """What it is proven on: the reference's rows, each of which it must take, or made-up ones."""
    if given is None:
        return usable(foreign, signature)
    for place, row in enumerate(given.rows):
        try:
            foreign.run(row)
        except Exception as error:
            said = " ".join(str(error).split())[:300]
            raise InvalidConfig(f"{given.path} row {place}", f"the model refuses it: {said}") from error
    return given.rows


def _check_classes(signature: Signature, amending: Amending) -> None:
    count = len(amending.said.classes)
    wide = {spec.name: spec.shape[-1] for spec in signature.outputs if spec.shape}
    if count and not {count, -1} & set(wide.values()):
        raise amending.fault(["classes"], expected=f"as many as an output has numbers a row: {wide}", got=str(count))


def _lineage(foreign: Foreign, given: Reference | None) -> Lineage:
    return Lineage(
        run="",
        data_fingerprint=digest(given.path).sha256[:16] if given else "",
        project_fingerprint="",
        reason="imported",
        imported=foreign.said,
    )
