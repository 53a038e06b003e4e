"""Beginning and end of one of several training processes. Nothing here needs torch, which takes seconds to come."""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

from staytrue.variables import variables_of_process

if TYPE_CHECKING:
    from collections.abc import Callable

LAUNCHER = "STAYTRUE_LAUNCHER"
"""Variable of the number of our process that has started this one; no setting for people."""


def is_one_of_several() -> bool:
    """Whether torchrun, or what does the same here, has started this process."""
    return "TORCHELASTIC_RUN_ID" in variables_of_process()


def launcher() -> int | None:
    """Number of the process that has started this one and others; None where it is not ours."""
    number = variables_of_process().get(LAUNCHER)
    return None if number is None else int(number)


def rank() -> int:
    """Of this process among all that torchrun has started; 0 for one alone."""
    return int(variables_of_process().get("RANK", "0"))


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
