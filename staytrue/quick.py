"""The quick way into a segment of the event log: over the zeros that it is ahead, in one compiled call.

Most small writes are that. What else there is to be done - the file to grow, the next segment, the bound of the log, a
look at it once a second - comes up where this way ends, and is :class:`staytrue.eventlog.Writer`'s. Without the
compiled part there is no quick way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staytrue.compiled import native

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staytrue.bound import Bound
    from staytrue.filling import Piece
    from staytrue.growing import Growing


def _declines(_: bytes, __: Sequence[Piece]) -> bool:
    return False


class Quick:
    """One of a writer, which has a lock of its own around it; closed as yet.

    Args:
        seed: of the writer's headers.
    """

    def __init__(self, seed: int) -> None:
        make: Any = getattr(native, "Appender", None)
        self._appender = None if make is None else make(seed)
        self.append: Callable[[bytes, Sequence[Piece]], bool] = getattr(self._appender, "append", _declines)
        """Write pieces, each as a frame behind a magic; False where nothing was done, as this way does not go so far.

        Raises:
            OSError: the system took a part, and refused the rest.
            ValueError: a piece is not as its template says.
        """

    @property
    def at(self) -> int:
        """Where what was written by it ends; 0 where it is closed."""
        return 0 if self._appender is None else self._appender.at

    def open(self, file: Growing, bound: Bound) -> None:
        """Open it as far as the file is ahead, and the log is known to have room."""
        if self._appender is not None and not file.synced:
            room, until = bound.trusted()
            self._appender.aim(file.handle, file.size, file.size + max(0, min(file.ahead, room)), until)

    def close(self) -> None:
        """Close it; what was written by it has to be known by then."""
        if self._appender is not None:
            self._appender.aim(-1, 0, 0, 0.0)
