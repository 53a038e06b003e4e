"""A store in a folder: claims and changes under the lock of a model, each new thing synced before it is seen.

The journal is written ahead of the aliases: an entry whose revision is above that of ``aliases.json`` never took
effect, and of two with one revision only the later did.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from typing import TYPE_CHECKING

import msgspec

from staytrue import aliases as states
from staytrue.aliases import Aliases
from staytrue.bundle import SEAL
from staytrue.disk import looking, unwritten
from staytrue.errors import Conflict, StaytrueError
from staytrue.making import Making, in_the_making
from staytrue.records import append_line, fsync_folder, read, to_json, writable, write_atomically
from staytrue.shelf import NAME, VERSION
from staytrue.signing import SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from staytrue.aliases import Change

ALIASES, JOURNAL = "aliases.json", "journal.jsonl"
_LEAVING = ".leaving-"
_THERE = {errno.ENOTEMPTY, errno.EEXIST}


class Folder:
    """A :class:`staytrue.shelf.Shelf` on a disk of this machine, or one that it mounts with its locks."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def root(self) -> Path:
        """The folder."""
        return self._root

    @property
    def where(self) -> str:
        """The folder's path."""
        return str(self._root)

    @looking
    def exists(self) -> bool:
        """Whether the folder is there."""
        return self._root.is_dir()

    @looking
    def models(self) -> list[str]:
        """Those with an alias file."""
        there = self._root.iterdir() if self._root.is_dir() else ()
        return sorted(path.name for path in there if NAME.fullmatch(path.name) and _answered(path))

    def present(self, name: str) -> bool:
        """Whether the model's folder is there."""
        return os.path.lexists(self._root / name)

    @looking
    def versions(self, name: str) -> list[str]:
        """Folders that bear a number."""
        folder = self._root / name
        if not folder.is_dir():
            return []
        return sorted(
            (path.name for path in folder.iterdir() if VERSION.fullmatch(path.name) and path.is_dir()), key=int
        )

    def glance(self, name: str) -> list[str]:
        """Those that are there: a look at a disk costs little."""
        return self.versions(name)

    @looking
    def has(self, name: str, version: str) -> bool:
        """Whether its folder is there."""
        return (self._root / name / version).is_dir()

    def folder(self, name: str, version: str) -> Path:
        """The folder itself."""
        return self._root / name / version

    def forget(self, name: str, version: str) -> None:
        """Nothing was copied."""

    def mend(self, name: str, version: str) -> bool:
        """There is nothing to mend it by."""
        del name, version
        return False

    @looking
    def read(self, name: str, version: str, file: str) -> bytes | None:
        """What the file holds."""
        path = self._root / name / version / file
        return path.read_bytes() if path.exists() else None

    @looking
    def standing(self, name: str) -> Aliases | None:
        """What the alias file says."""
        path = self._root / name / ALIASES
        return read(Aliases, path) if path.exists() else None

    @looking
    def journal(self, name: str) -> list[Change]:
        """Lines up to the revision of the alias file."""
        path, standing = self._root / name / JOURNAL, self.standing(name)
        data = path.read_bytes() if path.exists() and standing is not None else b""
        return [] if standing is None else states.effective(data, standing.revision)

    @contextlib.contextmanager
    def new_version(self, name: str) -> Iterator[tuple[str, Path]]:
        """In a folder beside the others, which gets its number as its name at the end."""
        folder = self._made(name)
        with self._locked(name):
            taken = in_the_making(folder)  # asked first: one that is done in between is then a version
            taken += map(int, self.versions(name))
            version = str(max(taken, default=0) + 1)
            making = Making.begin(folder, version)
        try:
            yield version, making.folder
            try:
                making.appear(folder / version)
            except OSError as error:
                if error.errno not in _THERE:
                    raise self._unwritten(error) from error
                problem = "was taken in from elsewhere meanwhile"
                raise Conflict(str(folder / version), problem, hint="publish the version again") from error
        finally:
            making.end()

    def take_in(
        self, name: str, made: Mapping[str, Path], there: Collection[str], aliases: Aliases, journal: Iterable[Change]
    ) -> list[str] | None:
        """Take in versions that were made elsewhere, each in one step, then who answers; the versions that are new.

        Args:
            name: of the model.
            made: folders by version, on the filesystem of this one, checked and synced; those that others took in first
                stay where they are, for their maker to delete.
            there: versions that were left out of these because they were here; where one that the aliases name was
                cleared away since, nothing is taken in, and the answer is None.
            aliases: who answers.
            journal: all changes up to that.

        Raises:
            Conflict: another version was published here meanwhile under the number of one of them.
        """
        folder = self._made(name)
        with self._locked(name):
            if not all(self.has(name, version) for version in aliases.named & {*there} - {*made}):
                return None
            new = [version for version, copy in made.items() if _rename(copy, folder / version)]
            for version in made.keys() - {*new}:
                _check_same(folder / version, (made[version] / SEAL).read_bytes())
            fsync_folder(folder)  # who answers comes behind the versions
            write_atomically(folder / JOURNAL, b"".join(msgspec.json.encode(change) + b"\n" for change in journal))
            write_atomically(folder / ALIASES, to_json(aliases))
        return new

    def keep(self, name: str, version: str, sealed: bytes | None, signed: bytes | None) -> bool:
        """Whether a version is here, by a seal and a signature of elsewhere; the signature stays here if it has none.

        Raises:
            Conflict: it is another version.
        """
        folder = self._root / name / version
        with self._locked(name):  # so that nobody clears it away
            if not folder.is_dir():
                return False
            if sealed:
                _check_same(folder, sealed)
            if signed and not (folder / SIGNATURE).exists():
                write_atomically(folder / SIGNATURE, signed)
        return True

    def change(self, name: str, alter: Callable[[Aliases], tuple[Aliases, Change]]) -> Aliases:
        """Under the lock; the journal first."""
        with self._locked(name):
            new, change = alter(self.standing(name) or Aliases())
            append_line(self._root / name / JOURNAL, msgspec.to_builtins(change))
            write_atomically(self._root / name / ALIASES, to_json(new))
            return new

    def keep_signature(self, name: str, version: str) -> None:
        """It is where it has to be."""

    @looking
    def clear(self, name: str, needed: Callable[[], Collection[str]], *, dry: bool) -> dict[str, int]:
        """Each leaves in one step, by another name, so that nobody meets half of it."""
        folder = self._root / name
        with contextlib.nullcontext() if dry else self._locked(name):  # who only looks need not be allowed to write
            there = self.versions(name)  # first: what is published from now on is not among them, nor waited for here
            kept = needed()
            removed = {version: _bytes(folder / version) for version in there if version not in kept}
            if not dry:
                for leaving in folder.glob(f"{_LEAVING}*"):  # of one that was killed
                    shutil.rmtree(leaving, ignore_errors=True)
                for version in removed:
                    (folder / version).rename(folder / f"{_LEAVING}{version}")
                fsync_folder(folder)
                for version in removed:
                    shutil.rmtree(folder / f"{_LEAVING}{version}", ignore_errors=True)
        return removed

    def _made(self, name: str) -> Path:
        """The folder of a model, made where there is none.

        Raises:
            InvalidConfig: it cannot be.
        """
        folder = self._root / name
        try:
            writable(folder, f'store "{self._root}"').mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritten(error) from error
        return folder

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Keep others from claiming versions of a model and from changing its aliases.

        Raises:
            InvalidConfig: nothing may be written there.
            Unavailable: there is no room, or the disk fails.
        """
        try:
            with (self._root / name / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise self._unwritten(error) from error

    def _unwritten(self, error: OSError) -> StaytrueError:
        return unwritten(f'store "{self._root}"', error, "name another store, or write as whom it belongs to")


def _rename(folder: Path, target: Path) -> bool:
    """Give a folder its place, unless another is there; it never comes to lie inside of it."""
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno not in _THERE:
            raise
        return False
    return True


def _check_same(folder: Path, sealed: bytes) -> None:
    """Refuse a version that is another than one of the same number elsewhere, whose seal is given.

    Raises:
        Conflict: it is another.
    """
    found = (folder / SEAL).read_bytes() if (folder / SEAL).is_file() else b"none"
    if found != sealed:
        expected, got = (f"that of seal {_begin(seal)}" for seal in (sealed, found))
        hint = "fetch into a store of its own; or delete this one, if nobody needs it"
        raise Conflict(
            str(folder), "is another version than the one of that number", expected=expected, got=got, hint=hint
        )


def _begin(seal: bytes) -> str:
    return f"{seal[:16].decode('ascii', 'backslashreplace').strip()}…"


def _answered(folder: Path) -> bool:
    """Whether somebody answers, or what says who may not be read: that is told when it is asked for, of that model."""
    try:
        return (folder / ALIASES).exists()
    except PermissionError:
        return True


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
