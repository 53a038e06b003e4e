"""What a disk of this machine refuses, told as ours: what may not be read or written there, and what has no room."""

from __future__ import annotations

import errno
import functools
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

from staytrue.errors import InvalidConfig, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from staytrue.errors import StaytrueError

NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
"""What a write fails by that would succeed once something was deleted."""
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR}


class Placed(Protocol):
    """What lies somewhere."""

    @property
    def where(self) -> str:
        """For people."""


S = TypeVar("S", bound=Placed)
P = ParamSpec("P")
T = TypeVar("T")


def looking(look: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Have a method that only reads tell what the disk refuses.

    Raises:
        Unavailable: what was looked at may not be read, or the disk fails.
    """

    @functools.wraps(look)
    def told(placed: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return look(placed, *args, **kwargs)
        except OSError as error:
            hint = "look at who may read it, as whom this runs, and at the disk"
            raise Unavailable(
                f"{error.filename or placed.where}", f"cannot be read: {said(error)}", hint=hint
            ) from error

    return told


def unwritten(where: str, error: OSError, hint: str) -> StaytrueError:
    """What to raise for a write that was refused; ``hint`` is for one that a setting or permissions refuse."""
    problem = f"cannot be written to: {said(error)}"
    if error.errno in _CLOSED:
        return InvalidConfig(where, problem, hint=hint)
    return Unavailable(where, problem, hint="make room there" if error.errno in NO_ROOM else "look at its disk")


def said(error: OSError) -> str:
    """The system's words; those of a library where it has none."""
    return error.strerror or str(error)
