"""Copy a model store from wherever fsspec reads, and take in only versions whose every byte and proof is right."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from staytrue.bundle import SEAL
from staytrue.bundle import load as load_bundle
from staytrue.claims import claim
from staytrue.errors import CorruptData, NotFound, Unavailable, within
from staytrue.folder import Folder
from staytrue.making import sync
from staytrue.records import writable
from staytrue.signing import SIGNATURE
from staytrue.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

_FETCHING = ".fetching-"


def fetch(source: str, target: Path) -> dict[str, list[str]]:
    """Copy a store's models into another; versions that are there already stay as they are, signed where they were not.

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
        Conflict: a version that is there already is another one than the source's of the same number; likewise.
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
    there, new = Folder(target), dict[str, Path]()
    taken: list[str] | None = None
    while taken is None:
        kept = set[str]()
        asked, journal = source.aliases(name), source.journal(name)  # before the versions: what they name is there
        for version in source.versions(name):
            if version in new:
                continue
            if there.has(name, version) and _is_kept(source, there, name, version):
                kept.add(version)
            elif copied := _copied(source, scratch, name, version):
                new[version] = copied
        if asked == source.aliases(name):  # it goes on meanwhile; what is written last is not stale
            taken = there.take_in(name, new, kept, asked, journal)
    return taken


def _is_kept(source: Store, there: Folder, name: str, version: str) -> bool:
    """Whether a version stays here, which is the source's by its seal; with the source's signature if it has none.

    Raises:
        Conflict: it is another version.
    """
    sealed, signed = (source.read(name, version, file) for file in (SEAL, SIGNATURE))
    return there.keep(name, version, sealed, signed)


def _copied(source: Store, scratch: Path, name: str, version: str) -> Path | None:
    """A copy that was checked and synced; None where the version was cleared away meanwhile."""
    copied, where = scratch / name / version, f"{source.where}/{name}/{version}"
    try:
        shutil.copytree(source.path(name, version), copied)
    except (NotFound, OSError) as error:
        shutil.rmtree(copied, ignore_errors=True)
        if version not in source.versions(name):
            return None
        if isinstance(error, NotFound):
            raise
        raise Unavailable(where, f"cannot be copied to {copied.parent}: {error}"[:500]) from error
    copied.chmod(0o755)  # copies are their user's alone; this one is for whoever serves
    try:
        bundle = load_bundle(copied)
    except CorruptData as error:
        raise within(error, str(copied), where) from error
    if (bundle.name, bundle.version) != (name, version):
        got = f"{bundle.name}/{bundle.version}"
        raise CorruptData(where, expected=f"{name}/{version}", got=got)
    sync(copied)
    return copied
