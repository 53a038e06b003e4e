"""Processes: the same command, started several times on this machine, each a part of one training."""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, NoReturn

import torch

from staytrue.orphans import end_with

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staytrue.sections import TrainingSection

TELLING_SECONDS = 10.0
"""In which the main process comes to what another has refused, and so to its end."""


def waits_for_more(settings: TrainingSection) -> bool:
    """Whether this process is to start those that train; one of those, or of torchrun's on many hosts, is not."""
    return settings.processes > 1 and not torch.distributed.is_torchelastic_launched()


def launch(settings: TrainingSection, arguments: Sequence[str]) -> int:
    """Run ``python -m training ARGUMENTS`` as processes that find each other on the loopback address; the exit code.

    When one of them fails, torchrun ends the others; when this process ends, the kernel ends torchrun, and so them.
    """
    meeting = ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"]
    command = [sys.executable, "-m", "training.launcher", f"--nproc-per-node={settings.processes}", *meeting]
    parent = os.getpid()
    return subprocess.run(
        [*command, "-m", "training", *arguments],
        check=False,
        preexec_fn=lambda: end_with(parent, signal.SIGTERM),
    ).returncode


def is_main() -> bool:
    """Whether this process is the one that writes and speaks."""
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0


def leave_telling_to_main() -> None:
    """Where something is refused that all find, let the main process say so: with its end this one is ended.

    What this one found alone it says itself, after :data:`TELLING_SECONDS`.
    """
    if not is_main():
        time.sleep(TELLING_SECONDS)


def end_after(work: Callable[[], int]) -> NoReturn:
    """Do the work and end this process, one of several, with its exit code, but without the interpreter's own end.

    The threads, the functions and the words that are to be waited for, called and written first are, and where that
    fails the rest of it is done all the same, and the failure told. In the interpreter's own end one of Gloo's threads
    may still let go of what the last collective gathered: it then asks for the interpreter's lock, is unwound through
    C++ that allows none of that, and the process aborts, once all is done. torchrun would tell of a failure, and end
    the others. DistributedDataParallel keeps these threads beyond ``destroy_process_group``.

    Source: pytorch/pytorch issue 190489; that a thread ends which takes the lock then: ``Py_FinalizeEx``.
    """
    code = 1
    try:
        code = _code(work)
        wait: Callable[[], None] = threading._shutdown  # type: ignore[attr-defined]  # noqa: SLF001 - as multiprocessing does
        for step in (wait, atexit._run_exitfuncs, _write):  # noqa: SLF001
            failed = _code(step)
            code = code or failed
    finally:
        os._exit(code)


def _write() -> None:
    """Write all that was printed, by C libraries too."""
    ctypes.CDLL(None).fflush(None)
    sys.stderr.flush()
    sys.stdout.flush()


def _code(work: Callable[[], int | None]) -> int:
    """What the interpreter would end with; what it would say is said."""
    try:
        return work() or 0
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        sys.stderr.write(f"{error.code}\n")
    except BaseException:  # noqa: BLE001 - nobody else would ever hear of it
        sys.excepthook(*sys.exc_info())
    return 1
