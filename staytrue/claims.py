"""Claims: folders that one process works in, let go with it, however it ends."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def claim(folder: Path) -> int:
    """Claim a folder: its open descriptor, which holds a lock until it is closed, as it is when this process ends.

    Raises:
        BlockingIOError: another process has it.
        FileNotFoundError: there is no such folder.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor
