"""Files of PyTorch's: which kind one is, and what a TorchScript archive holds, read before it is loaded."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from staytrue.errors import CorruptData, TooLarge, Unsupported

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.sections import ImportingSection

Kind = Literal["onnx", "torchscript", "weights"]
NAMESPACES = {"aten", "prim", "prims", "quantized"}
"""Namespaces of operators that PyTorch brings along for models; those of others come from libraries, which nobody here
loads, or see no bounds of memory, as inductor's."""
CLASSES = {"quantized", "rnn", "sparse", "mkldnn", "xnnpack"}
"""Namespaces of classes in C++ that hold weights."""
_GAP = r"(?:\s|\\|#[^\n]*\n)*"
"""What may stand between two words of code."""
_DOT = rf"{_GAP}\.{_GAP}"
_OPERATOR = re.compile(rf"\bops{_DOT}(\w+){_DOT}\w")
_CLASS = re.compile(rf"\btorch{_DOT}classes{_DOT}(\w+)")
_CLASS_IN_PICKLE = re.compile(rb"torch[.\n]classes[.\n](\w+)")
_REACHING = re.compile(
    rf"\b(?:torch|ops{_DOT}aten){_DOT}(?:from_file|save|load)\b|\bops{_DOT}prim{_DOT}rpc_\w+|\brpc_(?:a?sync|remote)\b"
)
"""Operators that read or write files, or ask other machines."""
_PICKLE = b"\x80"


def kind_of(path: Path) -> Kind:
    """What a file is, by its first bytes and what it holds: names lie.

    Raises:
        CorruptData: it cannot be read.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise CorruptData(str(path), "is no file")
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

    It is read by PyTorch's own reader of archives: another one may see other files in the same bytes, where a name is
    there twice or in other letters, and what is looked at has to be what is run.

    Raises:
        TooLarge: it holds more bytes, or more lines of code, than the settings allow.
        CorruptData: it is no whole archive, or has a file twice.
        Unsupported: its code reads or writes files, or needs operators or classes of unknown libraries.
    """
    check_unpacked(path, settings)
    lines = 0
    for name, data in _records(path, settings):
        if not name.lower().endswith(".py"):
            _check_classes(path, {found.decode() for found in _CLASS_IN_PICKLE.findall(data)})
            continue
        text = data.decode(errors="replace")
        lines += text.count("\n")
        found = _REACHING.search(text)
        if found:
            said = "".join(found[0].split())[:100]
            raise Unsupported(str(path), f"its code reads or writes files, or asks other machines: {said}")
        strange = sorted(set(_OPERATOR.findall(text)) - NAMESPACES)
        if strange:
            what = f"needs operators of a library that is not PyTorch's: {', '.join(strange)[:200]}"
            raise Unsupported(str(path), what)
        _check_classes(path, set(_CLASS.findall(text)))
    if lines > settings.max_nodes:
        expected, hint = f"at most {settings.max_nodes} lines of code", "raise export.importing.max_nodes"
        raise TooLarge(str(path), expected=expected, got=str(lines), hint=hint)


def check_unpacked(path: Path, settings: ImportingSection) -> None:
    """Refuse an archive whose files are larger than the settings allow once they are unpacked.

    Raises:
        TooLarge: says how much that is.
        CorruptData: it is no whole archive.
    """
    with _opened(path) as archive:
        check_size(path, sum(entry.file_size for entry in archive.infolist()), settings)


def _records(path: Path, settings: ImportingSection) -> list[tuple[str, bytes]]:
    """Code, and pickles of what it holds, as PyTorch reads them."""
    import torch  # noqa: PLC0415 - an ONNX file needs nothing of it

    try:
        reader: Any = torch._C.PyTorchFileReader(str(path))  # noqa: SLF001 - torch.jit.load's own
        names = reader.get_all_records()
        check_size(path, sum(reader.get_record_size(name) for name in names), settings)
        asked = [name for name in names if name.lower().endswith((".py", ".pkl"))]
        held = [(name, reader.get_record(name)) for name in asked]
    except RuntimeError as error:
        first = str(error).strip().split("\n", 1)[0][:200]
        raise CorruptData(str(path), f"PyTorch cannot load it as TorchScript: {first}") from error
    twice = [name for name, count in Counter(name.lower() for name in names).items() if count > 1]
    if twice:
        raise CorruptData(str(path), f"has a file twice, {twice[0][:100]}: which one would count is open")
    return held


def _check_classes(path: Path, named: set[str]) -> None:
    strange = sorted(named - CLASSES)
    if strange:
        raise Unsupported(str(path), f"needs classes of a library that is not PyTorch's: {', '.join(strange)[:200]}")


def _names(path: Path) -> list[str]:
    with _opened(path) as archive:
        return archive.namelist()


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, NotImplementedError) as error:
        raise CorruptData(str(path), f"is a damaged archive of PyTorch's: {error}") from error
