"""Staytrue's server with an event log that keeps nothing: what the log costs is the difference to the real one.

Events are not written, and neither built nor encoded: a server without a log would do none of it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from serving import endings, turns
from staytrue.command import main
from staytrue.eventlog import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

MAKERS = ((endings, "event_of"), (endings, "encode"), (turns, "events_of"))
"""What makes events' bytes: where, and by which name."""


def forget(_: Writer, events: Sequence[object]) -> None:
    """In the place of :meth:`Writer.append` and :meth:`Writer.append_woven`."""
    del events


def skip(*_: object) -> bytes:
    """In the place of what makes events."""
    return b""


def unlog() -> None:
    """Let this process make and write no events.

    Raises:
        RuntimeError: the server makes them by other names now; what it would cost without them is not known then.
    """
    for module, name in MAKERS:
        if not hasattr(module, name):
            raise RuntimeError(f"{module.__name__}: has no {name} any more: mend MAKERS")
    for module, name in MAKERS:
        setattr(module, name, skip)
    Writer.append = Writer.append_woven = forget  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    unlog()
    sys.exit(main(sys.argv[1:]))
