"""Artefacts of a model made elsewhere, in each form that it has: as ONNX, and in those made of its PyTorch module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from export.archive import to_archive
from export.mobile import to_mobile
from export.publish import FILES
from staytrue.errors import InvalidConfig, Unsupported

if TYPE_CHECKING:
    from pathlib import Path

    from export.importing.foreign import Foreign
    from staytrue.bundle import Format
    from staytrue.sections import ExportSection
    from staytrue.signature import Signature

_OF_PYTORCH = ("torchscript", "pt2")


def check_formats(foreign: Foreign, settings: ExportSection) -> list[Format]:
    """Forms to write, those that others are made of first.

    Raises:
        InvalidConfig: the file is ONNX, of which there is no form of PyTorch's.
    """
    asked = settings.importing.formats
    strange = [kind for kind in asked if kind in _OF_PYTORCH]
    if strange and not foreign.writers.keys() & {*_OF_PYTORCH}:
        got, hint = f"{', '.join(strange)} of {foreign.path.name}", "leave it out; mar and ort can be made of ONNX"
        raise InvalidConfig("export.importing.formats", expected="forms of an ONNX file", got=got, hint=hint)
    return sorted(asked, key=list(FILES).index)


def write(
    kind: Format,
    foreign: Foreign,
    folder: Path,
    signature: Signature,
    settings: ExportSection,
    *,
    name: str,
    version: str,
    max_batch: int,
) -> tuple[Path, str]:
    """Write one form, and say how it was made; what it is made of stays only if it was there before.

    Raises:
        Unsupported: the model has no such form.
    """
    path = folder / FILES[kind]
    how: dict[str, Any] = {"name": name, "version": version, "max_batch": max_batch}
    if kind not in ("mar", "ort"):
        maker = foreign.writers.get(kind)
        if maker is None:
            raise Unsupported(str(foreign.path), f"has no form {kind}", hint="leave it out of export.importing.formats")
        return path, maker(path, signature, max_batch)
    archived: Literal["torchscript", "onnx"] = settings.archive if settings.archive in foreign.writers else "onnx"
    source = archived if kind == "mar" else "onnx"
    inside = folder / FILES[source]
    alone, said = not inside.exists(), ""
    if alone:
        said = write(source, foreign, folder, signature, settings, **how)[1]
    if kind == "ort":
        to_mobile(inside, path)
    else:
        to_archive(inside, archived, signature, path, **how)
    if alone:
        inside.unlink()
    return path, said
