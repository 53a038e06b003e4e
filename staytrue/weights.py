"""Weights on disk: the files that hold them, in any of the usual forms, and the digest of their bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from staytrue.bundle import digest
from staytrue.errors import CorruptData, NotFound

SETTING = "training.transfer.weights"
"""What names the file or folder."""
INDEX = ".index.json"
"""How the name of a file ends that says in which other files the weights are."""
USUAL = ("model.safetensors", f"model.safetensors{INDEX}", "pytorch_model.bin", f"pytorch_model.bin{INDEX}")
"""Files of a folder that are looked for, in this order."""
WHOLE = "fetch it anew and whole, or name another"
"""What to do about a file that is damaged or cut off."""


def files(weights: Path) -> list[Path]:
    """The files that hold the weights; of an index, those that it names, sorted.

    Raises:
        NotFound: there is no such file or folder, or one that is named is missing.
        CorruptData: the index cannot be read, or names what is not beside it.
    """
    path = _in_folder(weights) if weights.is_dir() else weights
    if not path.is_file():
        hint = "name a file or folder of weights; relative paths are those of staytrue.yaml's folder"
        raise NotFound(SETTING, f"{path} does not exist", hint=hint)
    return _of_index(path) if path.name.endswith(INDEX) else [path]


def sha256(weights: Path) -> str:
    """Of the one file's bytes; of several, of a line for each with its digest and name.

    Raises:
        NotFound: one is missing.
        CorruptData: the index cannot be read.
    """
    found = files(weights)
    digests = [digest(path).sha256 for path in found]
    if len(found) == 1:
        return digests[0]
    lines = (f"{value}  {path.name}\n" for value, path in zip(digests, found, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _in_folder(folder: Path) -> Path:
    for name in USUAL:
        if (folder / name).is_file():
            return folder / name
    others = sorted([*folder.glob("*.safetensors"), *folder.glob(f"*.safetensors{INDEX}")])
    if len(others) == 1:
        return others[0]
    got = ", ".join(path.name for path in others[:5]) or "none of them"
    expected = f"{', '.join(USUAL)} or one other *.safetensors in {folder}"
    raise NotFound(SETTING, expected=expected, got=got, hint="name the file")


def _of_index(path: Path) -> list[Path]:
    try:
        named = json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()
        names = sorted({str(name) for name in named})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptData(SETTING, f"{path} is no index of weights: {error!r}", hint=WHOLE) from error
    for name in names:
        if Path(name).name != name:
            raise CorruptData(SETTING, expected=f"names of files beside {path} in it", got=repr(name), hint=WHOLE)
        if not (path.parent / name).is_file():
            raise NotFound(SETTING, f"{path.parent / name} is missing, {path.name} names it", hint=WHOLE)
    return [path.parent / name for name in names]
