"""How much freed memory the C library keeps for itself, where that is glibc: a server lives for months."""

from __future__ import annotations

import ctypes
import logging
from typing import Any

log = logging.getLogger(__name__)
M_ARENA_MAX = -8
"""Source: mallopt(3)."""
ARENAS = 2
"""One for each of the threads that are busy at once: Python's own lock lets no more of them allocate at a time."""


def restrain() -> bool:
    """Share few pools of memory among all threads; to be called before there are many. Whether this library can.

    As it comes glibc gives each thread a pool of its own, up to eight for each core. Each keeps what it once needed for
    the largest bodies and batches, though a server's threads take turns with them.
    """
    mallopt = _found("mallopt")
    done = mallopt is not None and bool(mallopt(M_ARENA_MAX, ARENAS))
    if not done:
        log.info("this C library cannot be told to share memory among threads: more of it may be kept under load")
    return done


def trim() -> bool:
    """Give back to the system what is free; whether this library can."""
    malloc_trim = _found("malloc_trim")
    if malloc_trim is None:
        return False
    malloc_trim(ctypes.c_size_t(0))
    return True


def _found(name: str) -> Any:
    """A function of the C library that this process runs with; nothing where it has none of that name."""
    return getattr(ctypes.CDLL(None), name, None)
