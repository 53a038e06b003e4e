"""The one tree of errors, each with a domain code; protocols translate codes, never classes or texts.

StaytrueError
├── InvalidInput        the caller sent something that cannot be served as it is
├── InvalidConfig       a setting, a flag or staytrue.yaml is wrong
├── Unauthenticated     no key was sent, or one that is not known here
├── PermissionDenied    the key is known and lacks the scope
├── NotFound            no such model, version, event, file
├── TooLarge            a body, a batch or a file beyond its limit
├── Unsupported         a method, a media type or a feature that is not there
├── Conflict            the state refuses: already exists, sealed, a job is running
├── Overloaded          a bounded queue is full; try again later
├── DeadlineExceeded    the time allowed ran out; the work was dropped
├── Unavailable         not ready, shutting down, a disk bound reached
├── CorruptData         stored bytes fail their digest, checksum, schema or proof
├── Cancelled           the caller hung up; nobody is told
└── InternalError       ours; carries an id, never the text of what happened
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class ErrorCode(StrEnum):
    """What went wrong, in the domain's terms. Protocol status codes are looked up from it, one table a protocol."""

    INVALID_INPUT = "invalid_input"
    INVALID_CONFIG = "invalid_config"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission_denied"
    NOT_FOUND = "not_found"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    CONFLICT = "conflict"
    OVERLOADED = "overloaded"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    UNAVAILABLE = "unavailable"
    CORRUPT_DATA = "corrupt_data"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


class StaytrueError(Exception):
    """An error that says where, what was expected, what was got and what to do.

    >>> str(StaytrueError('input "pixels"', expected="FP32 [-1,28,28]", got="FP64 [2,28]"))
    'input "pixels": expected FP32 [-1,28,28], got FP64 [2,28]'
    >>> str(StaytrueError("staytrue.yaml:3", "unknown key 'modle'", hint="did you mean 'model'?"))
    "staytrue.yaml:3: unknown key 'modle'; did you mean 'model'?"

    Units: ``retry_seconds`` from now, where it is known when the same would succeed; protocols tell it.
    """

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL
    usual_retry_seconds: ClassVar[float | None] = None
    """When to come again where nothing better is known; None where the same would fail again."""

    def __init__(
        self,
        where: str,
        problem: str = "",
        *,
        expected: str = "",
        got: str = "",
        hint: str = "",
        retry_seconds: float | None = None,
    ) -> None:
        self.where, self.problem, self.expected, self.got, self.hint = where, problem, expected, got, hint
        self.retry_seconds = self.usual_retry_seconds if retry_seconds is None else retry_seconds
        super().__init__(self._text())

    def _text(self) -> str:
        said = [self.problem] if self.problem else []
        if self.expected:
            said.append(f"expected {self.expected}")
        if self.got:
            said.append(f"got {self.got}")
        text = f"{self.where}: {', '.join(said)}" if said else self.where
        return f"{text}; {self.hint}" if self.hint else text


def within(error: StaytrueError, folder: str, shown: str = "STORE") -> StaytrueError:
    """The same error for those who are not to know where a folder lies, or who know it by another name.

    >>> str(within(StaytrueError("/srv/store/bikes/2", "is broken"), "/srv/store"))
    'STORE/bikes/2: is broken'
    """
    said = {
        name: getattr(error, name).replace(folder, shown) for name in ("where", "problem", "expected", "got", "hint")
    }
    return type(error)(**said, retry_seconds=error.retry_seconds)


class InvalidInput(StaytrueError):
    """The caller sent something that cannot be served as it is."""

    code = ErrorCode.INVALID_INPUT


class InvalidConfig(StaytrueError):
    """A setting, a flag or ``staytrue.yaml`` is wrong."""

    code = ErrorCode.INVALID_CONFIG


class Unauthenticated(StaytrueError):
    """No key was sent, or one that is not known here. Never says the key, nor a part of it."""

    code = ErrorCode.UNAUTHENTICATED


class PermissionDenied(StaytrueError):
    """The key is known and lacks the scope."""

    code = ErrorCode.PERMISSION_DENIED


class NotFound(StaytrueError):
    """No such model, version, event or file."""

    code = ErrorCode.NOT_FOUND


class TooLarge(StaytrueError):
    """A body, a batch or a file is beyond its limit."""

    code = ErrorCode.TOO_LARGE


class Unsupported(StaytrueError):
    """A method, a media type or a feature that is not there."""

    code = ErrorCode.UNSUPPORTED


class Conflict(StaytrueError):
    """The state refuses: it exists already, it is sealed, a job is running."""

    code = ErrorCode.CONFLICT


class Overloaded(StaytrueError):
    """A bounded queue is full; try again later."""

    code = ErrorCode.OVERLOADED
    usual_retry_seconds = 1.0


class DeadlineExceeded(StaytrueError):
    """The time allowed ran out; the work was dropped."""

    code = ErrorCode.DEADLINE_EXCEEDED


class Unavailable(StaytrueError):
    """Not ready, shutting down, or a disk bound was reached."""

    code = ErrorCode.UNAVAILABLE
    usual_retry_seconds = 1.0


class CorruptData(StaytrueError):
    """Stored bytes fail their digest, checksum, schema or proof."""

    code = ErrorCode.CORRUPT_DATA


class Cancelled(StaytrueError):
    """The caller hung up before there was an answer."""

    code = ErrorCode.CANCELLED


class InternalError(StaytrueError):
    """Ours. Carries an id to look up in the log, never the text of what happened."""

    code = ErrorCode.INTERNAL
