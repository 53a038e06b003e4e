"""A version in the making, ``STORE/NAME/.making-VERSION-…``: claimed by a lock that ends with its process."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from staytrue.claims import claim
from staytrue.records import fsync_folder

if TYPE_CHECKING:
    from pathlib import Path

_MAKING = re.compile(r"\.making-([0-9]+)-.*")


@dataclass(frozen=True)
class Making:
    """A folder that one process fills; nobody else reads it."""

    folder: Path
    claim: int
    """The folder's open descriptor: holds the lock, let go by the end of this process, however it ends."""

    @classmethod
    def begin(cls, model: Path, version: str) -> Making:
        """Make and claim the folder; the caller holds the model's lock."""
        folder = model / f".making-{version}-{os.getpid()}"
        folder.mkdir()
        return cls(folder, claim(folder))

    def appear(self, target: Path) -> None:
        """Sync all of it, then give it its name in one step."""
        sync(self.folder)
        self.folder.rename(target)
        fsync_folder(target.parent)

    def end(self) -> None:
        """Let go of the claim; what did not appear is deleted."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self.claim)


def in_the_making(model: Path) -> list[int]:
    """Versions that living processes are making; what dead ones left is deleted."""
    numbers = []
    for path in model.glob(".making-*"):
        if (found := _MAKING.fullmatch(path.name)) is None:
            continue
        try:
            left = claim(path)
        except FileNotFoundError:  # done this moment
            continue
        except BlockingIOError:
            numbers.append(int(found[1]))
            continue
        shutil.rmtree(path, ignore_errors=True)
        os.close(left)
    return numbers


def sync(folder: Path) -> None:
    """Have all of a folder survive a power cut."""
    for path in folder.rglob("*"):
        _fsync(path)
    fsync_folder(folder)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
