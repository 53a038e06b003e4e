"""Copy a model store from wherever fsspec reads, and take in only versions whose every byte and proof is right."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from staytrue.bundle import load as load_bundle
from staytrue.errors import CorruptData, NotFound, Unavailable
from staytrue.folder import ALIASES, JOURNAL
from staytrue.records import to_json, write_atomically
from staytrue.store import Store

if TYPE_CHECKING:
    from staytrue.aliases import Change


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
        store = Store(source, cache=Path(scratch) / "copies")
        try:
            if not store.exists():
                raise NotFound(store.where, "is not there")
            fetched = {name: _take(store, Path(scratch), target, name) for name in store.models()}
        except OSError as error:
            raise Unavailable(store.where, f"cannot be read: {type(error).__name__}: {error}"[:500]) from error
    if not fetched:
        raise NotFound(store.where, "holds no model", hint="expected NAME/VERSION/bundle.json below it")
    return fetched


def _take(source: Store, scratch: Path, target: Path, name: str) -> list[str]:
    """Check a model's new versions, move them over, then its journal and aliases; the versions."""
    aliases, journal = source.aliases(name), source.journal(name)  # asked first: what they name is there by now
    there = set(Store(target).versions(name))
    new = [version for version in source.versions(name) if version not in there]
    for version in new:
        copied = scratch / name / version
        shutil.copytree(source.path(name, version), copied)
        bundle = load_bundle(copied)
        if (bundle.name, bundle.version) != (name, version):
            got = f"{bundle.name}/{bundle.version}"
            raise CorruptData(f"{source.where}/{name}/{version}", expected=f"{name}/{version}", got=got)
    (target / name).mkdir(exist_ok=True)
    for version in new:
        shutil.move(scratch / name / version, target / name / version)
    write_atomically(target / name / JOURNAL, b"".join(map(_line, journal)))
    write_atomically(target / name / ALIASES, to_json(aliases))
    return new


def _line(change: Change) -> bytes:
    return msgspec.json.encode(change) + b"\n"
