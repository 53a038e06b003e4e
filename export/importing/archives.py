"""Files of PyTorch's: which kind one is, and what a TorchScript archive holds, read before it is loaded."""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING, Literal

from staytrue.errors import CorruptData, TooLarge, Unsupported

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.sections import ImportingSection

Kind = Literal["onnx", "torchscript", "weights"]
_OPERATOR = re.compile(r"\bops\.([A-Za-z_][A-Za-z0-9_]*)\.[A-Za-z_]")
NAMESPACES = {"aten", "prim", "prims", "quantized", "inductor"}
"""Namespaces of operators that PyTorch brings along; those of others come from libraries, which nobody here loads."""
_REACHING = re.compile(r"\btorch\.(from_file|save|load)\(|\bops\.aten\.(from_file|save)\b")
"""Operators that read or write files."""
_PICKLE = b"\x80"


def kind_of(path: Path) -> Kind:
    """What a file is, by its first bytes and what it holds: names lie.

    Raises:
        CorruptData: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(2)
    except OSError as error:
        raise CorruptData(str(path), f"cannot be read: {error.strerror}") from error
    if path.suffix == ".safetensors" or begin[:1] == _PICKLE:
        return "weights"
    if begin != b"PK":
        return "onnx"
    inside = [name.partition("/")[2] for name in _names(path)]
    return "torchscript" if any(name.startswith("code/") for name in inside) else "weights"


def check_size(path: Path, size: int, settings: ImportingSection) -> None:
    """Refuse what is larger than the settings allow.

    Raises:
        TooLarge: says how much it is.
    """
    if size > settings.max_bytes:
        hint = "raise export.importing.max_bytes; beyond 2 GiB no ONNX file can be"
        raise TooLarge(str(path), expected=f"at most {settings.max_bytes} bytes", got=str(size), hint=hint)


def inspect(path: Path, settings: ImportingSection) -> None:
    """Refuse a TorchScript archive that is too large, or whose code reaches beyond it.

    Raises:
        TooLarge: it holds more bytes than the settings allow.
        CorruptData: it is no whole archive.
        Unsupported: its code reads or writes files, or needs operators of unknown libraries.
    """
    with _opened(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        check_size(path, size, settings)
        try:
            code = [archive.read(name) for name in archive.namelist() if name.endswith(".py")]
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise CorruptData(str(path), f"is a damaged archive: {error}") from error
    for text in (part.decode(errors="replace") for part in code):
        found = _REACHING.search(text)
        if found:
            raise Unsupported(str(path), f"its code reads or writes files: {found[0]}")
        strange = sorted(set(_OPERATOR.findall(text)) - NAMESPACES)
        if strange:
            what = f"needs operators of a library that is not PyTorch's: {', '.join(strange)[:200]}"
            raise Unsupported(str(path), what)


def _names(path: Path) -> list[str]:
    with _opened(path) as archive:
        return archive.namelist()


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise CorruptData(str(path), f"is a damaged archive of PyTorch's: {error}") from error
