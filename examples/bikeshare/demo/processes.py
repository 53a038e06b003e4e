"""Server and sidecar, each a process of its own, started and ended as an operator would."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

START_SECONDS = 90


def staytrue(*arguments: str | Path) -> list[str]:
    """The command line of a staytrue command, run by this same Python."""
    return [sys.executable, "-m", "staytrue", *map(str, arguments)]


class Service:
    """A long-running staytrue command. What it prints goes to a file; its address is read from there too.

    Raises:
        RuntimeError: it ended, or said no address in time; shows the end of what it printed.
    """

    def __init__(self, command: str, project: Path | None, log: Path, *flags: str) -> None:
        self.command, self.log = command, log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._file = log.open("ab")
        self.process = subprocess.Popen(
            staytrue(command, *(() if project is None else ("--project", project)), *flags),
            stdout=subprocess.PIPE,
            stderr=self._file,
            start_new_session=True,  # Ctrl-C is for whoever started it, who then ends it in order
        )
        self.grpc = ""
        """Where it listens for gRPC, a server that does; said before the address."""
        self._address: queue.Queue[str] = queue.Queue()
        self._copier = threading.Thread(target=self._copy, daemon=True)
        self._copier.start()
        try:
            self.address = self._address.get(timeout=START_SECONDS)
        except queue.Empty:
            self.address = ""
        if not self.address:
            self.kill()
            raise RuntimeError(f"staytrue {command} did not start; {log} ends:\n{self.tail()}")

    def _copy(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 - it was asked for above
        for line in self.process.stdout:
            self._file.write(line)
            self._file.flush()
            if b"grpc listening on " in line:
                self.grpc = line.decode().split("listening on ")[1].strip()
            if b": listening on http" in line:
                self._address.put(line.decode().split("listening on ")[1].split()[0])
        self._address.put("")

    def tail(self) -> str:
        """The last lines that it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def stop(self) -> int:
        """SIGTERM, then wait; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        self.close()
        return code

    def kill(self) -> None:
        """SIGKILL: what a crash or the kernel's memory killer does."""
        self.process.kill()
        self.process.wait(timeout=30)

    def close(self) -> None:
        """Let go of the pipe and the file of a process that has ended."""
        self._copier.join(timeout=10)
        if self.process.stdout:
            self.process.stdout.close()
        self._file.close()
