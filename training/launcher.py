"""Launcher: ``python -m training.launcher``, torchrun without its account of what processes have told themselves."""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

from staytrue.variables import set_for_processes
from training.ending import LAUNCHER

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED = 1
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Signals that torchrun takes for the end of all."""


def main(arguments: Sequence[str]) -> int:
    """Run what torchrun would, with the same arguments; the exit code is that of the process that failed.

    One that refused something has told it. Of one that a signal ended, as the kernel does where memory is short, nobody
    has told: that is said here.
    """
    from torch.distributed import run  # noqa: PLC0415 - it takes seconds, in which whoever ends this gets no traceback
    from torch.distributed.elastic.multiprocessing.api import SignalException  # noqa: PLC0415
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError  # noqa: PLC0415

    set_for_processes({LAUNCHER: str(os.getpid())})
    logging.disable(logging.ERROR)  # what its agent notes of processes; this one has nothing else to say
    try:
        run.run(run.parse_args(list(arguments)))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        code = first({rank: failure.exitcode for rank, failure in error.failures.items()})
        if code < 0:
            said = f"one of the processes was ended by {signal.Signals(-code).name}; `staytrue train --resume` goes on"
            sys.stderr.write(f"staytrue train: {said}\n")
        return code if code > 0 else FAILED
    except SignalException as error:
        return 128 + error.sigval
    finally:
        for number in ENDING:  # another one has nothing left to end
            signal.signal(number, signal.SIG_IGN)
    return 0


def first(codes: dict[int, int]) -> int:
    """The exit code that tells most, of processes by rank: one's own before a signal, which may have come from others.

    >>> first({0: -15, 1: 2}), first({0: -15, 1: -9}), first({0: -15})
    (2, -9, -15)
    """
    return min(codes.values(), key=lambda code: (code < 0, code == -signal.SIGTERM))


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until torchrun takes it: whoever ends this is told nothing
    sys.exit(main(sys.argv[1:]))
