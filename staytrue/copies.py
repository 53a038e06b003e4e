"""Copies of versions that lie at an address, in a folder of this machine: whole and proven before anybody sees them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import time
from itertools import filterfalse
from pathlib import Path
from typing import TYPE_CHECKING

from staytrue import bundle as bundles
from staytrue.bundle import SEAL
from staytrue.disk import unwritten
from staytrue.errors import CorruptData, InvalidConfig, NotFound, StaytrueError, within
from staytrue.objects import is_mark
from staytrue.records import write_atomically
from staytrue.shelf import VERSION
from staytrue.signing import SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staytrue.objects import Objects

KEPT = 8
"""Copies of a model that stay; those that were asked for longest ago go."""
LEFT_SECONDS = 86400.0
"""What a publisher made here that was killed goes after a day."""
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Copies:
    """Copies below ``FOLDER/DIGEST-OF-ADDRESS/NAME/VERSION``, shared by all processes of one user.

    Args:
        objects: where versions come from.
        folder: None for one of this user's below the temporary folder.
    """

    def __init__(self, objects: Objects, folder: Path | None) -> None:
        self._objects = objects
        self._folder = folder or Path(tempfile.gettempdir()) / f"staytrue-{os.getuid()}"
        self.root = self._folder / hashlib.sha256(objects.where.encode()).hexdigest()[:16]

    def get(self, name: str, version: str) -> Path:
        """Folder of the copy of a published version, taken anew where the version's seal is another now.

        Raises:
            NotFound: the version left meanwhile.
            CorruptData: what the address holds is not whole; nothing of it stays here.
        """
        target, where = self.root / name / version, f"{name}/{version}"
        with self._locked(name):
            sealed = self._objects.read(f"{where}/{SEAL}")
            if not sealed:
                raise _leaves(name, version)
            if not (target / SEAL).is_file() or (target / SEAL).read_bytes() != sealed:
                self._take(name, version)
            signed, there = self._objects.read(f"{where}/{SIGNATURE}"), target / SIGNATURE
            if signed is None:
                there.unlink(missing_ok=True)
            elif not there.is_file() or there.read_bytes() != signed:
                write_atomically(there, signed)
            os.utime(target)
            self._prune(target)
        return target

    def drop(self, name: str, version: str) -> None:
        """Delete a copy."""
        with self._locked(name):
            self._leave(self.root / name / version)

    def mend(self, name: str, version: str) -> bool:
        """Take a copy anew if it is not whole; it is worth another look in any case.

        Whoever looks at the address itself takes the copy away that others read, and makes it anew.

        Raises:
            NotFound: the version left meanwhile.
            CorruptData: what the address holds is not whole either.
        """
        target = self.root / name / version
        with self._locked(name):
            try:
                bundles.load(target)
            except CorruptData:
                self._take(name, version)
        return True

    def scratch(self, name: str) -> Path:
        """A new folder to make a version in, which its maker deletes."""
        with self._locked(name):
            return Path(tempfile.mkdtemp(dir=self.root / name, prefix=".making-"))

    def _take(self, name: str, version: str) -> None:
        """Copy all of a version, check it, then let it take its place in one step."""
        where, target = f"{name}/{version}", self.root / name / version
        self._clear_left(target.parent)
        there = self._objects.sizes(where)
        if SEAL not in there:  # it goes first
            raise _leaves(name, version)
        scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=".fetching-"))
        try:
            for path in filterfalse(is_mark, there):
                file = (scratch / path).resolve()  # a key such as 1//etc/passwd names a path of its own
                if not file.is_relative_to(scratch.resolve()):
                    raise CorruptData(f"{self._objects.where}/{where}", f"holds a file outside the bundle: {path}")
                file.parent.mkdir(parents=True, exist_ok=True)
                if not self._objects.download(f"{where}/{path}", file):
                    raise _leaves(name, version)
            try:
                bundles.load(scratch)
            except StaytrueError as error:
                raise within(error, str(scratch), f"{self._objects.where}/{where}") from error
            self._leave(target)
            scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    @staticmethod
    def _clear_left(folder: Path) -> None:
        """Delete what others left that were killed: under the lock nobody else copies, and who makes takes no day."""
        left = [*folder.glob(".fetching-*"), *folder.glob(".leaving-*")]
        left += [path for path in folder.glob(".making-*") if _made_long_ago(path)]
        for path in left:
            shutil.rmtree(path, ignore_errors=True)

    def _leave(self, target: Path) -> None:
        """Delete a folder so that nobody meets half of it."""
        if target.is_dir():
            leaving = Path(tempfile.mkdtemp(dir=target.parent, prefix=".leaving-"))
            target.rename(leaving / target.name)
            shutil.rmtree(leaving, ignore_errors=True)

    def _prune(self, fresh: Path) -> None:
        others = [path for path in fresh.parent.iterdir() if VERSION.fullmatch(path.name) and path != fresh]
        for path in sorted(others, key=lambda path: -path.stat().st_mtime)[KEPT - 1 :]:
            self._leave(path)

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Keep other processes from copying versions of the same model.

        Raises:
            InvalidConfig: nothing may be written there, or others may write there too.
            Unavailable: there is no room, or the disk fails.
        """
        folder = self.root / name
        _make(self._folder)
        self._check_private()
        _make(folder)
        try:
            with (folder / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:  # of this machine: those of the address are told by whoever asks it
            raise unwritten(f"store_cache {self._folder}", error, "mend it, or set store_cache to another") from error

    def _check_private(self) -> None:
        """Refuse a folder into which others could put what this user would then run.

        Looked at as it is: a link in the temporary folder may be anybody's, also where it leads to a folder of ours.

        Raises:
            InvalidConfig: it is no folder, somebody else's, or others may write to it.
        """
        found = self._folder.lstat()
        if stat.S_ISLNK(found.st_mode):
            got = "a symbolic link"
        elif not stat.S_ISDIR(found.st_mode):
            got = "a file"
        elif found.st_uid != os.getuid():
            got = f"one of user {found.st_uid}"
        elif found.st_mode & _OTHERS_WRITE:
            got = f"one that others may write to, mode {stat.S_IMODE(found.st_mode):04o}"
        else:
            return
        expected = f"a folder that user {os.getuid()} alone may write to"
        hint = "mend it, or set store_cache to another"
        raise InvalidConfig(f"store_cache {self._folder}", expected=expected, got=got, hint=hint)


def _made_long_ago(folder: Path) -> bool:
    """Whether it is a day old; its maker may delete it at any moment."""
    try:
        return time.time() - folder.stat().st_mtime > LEFT_SECONDS
    except FileNotFoundError:
        return False


def _leaves(name: str, version: str) -> NotFound:
    return NotFound(f'model "{name}"', f"version {version} is being deleted")


def _make(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for this user alone.

    Raises:
        InvalidConfig: it cannot be made.
    """
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        for path in reversed(missing):
            with contextlib.suppress(FileExistsError):  # of another process, which may be anybody's: looked at next
                path.mkdir(mode=0o700)
    except OSError as error:
        problem = f"cannot be made: {error.strerror}"
        raise InvalidConfig(f"store_cache {folder}", problem, hint="set store_cache to another") from error
