"""Runs a command for as long as whoever started it lives, then ends all that the command has started.

``python keeper.py FOLDER COMMAND …``: a program of its own, on the standard library alone, since what it waits for is
the death of its parent, kill -9 included: standard input is a pipe that nobody writes to, and its end is that death.
The command gets a process group of its own, which holds the workers that TorchServe starts, so all of them end. Dies
the keeper itself by kill -9, the kernel kills the command, and the workers end as their connection does.

They are killed, not asked: TorchServe does not drain (it resets connections at once, then takes seconds to end), so
whoever speaks to it has drained before, and all that it has on disk lies in FOLDER.

FOLDER, which holds sockets, settings and unpacked models, is removed with them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

POLL_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Keep the command; its exit code, 0 where it was told to end."""
    folder, *command = arguments
    signal.signal(signal.SIGTERM, _end)
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=_die_with_keeper,  # noqa: PLW1509 - this process has one thread
    )
    try:
        while process.poll() is None and not _orphaned(POLL_SECONDS):
            pass
    except SystemExit:
        pass
    told = process.poll() is None
    _end_group(process)
    if not told:
        return process.returncode  # whoever started it reads in FOLDER why
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def _orphaned(seconds: float) -> bool:
    """Whether standard input has ended, waiting for it so long."""
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(readable) and not os.read(sys.stdin.fileno(), 1)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # also where the command has ended: what it left behind
    process.wait()


def _end(number: int, frame: FrameType | None) -> None:
    del number, frame
    sys.exit(0)


def _die_with_keeper() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
