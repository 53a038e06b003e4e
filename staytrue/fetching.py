"""Copy a model store from wherever fsspec reads, and take in only versions whose every byte and proof is right."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import fsspec

from staytrue.errors import InvalidConfig, NotFound, Unavailable
from staytrue.store import Store


def fetch(source: str, target: Path) -> dict[str, list[str]]:
    """Copy a store's models into another; versions that are there already stay as they are.

    Aliases come last, so that a server that follows the target never meets a champion that is not there yet.

    Args:
        source: folder or address of a store: ``s3://bucket/store``, ``/mnt/store``.
        target: folder of the store to fill.

    Returns:
        New versions by model.

    Raises:
        InvalidConfig: no such protocol, or the package that reads it is not installed.
        NotFound: no models there.
        Unavailable: it cannot be read.
        CorruptData: a version's bytes or proofs are not right; nothing of it, and no aliases, were taken.
    """
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix=".fetching-") as scratch:
        copied = Path(scratch) / "store"
        _download(source, copied)
        fetched = {name: _take(copied, target, name) for name in Store(copied).models()}
    if not fetched:
        raise NotFound(source, "holds no model", hint="expected NAME/VERSION/bundle.json below it")
    return fetched


def _download(source: str, target: Path) -> None:
    try:
        filesystem, path = fsspec.core.url_to_fs(source)
    except (ImportError, ValueError) as error:
        hint = "install the package that reads this kind of address, for example s3fs"
        raise InvalidConfig(source, str(error), hint=hint) from error
    try:
        filesystem.get(path.rstrip("/") + "/", str(target) + "/", recursive=True)
    except FileNotFoundError as error:
        raise NotFound(source, "is not there") from error
    except Exception as error:  # each filesystem raises what its own client does
        raise Unavailable(source, f"cannot be read: {type(error).__name__}: {error}"[:500]) from error


def _take(copied: Path, target: Path, name: str) -> list[str]:
    """Check a model's new versions, move them over, then its journal and aliases; the versions."""
    source, there = Store(copied), {path.name for path in (target / name).glob("*") if path.is_dir()}
    new = [version for version in source.versions(name) if version not in there]
    for version in new:
        source.load(name, version)
    (target / name).mkdir(exist_ok=True)
    for version in new:
        shutil.move(copied / name / version, target / name / version)
    files = [path for path in (copied / name).iterdir() if path.is_file()]
    for file in sorted(files, key=lambda path: path.name == "aliases.json"):
        moved = target / name / f".{file.name}.new"
        shutil.move(file, moved)
        moved.replace(target / name / file.name)
    return new
