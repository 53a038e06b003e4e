"""Launcher: ``python -m training.launcher``, torchrun without its account of what processes have told themselves."""

from __future__ import annotations

import logging
import signal
import sys
from typing import TYPE_CHECKING

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED = 1


def main(arguments: Sequence[str]) -> int:
    """Run what torchrun would, with the same arguments; the exit code is that of the process that failed.

    One that refused something has told it. Of one that a signal ended, as the kernel does where memory is short, nobody
    has told: that is said here.
    """
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
    return 0


def first(codes: dict[int, int]) -> int:
    """The exit code that tells most, of processes by rank: one's own before a signal, which may have come from others.

    >>> first({0: -15, 1: 2}), first({0: -15, 1: -9}), first({0: -15})
    (2, -9, -15)
    """
    return min(codes.values(), key=lambda code: (code < 0, code == -signal.SIGTERM))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
