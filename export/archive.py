"""TorchServe's archive (``.mar``): a proven artefact, its signature, and our handler, the same bytes each time."""

from __future__ import annotations

import importlib.metadata
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from export import handler
from export.handler import CONTENTS, Contents
from staytrue.records import to_json

if TYPE_CHECKING:
    from typing import Literal

    from staytrue.signature import Signature

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Of every file inside, so that one model makes one digest; ZIP knows no earlier time."""
_HANDLER = "handler.py"
_RUNS = {"torchscript": ("TorchScript torch", "torch"), "onnx": ("onnxruntime", "onnxruntime")}
_FILES = {"torchscript": "model.ts", "onnx": "model.onnx"}


def to_archive(
    artefact: Path,
    kind: Literal["torchscript", "onnx"],
    signature: Signature,
    path: Path,
    *,
    name: str,
    version: str,
    max_batch: int,
) -> None:
    """Write the archive of an artefact.

    Args:
        artefact: the model in the form that ``kind`` says; tokenizers of its texts lie beside it.
        name: the model's, which TorchServe shows it under and which its events bear.
    """
    words, package = _RUNS[kind]
    contents = Contents(
        name=name,
        version=version,
        kind=kind,
        file=_FILES[kind],
        runs=f"{words} {importlib.metadata.version(package).split('+')[0]}",
        max_batch=max_batch,
        signature=signature,
    )
    files = {
        "MAR-INF/MANIFEST.json": json.dumps(_manifest(name, version), indent=2).encode(),
        _HANDLER: Path(handler.__file__).read_bytes(),
        CONTENTS: to_json(contents),
        contents.file: artefact.read_bytes(),
    }
    files |= {
        spec.tokenizer: artefact.with_name(spec.tokenizer).read_bytes() for spec in signature.inputs if spec.tokenizer
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # weights do not shrink; a copy is quicker read
        for place, data in sorted(files.items()):
            entry = zipfile.ZipInfo(place, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)


def _manifest(name: str, version: str) -> dict[str, object]:
    """Source: TorchServe 0.12, model-archiver, ``manifest_components``."""
    return {
        "createdOn": "01/01/1980 00:00:00",
        "runtime": "python",
        "model": {"modelName": name, "modelVersion": version, "handler": _HANDLER},
        "archiverVersion": "0.12.0",
    }
