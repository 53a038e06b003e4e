"""The ledger of openings: who opened which test rows, when, for which run, and what was seen."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import pwd
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from staytrue.addresses import shown
from staytrue.errors import Conflict, CorruptData
from staytrue.openings import LEDGER, Opening
from staytrue.records import append_line, utc
from training.data.split.identity import keep, kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.bundle import Metric
    from staytrue.lineage import Lineage
    from training.data.split.identity import Keys

KEYS = "test_ledger"
"""Folder beside it of the keys of rows that were opened."""


class Known(NamedTuple):
    """Openings of some rows."""

    lines: list[Opening]
    by_time: dict[str, str]
    """Of another model's, if these rows are known to it by no more than their times, the model by the opening's time:
    its data may be wholly other ones of the same hours."""


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

    def open(self, opener: Opener, keys: Keys, seal: str, *, known: Sequence[str] = (), force: bool = False) -> None:
        """Write down an opening; nobody else reads or writes meanwhile. A run that was killed at its own goes on.

        Raises:
            Conflict: some of the rows were opened before, and it is not forced; says by which run, when and by whom. Or
                this ledger does not tell of an opening that is ``known``: another one does.
            CorruptData: what was opened before cannot be told.
        """
        with self._held():
            before = self._openings(keys.all, seal)
            unknown = sorted({*known} - {line.time for line in before})
            if unknown and not force:
                problem = f"was opened before, on {', '.join(unknown)}, of which {self.path} does not tell"
                raise Conflict("test split", problem, hint=_HINT)
            if before and not force:
                if any(map(opener.made, before)):
                    return
                raise self._refusal(before, opener, keys)
            line = Opening(
                time=utc(time.time()),
                by=_who(),
                model=opener.model,
                run=opener.run,
                weights_sha256=opener.weights_sha256,
                lineage=keys.lineage,
                rows=len(keys),
                seal=seal,
                forced=bool(before),
            )
            keep(keys.all, self._file(keys.lineage))
            append_line(self.path, msgspec.to_builtins(line))

    def judged(self, opener: Opener, keys: Keys, seal: str, evaluation: Mapping[str, Metric]) -> None:
        """Write down the figures of the newest opening of a run, before anybody sees them."""
        with self._held():
            line = [line for line in self._openings(keys.all, seal) if opener.made(line)][-1]
            said = msgspec.structs.replace(
                line, event="judged", time=utc(time.time()), by=_who(), evaluation=dict(evaluation)
            )
            append_line(self.path, msgspec.to_builtins(said))

    def openings(self, keys: NDArray[np.uint64], seal: str = "") -> list[Opening]:
        """Openings of any of these rows, oldest first; of ledgers from before rows had keys, those of this seal.

        Shapes: keys [2N] of :attr:`Keys.all`, or [N] of time and truth, of runs from before there were others.

        Raises:
            CorruptData: a line, or the keys of rows that were opened, cannot be read.
        """
        with self._held(alone=False):
            return self._openings(keys, seal)

    def known(self, keys: NDArray[np.uint64], seal: str, model: str) -> Known:
        """Openings of any of these rows, and those among them that may be of other data, for a model of this name.

        Shapes: keys as of :meth:`openings`. Of rows that are the same by time and truth more than half of the keys are.
        """
        with self._held(alone=False):
            lines = self._openings(keys, seal)
            others = [line for line in lines if line.model not in {"", model} and line.seal != seal]
            shared = {line.time: int(np.isin(keys, self._keys(line.lineage)).sum()) for line in others}
            return Known(lines, {line.time: line.model for line in others if 2 * shared[line.time] <= len(keys)})

    def _openings(self, keys: NDArray[np.uint64], seal: str) -> list[Opening]:
        """The same, of a ledger that is held."""
        return [line for line in self._lines() if line.event == "opened" and self._shares(line, keys, seal)]

    def figures(self, opener: Opener, keys: Keys, seal: str) -> Opening | None:
        """What a run's newest opening of these rows showed; nothing if it ended before it was written down."""
        with self._held(alone=False):
            own = [line for line in self._lines() if opener.made(line) and self._shares(line, keys.all, seal)]
        return own[-1] if own and own[-1].event == "judged" else None

    def _shares(self, line: Opening, keys: NDArray[np.uint64], seal: str) -> bool:
        if line.seal == seal:
            return True
        return bool(line.lineage) and bool(np.isin(keys, self._keys(line.lineage)).any())

    def _refusal(self, lines: Sequence[Opening], opener: Opener, keys: Keys) -> Conflict:
        """How many rows were opened, by time and truth, and by their times alone where there are more of these.

        Other models may be of wholly other data that begin at the same hours; of several openings it is told of the
        one that knew most rows by time and truth, the newest of such.
        """
        count = len(keys)

        def met(line: Opening) -> tuple[int, int]:
            opened = self._keys(line.lineage) if line.lineage else keys.all
            return int(np.isin(keys.whole, opened).sum()), int(np.isin(keys.moments, opened).sum())

        line = max(reversed(lines), key=met)
        same, timed = met(line)
        some = "all" if (same or timed) == count else f"{same or timed} of the"
        what = "were opened before" if same else "are of times of rows that were opened before with other truths"
        more = f" ({timed} by their times alone)" if timed > same > 0 else ""
        by = f" by {line.by}" if line.by else ""
        problem, hint = f"{some} {count} rows {what}{more}, for run {line.run} on {line.time}{by}", _HINT
        if not same and line.model not in {"", opener.model}:
            own = f"if these are other data than those of {line.model}, give them a folder of runs of their own"
            hint = f"{own} (retraining.runs); if not, {_HINT}"
        return Conflict("test split", problem, hint=hint)

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
    def _held(self, *, alone: bool = True) -> Iterator[None]:
        """Keep others from reading and writing between this one's reading and writing; a kill lets go.

        Not ``alone``, others may read meanwhile; where there is no ledger, nobody need wait, nor can those who may not
        write beside it, as in a copy that lacks the lock's file. An exclusive lock needs a file to write to on NFS.
        """
        if not alone and not self.path.exists():
            yield
            return
        lock = self._runs / f".{LEDGER}.lock"
        if alone:
            self._runs.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(lock, (os.O_RDWR if alone else os.O_RDONLY) | os.O_CREAT, 0o644)
        except OSError:
            if lock.exists():
                descriptor = os.open(lock, os.O_RDONLY)
            elif alone:
                raise
            else:
                yield
                return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)


_HINT = (
    "a test split seen twice is a validation split: judge by `staytrue evaluate`, "
    "or open it again with --force, which the model card will tell"
)


def told_of(lineage: Lineage, known: Known) -> Lineage:
    """A lineage that knows how often its test rows were opened, when and for which runs; it forgets none it knew of."""
    openings, before = known.lines, lineage.test_opened
    runs = dict.fromkeys(before, "") | dict(zip(before, lineage.test_opened_for, strict=False))
    runs |= {line.time: line.run for line in openings}
    models = dict(zip(before, lineage.test_opened_by_time, strict=False)) | known.by_time
    times = sorted(runs)
    return msgspec.structs.replace(
        lineage,
        test_openings=max(len(times), len(openings), lineage.test_openings),  # two may be of one moment
        test_opened=times,
        test_opened_for=[runs[time] for time in times],
        test_opened_by_time=[models.get(time, "") for time in times] if any(models.values()) else [],
    )


def _who() -> str:
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # containers run as users that have no name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
