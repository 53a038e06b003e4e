"""How a version comes to an address: its number claimed, its files put up, its seal made last and once.

A number is its claimant's alone, for good. A claimant that was not heard of for a day is given up by an empty seal in
the place of its own: seals are made once (:meth:`staytrue.objects.Objects.create`), so whichever is first stands. One
that was only stopped then finds its number taken, and nobody is ever given that number again, so that whatever it still
writes there meets nothing of others.
"""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

from staytrue.bundle import MANIFEST, SEAL
from staytrue.errors import Conflict, CorruptData, Unavailable
from staytrue.records import Record, from_json, to_json
from staytrue.shelf import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from staytrue.objects import Objects

ABANDONED_SECONDS = 86400.0
"""What a publisher left that was killed is cleared away after a day."""
TRIES = 50
_GIVEN_UP = b""
"""The seal of a number whose claimant was given up."""


class Claim(Record, frozen=True, kw_only=True):
    """A version that somebody makes."""

    writer: str
    time: float
    """When it was claimed, Unix seconds."""


class Publishing:
    """Claims, uploads and seals of all models at an address."""

    def __init__(self, objects: Objects, clock: Callable[[], float]) -> None:
        self._objects, self._clock = objects, clock

    def claim(self, name: str) -> tuple[str, bytes]:
        """The next number, claimed; looked for again once it is, as another may have been done in between.

        It may even have been cleared away again: then a higher one has a seal, as the newest version always stays.
        """
        for _ in range(TRIES):
            taken = [int(claim) for claim in self._objects.names(f"{name}/claims") if VERSION.fullmatch(claim)]
            begun = {path.partition("/")[0] for path in self._objects.sizes(name)}
            taken += [int(version) for version in begun if VERSION.fullmatch(version)]
            version = str(max(taken, default=0) + 1)
            claim = to_json(Claim(writer=uuid.uuid4().hex, time=self._clock()))
            if self._objects.create(_claim(name, version), claim):
                sizes = self._objects.sizes(name)
                passed = any(int(other) >= int(version) for other, _ in _seals(sizes))
                passed = passed or any(path.startswith(f"{version}/") for path in sizes)
                sealed = None if passed else self._objects.read(f"{name}/{version}/{SEAL}")
                if not passed and sealed is None:
                    return version, claim
                self._objects.delete([_claim(name, version)])
                if sealed is not None:
                    where, problem = (
                        f"{self._objects.where}/{name}/{version}",
                        "is there, and the store does not list it",
                    )
                    raise Unavailable(where, problem, hint="try again once it does")
        raise Unavailable(f'model "{name}"', "others claim its versions all the time", hint="try again")

    def upload(self, name: str, version: str, folder: Path, claim: bytes) -> None:
        """All files, the manifest behind them and the seal last, once all others are seen to lie there.

        Where it fails, the number is given up: what was on its way may still arrive, and meets nothing of others.

        Raises:
            Conflict: the number is not the claimant's any more; nothing of it is a version.
        """
        try:
            self._upload(name, version, folder, claim)
        except BaseException:
            self._give_up(name, version, claim)
            raise

    def _upload(self, name: str, version: str, folder: Path, claim: bytes) -> None:
        where, files = f"{name}/{version}", {path.name: path for path in folder.iterdir() if path.name != SEAL}
        self._check_ours(name, version, claim)  # before anything is written beside what others may have there
        for file in sorted(files, key=lambda file: (file == MANIFEST, file)):
            self._objects.upload(files[file], f"{where}/{file}")
        there = self._objects.sizes(where)
        self._check_ours(name, version, claim)
        if there != {file: path.stat().st_size for file, path in files.items()}:
            raise self._conflict(where, "somebody else wrote to it")
        if not self._seal(f"{where}/{SEAL}", (folder / SEAL).read_bytes()):
            raise self._conflict(where, "was given up, or sealed by somebody else, the moment before it was done")

    def _seal(self, path: str, seal: bytes) -> bool:
        """Whether the seal is there; one whose answer was lost may still arrive, unless another is there by then."""
        try:
            return self._objects.create(path, seal)
        except Unavailable:
            if self._objects.create(path, _GIVEN_UP):
                raise
        return self._objects.read(path) == seal

    def done(self, name: str, version: str) -> None:
        """Let go of the number of a version that is published, or gone; a claim that stays goes in a day."""
        with contextlib.suppress(Unavailable):
            self._objects.delete([_claim(name, version)])

    def withdraw(self, name: str, version: str, claim: bytes) -> None:
        """Let go of the number of a version of which nothing was put up yet."""
        with contextlib.suppress(Unavailable):  # what went wrong is told; this is not what did
            if self._claimed(name, version) == claim:
                self.done(name, version)

    def _give_up(self, name: str, version: str, claim: bytes) -> None:
        """Delete what a failed try has put up, once no seal of it can come any more; what stays is no version."""
        with contextlib.suppress(Unavailable):  # as above; what is left goes in a day
            path, ours = f"{name}/{version}/{SEAL}", self._claimed(name, version) == claim
            seal = self._objects.read(path)
            if seal == _GIVEN_UP or (seal is None and ours and self._objects.create(path, _GIVEN_UP)):
                self._empty(name, version)
            if ours:
                self.done(name, version)

    def sweep(self, name: str, sizes: Mapping[str, int]) -> None:
        """Give up claimants that were not heard of for a day, and delete what was written under numbers given up.

        Args:
            name: of the model.
            sizes: of all its objects, by their paths below its name.
        """
        for version in self._objects.names(f"{name}/claims"):
            data = self._claimed(name, version) if VERSION.fullmatch(version) else None
            if data is None or self._clock() - _time(data) < ABANDONED_SECONDS:
                continue
            if self._objects.create(f"{name}/{version}/{SEAL}", _GIVEN_UP):
                self._empty(name, version)
            self.done(name, version)
        for version in given_up(sizes):
            if sum(path.startswith(f"{version}/") for path in sizes) > 1:  # of one that was stopped, and went on
                self._empty(name, version)

    def _check_ours(self, name: str, version: str, claim: bytes) -> None:
        if self._claimed(name, version) != claim:
            problem = "is not this publisher's any more: it was stopped for a day, or its claim was deleted"
            hint = "publish the version again; if this was no day, set the clock of this machine right"
            raise Conflict(f"{self._objects.where}/{name}/{version}", problem, hint=hint)

    def _claimed(self, name: str, version: str) -> bytes | None:
        return self._objects.read(_claim(name, version))

    def _conflict(self, where: str, problem: str) -> Conflict:
        return Conflict(f"{self._objects.where}/{where}", problem, hint="publish the version again")

    def _empty(self, name: str, version: str) -> None:
        """Delete all of a number but its seal."""
        files = self._objects.sizes(f"{name}/{version}")
        self._objects.delete(f"{name}/{version}/{file}" for file in files if file != SEAL)


def published(sizes: Mapping[str, int]) -> set[str]:
    """Versions with a seal, by the sizes of all objects of a model."""
    return {version for version, size in _seals(sizes) if size != len(_GIVEN_UP)}


def given_up(sizes: Mapping[str, int]) -> set[str]:
    """Numbers that nobody gets any more."""
    return {version for version, size in _seals(sizes) if size == len(_GIVEN_UP)}


def _seals(sizes: Mapping[str, int]) -> list[tuple[str, int]]:
    found = ((*path.partition("/"), size) for path, size in sizes.items())
    return [(version, size) for version, _, file, size in found if file == SEAL and VERSION.fullmatch(version)]


def _time(claim: bytes) -> float:
    """When it was made; long ago where that was never written to its end, by one that was killed."""
    try:
        return from_json(Claim, claim, "").time
    except CorruptData:
        return 0.0


def _claim(name: str, version: str) -> str:
    return f"{name}/claims/{version}"
