"""Staytrue's server with an event log that keeps nothing: what the log costs is the difference to the real one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from staytrue.command import main
from staytrue.eventlog import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence


def forget(_: Writer, payloads: Sequence[bytes]) -> None:
    """In the place of :meth:`Writer.append`."""
    del payloads


if __name__ == "__main__":
    Writer.append = forget  # type: ignore[method-assign, assignment]
    sys.exit(main(sys.argv[1:]))
