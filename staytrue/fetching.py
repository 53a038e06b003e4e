"""Copy a model store from wherever fsspec reads, and take in only versions whose every byte and proof is right."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from staytrue.bundle import load as load_bundle
from staytrue.claims import claim
from staytrue.errors import CorruptData, NotFound, Unavailable, within
from staytrue.folder import Folder
from staytrue.making import sync
from staytrue.records import writable
from staytrue.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

_FETCHING = ".fetching-"


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
    writable(target, f"--store {target}").mkdir(parents=True, exist_ok=True)
    with _scratch(target) as scratch:
        store = Store(source, cache=scratch / "copies")
        try:
            if not store.exists():
                raise NotFound(store.where, "is not there")
            fetched = {name: _take(store, scratch, target, name) for name in store.models()}
        except OSError as error:
            raise Unavailable(store.where, f"cannot be read: {type(error).__name__}: {error}"[:500]) from error
    if not fetched:
        raise NotFound(store.where, "holds no model", hint="expected NAME/VERSION/bundle.json below it")
    return fetched


@contextlib.contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """A folder beside what is filled, so that renames suffice; those of fetches that were killed are deleted."""
    for left in target.glob(f"{_FETCHING}*"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError):  # done this moment, or alive
            lock = claim(left)
            shutil.rmtree(left, ignore_errors=True)
            os.close(lock)
    made, lock = _claimed(target)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


def _claimed(target: Path) -> tuple[Path, int]:
    """A new folder and its claim; another fetch may take it for one of the dead before it is claimed."""
    while True:
        made = Path(tempfile.mkdtemp(dir=target, prefix=_FETCHING))
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            lock = claim(made)
            if made.exists():
                return made, lock
            os.close(lock)


def _take(source: Store, scratch: Path, target: Path, name: str) -> list[str]:
    """Check a model's new versions, take them in, then its journal and aliases; the versions."""
    there, new, asked = Folder(target), dict[str, Path](), None
    while asked is None or asked != source.aliases(name):  # it goes on meanwhile; what is written last is not stale
        asked, journal = source.aliases(name), source.journal(name)  # before the versions: what they name is there
        kept = {*there.versions(name), *new}
        for version in source.versions(name):
            if version not in kept and (copied := _copied(source, scratch, name, version)):
                new[version] = copied
    return there.take_in(name, new, asked, journal)


def _copied(source: Store, scratch: Path, name: str, version: str) -> Path | None:
    """A copy that was checked and synced; None where the version was cleared away meanwhile."""
    copied = scratch / name / version
    try:
        shutil.copytree(source.path(name, version), copied)
    except NotFound:
        if version in source.versions(name):
            raise
        return None
    copied.chmod(0o755)  # copies are their user's alone; this one is for whoever serves
    where = f"{source.where}/{name}/{version}"
    try:
        bundle = load_bundle(copied)
    except CorruptData as error:
        raise within(error, str(copied), where) from error
    if (bundle.name, bundle.version) != (name, version):
        got = f"{bundle.name}/{bundle.version}"
        raise CorruptData(where, expected=f"{name}/{version}", got=got)
    sync(copied)
    return copied
