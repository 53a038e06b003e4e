"""A store at an address: an object store, which neither renames nor locks, or whatever else fsspec writes to.

Below ``ADDRESS/NAME/``: ``VERSION/`` (a bundle, seen once its seal lies there, which is written last; an empty seal is
of a number that nobody gets), ``claims/VERSION`` (it is being made), and ``revisions/NUMBER.json``, which tell who
answers. Each revision is made once, by whoever is first (:meth:`staytrue.objects.Objects.create`), on what the one
before it held; so no change is lost, and the journal is complete. A plain store that was copied there is read too: its
aliases until the first change made here.
"""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import time
import uuid
from typing import TYPE_CHECKING

import msgspec

from staytrue import aliases as states
from staytrue.aliases import Aliases, Change
from staytrue.bundle import SEAL
from staytrue.copies import Copies
from staytrue.errors import CorruptData, StaytrueError, Unavailable
from staytrue.folder import ALIASES, JOURNAL
from staytrue.lately import Lately
from staytrue.objects import Objects
from staytrue.publishing import Publishing, published
from staytrue.records import Record, from_json, to_json
from staytrue.shelf import NAME
from staytrue.signing import SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

FRESH_SECONDS = 1.0
"""What was read of aliases holds for so long: they are asked for with each request that a sidecar takes in."""
LISTED_SECONDS = 5.0
"""What was listed of versions, for whoever only tells of them, holds for so long."""
TRIES, WAIT_SECONDS = 50, 0.1
_REVISION = re.compile(r"([0-9]{8})\.json")


class Revision(Record, frozen=True, kw_only=True):
    """Who answers for a model, as one object at an address."""

    schema: int = 1
    writer: str
    """Tells two writers apart who would say the same."""
    aliases: Aliases
    change: Change | None = None
    """None where versions were cleared away and nobody's part changed."""
    leaving: list[str] = msgspec.field(default_factory=list)
    """Versions that are being cleared away, until the last of their objects is gone: nobody is to meet them."""


class Remote:
    """A :class:`staytrue.shelf.Shelf` at an address."""

    def __init__(self, address: str, cache: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._objects, self._clock = Objects(address), clock
        self._copies, self._publishing = Copies(self._objects, cache), Publishing(self._objects, clock)
        self._revised: dict[str, dict[int, Revision]] = {}
        """By model and number: each is read once, as none ever changes."""
        self._newest = Lately(self._ask_newest, FRESH_SECONDS, clock)
        self._named = Lately(self._objects.names, FRESH_SECONDS, clock)
        self._listed = Lately(self.versions, LISTED_SECONDS, clock)

    @property
    def root(self) -> Path:
        """Folder of the copies."""
        return self._copies.root

    @property
    def where(self) -> str:
        """The address."""
        return self._objects.where

    def exists(self) -> bool:
        """Whether anything lies below the address."""
        return bool(self._objects.names(""))

    def models(self) -> list[str]:
        """Those that somebody answers for, or did, or had a second ago."""
        return [name for name in self._named.get("") if NAME.fullmatch(name) and self._answered(name)]

    def _answered(self, name: str) -> bool:
        """Whether somebody answers, or what says who cannot be read: it is told when it is asked for, of that model."""
        try:
            return self.standing(name) is not None
        except StaytrueError:
            return True

    def present(self, name: str) -> bool:
        """Whether anything lies below its name."""
        return bool(self._objects.names(name))

    def versions(self, name: str) -> list[str]:
        """Those with a seal that nobody clears away; the sizes come first, as what leaves is told before it goes."""
        sealed = published(self._objects.sizes(name))
        latest = self._latest(name) if sealed else None
        return sorted(sealed - {*(latest.leaving if latest else [])}, key=int)

    def glance(self, name: str) -> list[str]:
        """What :meth:`versions` said within the last seconds."""
        return self._listed.get(name)

    def has(self, name: str, version: str) -> bool:
        """Whether it has a seal and is not being cleared away."""
        latest = self._latest(name)
        leaving = latest.leaving if latest else []
        return version not in leaving and bool(self._objects.read(f"{name}/{version}/{SEAL}"))

    def folder(self, name: str, version: str) -> Path:
        """A checked copy."""
        return self._copies.get(name, version)

    def forget(self, name: str, version: str) -> None:
        """Drop the copy."""
        self._copies.drop(name, version)

    def mend(self, name: str, version: str) -> bool:
        """Take the copy anew, if a byte of it changed."""
        return self._copies.mend(name, version)

    def standing(self, name: str) -> Aliases | None:
        """What the newest revision says, or said a second ago."""
        found = self._newest.get(name)
        return found.aliases if found and found.aliases.champion else None

    def journal(self, name: str) -> list[Change]:
        """Of a plain journal and of all revisions."""
        plain, numbers = self._plain(name), self._revisions(name)
        revisions = [self._revision(name, number) for number in numbers]
        before = states.effective(self._objects.read(f"{name}/{JOURNAL}") or b"", plain.revision) if plain else []
        return before + [one.change for one in revisions if one is not None and one.change is not None]

    @contextlib.contextmanager
    def new_version(self, name: str) -> Iterator[tuple[str, Path]]:
        """In a folder of this machine, whose files go up at the end, the seal last."""
        folder = self._copies.scratch(name)  # first: where it cannot be made, no number is taken
        try:
            version, claim = self._publishing.claim(name)
            try:
                yield version, folder
            except BaseException:
                self._publishing.withdraw(name, version, claim)
                raise
            self._publishing.upload(name, version, folder, claim)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._publishing.done(name, version)
        self._listed.forget(name)

    def change(self, name: str, alter: Callable[[Aliases], tuple[Aliases, Change]]) -> Aliases:
        """By the next revision, made on the newest; where others made it first, on theirs."""
        for _ in range(TRIES):
            old = self._latest(name)
            new, change = alter(old.aliases if old else Aliases())
            if self._advance(name, new, change, old.leaving if old else []):
                return new
            time.sleep(random.uniform(0, WAIT_SECONDS))  # noqa: S311 - so that two do not meet again
        raise Unavailable(f'model "{name}"', "others change its aliases all the time", hint="try again")

    def read(self, name: str, version: str, file: str) -> bytes | None:
        """What lies at the address."""
        return self._objects.read(f"{name}/{version}/{file}")

    def keep_signature(self, name: str, version: str) -> None:
        """Put it beside the bundle."""
        self._objects.write(f"{name}/{version}/{SIGNATURE}", (self.root / name / version / SIGNATURE).read_bytes())

    def clear(self, name: str, needed: Callable[[], Collection[str]], *, dry: bool) -> dict[str, int]:
        """A revision tells what leaves; who gives one of them a part meanwhile comes first, or is refused.

        From that revision on nobody meets them; where this ends before all of them is gone, the next one goes on.
        """
        for _ in range(TRIES):
            old, sizes = self._latest(name), self._objects.sizes(name)  # what is published from now on is not in them
            named = old.aliases.named if old else set()  # of the very revision that the next one is made on
            going = sorted(published(sizes) - {*needed()} - named, key=int)
            removed = {version: _bytes(sizes, version) for version in going}
            if dry:
                return removed
            for version in old.leaving if old else []:  # of one that was killed
                self._delete(name, version)
            self._publishing.sweep(name, sizes)
            aliases = old.aliases if old else Aliases()
            new = msgspec.structs.replace(aliases, revision=aliases.revision + 1)
            if not going or self._advance(name, new, None, [*(old.leaving if old else []), *going]):
                for version in going:
                    self._delete(name, version)
                return removed
        raise Unavailable(f'model "{name}"', "others change its aliases all the time", hint="try again")

    def _latest(self, name: str) -> Revision | None:
        """The newest revision, asked for now, or what a plain store says; None where nobody ever answered."""
        return self._newest.anew(name)

    def _ask_newest(self, name: str) -> Revision | None:
        numbers = self._revisions(name)
        if numbers:
            return self._revision(name, numbers[-1])
        plain = self._plain(name)
        return Revision(writer="", aliases=plain) if plain else None

    def _revisions(self, name: str) -> list[int]:
        found = map(_REVISION.fullmatch, self._objects.names(f"{name}/revisions"))
        numbers = sorted(int(match[1]) for match in found if match)
        for gone in self._revised.get(name, {}).keys() - {*numbers}:  # somebody may make it anew
            self._revised[name].pop(gone, None)
        return numbers

    def _revision(self, name: str, number: int) -> Revision | None:
        known, path = self._revised.setdefault(name, {}), _path(name, number)
        if (found := known.get(number)) is None:
            data = self._objects.read(path)
            if data is None:
                return None
            try:
                found = known[number] = from_json(Revision, data, f"{self.where}/{path}")
            except CorruptData as error:
                hint = "put it back; or delete it, and the revision before it counts again"
                raise CorruptData(error.where, error.problem, hint=error.hint or hint) from error
        return found

    def _plain(self, name: str) -> Aliases | None:
        path = f"{name}/{ALIASES}"
        data = self._objects.read(path)
        return None if data is None else from_json(Aliases, data, f"{self.where}/{path}")

    def _advance(self, name: str, new: Aliases, change: Change | None, leaving: list[str]) -> bool:
        still = [version for version in dict.fromkeys(leaving) if self._objects.sizes(f"{name}/{version}")]
        made = Revision(writer=uuid.uuid4().hex, aliases=new, change=change, leaving=still)
        if not self._objects.create(_path(name, new.revision), to_json(made)):
            return False
        self._newest.forget(name)
        self._named.forget("")
        self._listed.forget(name)
        return True

    def _delete(self, name: str, version: str) -> None:
        """The seal first, so that nobody takes what is left for a version."""
        files = sorted(self._objects.sizes(f"{name}/{version}"), key=lambda file: file != SEAL)
        self._objects.delete(f"{name}/{version}/{file}" for file in files)
        self._publishing.done(name, version)  # of a publisher that was killed once its version was there
        self._copies.drop(name, version)


def _path(name: str, number: int) -> str:
    return f"{name}/revisions/{number:08d}.json"


def _bytes(sizes: dict[str, int], version: str) -> int:
    return sum(max(size, 0) for path, size in sizes.items() if path.startswith(f"{version}/"))
