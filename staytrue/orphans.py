"""Processes that must not outlive the one which started them, however that ends, and whose ends it hears of."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1
"""Source: prctl(2). It holds across the start of another program."""


def end_with(parent: int, number: int) -> None:
    """Have the kernel send this process a signal when its parent is gone: nobody else would end it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it went before we asked
        os._exit(1)


def hear_of_ends() -> None:
    """Have the kernel tell how processes that this one starts end: whoever started it may have switched that off."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
