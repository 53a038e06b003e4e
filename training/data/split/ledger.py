"""The ledger of openings: who opened which test rows, when, for which run, and what was seen."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import pwd
import socket
import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from staytrue.addresses import shown
from staytrue.errors import Conflict, CorruptData
from staytrue.openings import LEDGER, Opening
from staytrue.records import append_line, utc
from training.data.split.identity import keep, kept, lineage_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.bundle import Metric

KEYS = "test_ledger"
"""Folder beside it of the keys of rows that were opened."""


@dataclasses.dataclass(frozen=True)
class Opener:
    """Which run they are opened for."""

    model: str
    run: str
    weights_sha256: str = ""

    def made(self, line: Opening) -> bool:
        """Whether a line is of this run."""
        return line.run == self.run and line.weights_sha256 in {"", self.weights_sha256}


class Ledger:
    """The ledger of a folder of runs."""

    def __init__(self, runs: Path) -> None:
        self._runs, self.path = runs, runs / LEDGER

    def open(self, opener: Opener, keys: NDArray[np.uint64], seal: str, *, force: bool = False) -> None:
        """Write down an opening; no other process writes one meanwhile. A run that was killed at its own goes on.

        Raises:
            Conflict: some of the rows were opened before, and it is not forced; says by which run, when and by whom.
            CorruptData: what was opened before cannot be told.
        """
        name = lineage_of(keys)
        with self._held():
            before = self.openings(keys, seal)
            if before and not force:
                if any(map(opener.made, before)):
                    return
                raise Conflict("test split", self._told(before[-1], keys), hint=_HINT)
            line = Opening(
                time=utc(time.time()),
                by=_who(),
                model=opener.model,
                run=opener.run,
                weights_sha256=opener.weights_sha256,
                lineage=name,
                rows=len(keys),
                seal=seal,
                forced=bool(before),
            )
            keep(keys, self._file(name))
            append_line(self.path, msgspec.to_builtins(line))

    def judged(self, opener: Opener, keys: NDArray[np.uint64], seal: str, evaluation: Mapping[str, Metric]) -> None:
        """Write down the figures of the newest opening of a run, before anybody sees them."""
        with self._held():
            line = [line for line in self.openings(keys, seal) if opener.made(line)][-1]
            said = msgspec.structs.replace(
                line, event="judged", time=utc(time.time()), by=_who(), evaluation=dict(evaluation)
            )
            append_line(self.path, msgspec.to_builtins(said))

    def openings(self, keys: NDArray[np.uint64], seal: str = "") -> list[Opening]:
        """Openings of any of these rows, oldest first; of ledgers from before rows had keys, those of this seal.

        Raises:
            CorruptData: a line, or the keys of rows that were opened, cannot be read.
        """
        return [line for line in self._lines() if line.event == "opened" and self._shares(line, keys, seal)]

    def times(self, keys: NDArray[np.uint64], seal: str) -> list[str]:
        """When each of :meth:`openings` was made."""
        return [line.time for line in self.openings(keys, seal)]

    def figures(self, opener: Opener, keys: NDArray[np.uint64], seal: str) -> Opening | None:
        """What a run's newest opening of these rows showed; nothing if it ended before it was written down."""
        own = [line for line in self._lines() if opener.made(line) and self._shares(line, keys, seal)]
        return own[-1] if own and own[-1].event == "judged" else None

    def _shares(self, line: Opening, keys: NDArray[np.uint64], seal: str) -> bool:
        if line.seal == seal:
            return True
        return bool(line.lineage) and bool(np.isin(keys, self._keys(line.lineage)).any())

    def _told(self, line: Opening, keys: NDArray[np.uint64]) -> str:
        shared = int(np.isin(keys, self._keys(line.lineage)).sum()) if line.lineage else len(keys)
        some = "all" if shared == len(keys) else f"{shared} of the"
        by = f" by {line.by}" if line.by else ""
        return f"{some} {len(keys)} rows were opened before, for run {line.run} on {line.time}{by}"

    def _lines(self) -> list[Opening]:
        lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        found = []
        for number, line in enumerate(lines, 1):
            try:
                found.append(msgspec.json.decode(line, type=Opening))
            except msgspec.MsgspecError as error:
                hint = "it may be an opening: bring the line back, or remove it if you know that it was none"
                raise CorruptData(f"{shown(self.path)}:{number}", f"cannot be read: {error}", hint=hint) from error
        return found

    def _file(self, lineage: str) -> Path:
        return self._runs / KEYS / f"{lineage}.keys"

    def _keys(self, lineage: str) -> NDArray[np.uint64]:
        return kept(self._file(lineage), lineage)

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Keep others from reading and writing between this one's reading and writing; a kill lets go."""
        self._runs.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._runs / f".{LEDGER}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


_HINT = (
    "a test split seen twice is a validation split: judge by `staytrue evaluate`, "
    "or open it again with --force, which the model card will tell"
)


def _who() -> str:
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # containers run as users that have no name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
