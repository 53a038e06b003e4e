"""What tells that a file is another than before, without reading it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

UNSETTLED_SECONDS = 2.0
"""A file changed so recently may change again without its times telling."""

Identity = tuple[int, ...]


def identity_of(path: Path) -> Identity:
    """What changes with a file, also when a link on the way to it is swapped; empty where there is none."""
    try:
        at = path.stat()
    except OSError:
        return ()
    return at.st_mtime_ns, at.st_ctime_ns, at.st_size, at.st_ino, at.st_dev


def settled(identity: Identity) -> bool:
    """Whether a file's times are old enough for another change to show in them."""
    return bool(identity) and time.time() - max(identity[:2]) / 1e9 > UNSETTLED_SECONDS
