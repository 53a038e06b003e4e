"""Objects below an address that fsspec knows: read, listed, written, and made once and never again by whoever is first.

Where a package hands the condition "only if there is none" to the store itself (``s3fs``, ``gcsfs``, ``adlfs``), and
the store was seen to heed it, that decides who is first. Elsewhere writers agree: each puts a mark beside the object
and looks whether it is alone; where it is not, all withdraw and try again. That needs a store that lists what was
written (all large ones do), and clocks that agree within half a minute: marks a minute old are of a writer that was
killed.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
import uuid
from typing import TYPE_CHECKING, Any

import fsspec

from staytrue.addresses import masked, masked_in
from staytrue.disk import NO_ROOM
from staytrue.errors import InvalidConfig, NotFound, StaytrueError, Unavailable, Unsupported
from staytrue.refusals import Refusal, bars, refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

CONDITIONAL = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"}
"""Protocols of object stores whose packages pass ``mode="create"`` on to the store; fsspec's own way asks first and
then writes. They have no folders to be made, and to make one may make a bucket by a name that was misspelt."""
TRIES, WAIT_SECONDS = 50, 0.2
MARK_SECONDS = 60.0
_MARK = ".mark-"


class Objects:
    """All objects below an address, by their paths relative to it."""

    def __init__(self, address: str) -> None:
        self._address, self.where = address.rstrip("/"), masked(address.rstrip("/"))
        self._held: tuple[int, Any, str] | None = None
        self._heeds: bool | None = None
        """Whether the store was seen to heed the condition; None before anybody looked."""

    def names(self, folder: str) -> list[str]:
        """Names directly below a folder, without it; none where it is not there."""
        with self._asking(folder) as (files, base):
            files.invalidate_cache()
            try:
                found = files.ls(f"{base}/{folder}" if folder else base, detail=False)
            except FileNotFoundError:
                return []
        return sorted({path.rstrip("/").rpartition("/")[2] for path in found} - {""})

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of all objects below a folder, by their paths from there; -1 where the store does not say."""
        with self._asking(folder) as (files, base):
            files.invalidate_cache()
            try:
                found = files.find(f"{base}/{folder}", detail=True)
            except FileNotFoundError:
                return {}
        above = f"{base}/{folder}/".lstrip("/")
        paths = {path.lstrip("/"): entry.get("size") for path, entry in found.items()}
        below = {path.removeprefix(above): size for path, size in paths.items() if path.startswith(above)}
        return {path: -1 if size is None else size for path, size in below.items()}

    def exists(self, path: str) -> bool:
        """Whether there is such an object, or a folder."""
        with self._asking(path) as (files, base):
            files.invalidate_cache()
            try:
                files.info(f"{base}/{path}" if path else base)
            except FileNotFoundError:
                return False
        return True

    def read(self, path: str) -> bytes | None:
        """What an object holds; None where there is none."""
        with self._asking(path) as (files, base):
            try:
                return bytes(files.cat_file(f"{base}/{path}"))
            except FileNotFoundError:
                return None

    def write(self, path: str, data: bytes) -> None:
        """Write an object, over one that is there."""
        with self._writing(path) as (files, base):
            files.pipe_file(f"{base}/{path}", data)

    def create(self, path: str, data: bytes) -> bool:
        """Write an object if there is none; whether it is this one now.

        Args:
            path: of the object.
            data: unlike what any other writer would write: a first try whose answer was lost is known again by it.
        """
        if self._condition_heeded(path):
            return self._put(path, data) or self.read(path) == data
        return self._agreed(path, data)

    def upload(self, file: Path, path: str) -> None:
        """Write an object of a file's bytes."""
        with self._writing(path) as (files, base):
            files.put_file(str(file), f"{base}/{path}")

    def download(self, path: str, file: Path) -> bool:
        """Write a file of an object's bytes; False where there is none."""
        with self._asking(path) as (files, base):
            try:
                files.get_file(f"{base}/{path}", str(file))
            except FileNotFoundError:
                return False
        return True

    def delete(self, paths: Iterable[str]) -> None:
        """Delete objects, one after the other; those that are gone already stay so."""
        for path in paths:
            with self._asking(path) as (files, base), contextlib.suppress(FileNotFoundError):
                files.rm_file(f"{base}/{path}")

    def _put(self, path: str, data: bytes) -> bool:
        """Write an object under the condition that there is none.

        Raises:
            Unsupported: the store says that it knows no conditions.
            InvalidConfig: the package that writes to it does not.
        """
        for _ in range(TRIES):
            try:
                with self._writing(path) as (files, base):
                    files.pipe_file(f"{base}/{path}", data, mode="create")
            except (FileExistsError, Unavailable) as error:
                match refusal(error):
                    case Refusal.TAKEN:
                        return False
                    case Refusal.BUSY:
                        _wait()
                    case Refusal.UNKNOWN_CONDITION:
                        raise Unsupported(f"{self.where}/{path}", "the store knows no conditions") from error
                    case Refusal.OLD_CLIENT:
                        hint = "install a newer one: s3fs with botocore 1.35.20 and later, gcsfs and adlfs of 2025"
                        problem = "the package that writes to it cannot write an object only if there is none"
                        raise InvalidConfig(self.where, problem, hint=hint) from error
                    case None:
                        raise
            else:
                return True
        raise Unavailable(f"{self.where}/{path}", "others write it all the time", hint="try again")

    def _condition_heeded(self, path: str) -> bool:
        """Whether the store lets nobody write over an object with the condition: tried once, on one of no worth."""
        if self._heeds is None:
            with self._asking("") as (files, _):
                if not _protocols(files) & CONDITIONAL:
                    self._heeds = False
                    return False
            tried = f"{path.rpartition('/')[0]}/.try-{uuid.uuid4().hex}"
            try:
                first = self._put(tried, b"1") or self.read(tried) == b"1"  # of a first try whose answer was lost
                self._heeds = first and not self._put(tried, b"2")
            except Unsupported:
                self._heeds = False
            finally:
                with contextlib.suppress(Unavailable):  # who publishes need not be allowed to delete
                    self.delete([tried])
        return self._heeds

    def _agreed(self, path: str, data: bytes) -> bool:
        folder, _, name = path.rpartition("/")
        listed = True
        for _ in range(TRIES):
            begun = time.time()
            own = f"{_MARK}{name}-{int(begun)}-{uuid.uuid4().hex}"
            self.write(f"{folder}/{own}", b"1")
            try:
                marks = [other for other in self.names(folder) if other.startswith(f"{_MARK}{name}-")]
                if self.exists(path):  # looked for after the marks: whoever wrote it has taken its own away since
                    return self.read(path) == data
                listed = own in marks  # or others' marks may not be told either
                stopped = time.time() - begun > MARK_SECONDS / 2  # so long that others may soon pass over its mark
                if listed and not stopped and all(other == own or _of_killed(other) for other in marks):
                    self.write(path, data)
                    return True
            finally:
                self.delete([f"{folder}/{own}"])
            _wait()
        problem = "others write it all the time" if listed else "the store does not list what was just written"
        raise Unavailable(f"{self.where}/{path}", problem, hint="try again")

    @contextlib.contextmanager
    def _asking(self, path: str) -> Iterator[tuple[Any, str]]:
        """The filesystem and the path of the address in it; what its client raises is told as ours."""
        try:
            yield self._filesystem()
        except (FileNotFoundError, FileExistsError, StaytrueError):
            raise
        except Exception as error:  # each filesystem raises what its own client does
            raise self._told(error, path) from error

    def _told(self, error: Exception, path: str) -> Unavailable:
        said = masked_in(" ".join(f"{type(error).__name__}: {error}".split()), self._address)[:500]
        where = f"{self.where}/{path}".rstrip("/")
        if getattr(error, "errno", None) in NO_ROOM:
            return Unavailable(where, f"cannot be copied: {said}", hint="make room where store_cache lies")
        if bars(error):
            hint = "look at the credentials that its package finds, and at what they allow"
            return Unavailable(where, f"is closed to us: {said}", hint=hint)
        return Unavailable(where, f"cannot be reached: {said}")

    @contextlib.contextmanager
    def _writing(self, path: str) -> Iterator[tuple[Any, str]]:
        """As :meth:`_asking`, with a folder to write into.

        Raises:
            NotFound: there is no such bucket.
        """
        try:
            with self._asking(path) as (files, base):
                if not _protocols(files) & CONDITIONAL:
                    files.makedirs(f"{base}/{path}".rpartition("/")[0], exist_ok=True)
                yield files, base
        except FileNotFoundError as error:
            hint = "make its bucket or container first, or mend the address"
            raise NotFound(self.where, "cannot be written to: it is not there", hint=hint) from error

    def _filesystem(self) -> tuple[Any, str]:
        """Made anew in each process: clients do not outlive a fork."""
        if self._held is None or self._held[0] != os.getpid():
            try:
                files, base = fsspec.core.url_to_fs(self._address)
            except ImportError as error:
                hint = "install the package that reads this kind of address: none comes with staytrue"
                raise InvalidConfig(self.where, masked_in(error, self._address), hint=hint) from error
            except ValueError as error:
                hint = "mend the address, or install the package that reads this kind of address"
                raise InvalidConfig(self.where, masked_in(error, self._address), hint=hint) from error
            except Exception as error:  # some clients look at credentials at once
                raise self._told(error, "") from error
            self._held = (os.getpid(), files, base.rstrip("/"))
        return self._held[1:]


def is_mark(path: str) -> bool:
    """Whether it is no object of anybody's, but tells that one is being written."""
    return path.rpartition("/")[2].startswith(_MARK)


def _protocols(files: Any) -> set[str]:
    return {files.protocol} if isinstance(files.protocol, str) else {*files.protocol}


def _wait() -> None:
    time.sleep(random.uniform(0, WAIT_SECONDS))  # noqa: S311 - so that two do not meet again


def _of_killed(mark: str) -> bool:
    written = mark.split("-")[-2]
    return time.time() - int(written) > MARK_SECONDS
