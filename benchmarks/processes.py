"""Processes on a core of their own, and what they have used."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import psutil

from benchmarks.environments import NotMeasured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STOP_SECONDS = 20


def cores() -> tuple[int, int] | None:
    """One for what is measured and one for who asks; None where there is one alone, or no way to choose."""
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return (usable[0], usable[1]) if len(usable) > 1 else None


@contextlib.contextmanager
def on(core: int | None) -> Iterator[None]:
    """What is started within runs on a core from its first instruction, and all that it starts too."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Running:
    """A process and all that it starts.

    Args:
        log: file of what it prints; without one its output is a pipe, and so is its input.
    """

    def __init__(self, command: list[str], core: int | None, log: Path | None = None) -> None:
        self.began, self._log = time.perf_counter(), log
        with on(core), contextlib.ExitStack() as held:
            out = subprocess.PIPE if log is None else held.enter_context(log.open("wb"))
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if log is None else subprocess.DEVNULL,
                stdout=out,
                stderr=None if log is None else out,
                start_new_session=True,
                bufsize=0,
            )
        self._root = psutil.Process(self._process.pid)

    def ask(self, line: bytes) -> bytes:
        """Write a line, read a line; nothing is written for an empty one.

        Raises:
            NotMeasured: it has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if line:
            self._process.stdin.write(line + b"\n")
        answer = self._process.stdout.readline()
        if not answer:
            raise NotMeasured("the process has ended")
        return answer

    def wait(self, ready: Callable[[], bool], seconds: float) -> float:
        """Seconds from its start until it is ready.

        Raises:
            NotMeasured: it ended, or took too long; with the end of what it printed.
        """
        while not ready():
            if self._process.poll() is not None:
                raise NotMeasured(f"ended at its start: {self.tail()}")
            if time.perf_counter() - self.began > seconds:
                raise NotMeasured(f"did not answer within {seconds:.0f} s: {self.tail()}")
            time.sleep(0.003)
        return time.perf_counter() - self.began

    def printed(self) -> str:
        """All that it printed."""
        return self._log.read_text(errors="replace") if self._log else ""

    def tail(self) -> str:
        """The end of that, on one line."""
        return " | ".join(self.printed().splitlines()[-4:])[-500:]

    def cpu_seconds(self) -> float:
        """Processor time so far, user and system, of it and all that it started and that still run."""
        return sum(sum(process.cpu_times()[:2]) for process in self._all())

    def resident_bytes(self) -> float:
        """Resident memory of all of them; what they share counts once for each."""
        return float(sum(process.memory_info().rss for process in self._all()))

    def stop(self) -> None:
        """End them all: first by asking."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _all(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]
