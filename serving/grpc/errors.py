"""Domain codes as gRPC statuses: the one table, and what goes with a status."""

from __future__ import annotations

import math

from grpc import StatusCode

from staytrue.errors import ErrorCode, StaytrueError

STATUS: dict[ErrorCode, StatusCode] = {
    ErrorCode.INVALID_INPUT: StatusCode.INVALID_ARGUMENT,
    ErrorCode.INVALID_CONFIG: StatusCode.INTERNAL,
    ErrorCode.UNAUTHENTICATED: StatusCode.UNAUTHENTICATED,
    ErrorCode.PERMISSION_DENIED: StatusCode.PERMISSION_DENIED,
    ErrorCode.NOT_FOUND: StatusCode.NOT_FOUND,
    ErrorCode.TOO_LARGE: StatusCode.RESOURCE_EXHAUSTED,  # what gRPC itself says of a message beyond its limit
    ErrorCode.UNSUPPORTED: StatusCode.UNIMPLEMENTED,
    ErrorCode.CONFLICT: StatusCode.FAILED_PRECONDITION,
    ErrorCode.OVERLOADED: StatusCode.RESOURCE_EXHAUSTED,  # the pushback beside it says when to come again
    ErrorCode.DEADLINE_EXCEEDED: StatusCode.DEADLINE_EXCEEDED,
    ErrorCode.UNAVAILABLE: StatusCode.UNAVAILABLE,
    ErrorCode.CORRUPT_DATA: StatusCode.DATA_LOSS,
    ErrorCode.CANCELLED: StatusCode.CANCELLED,
    ErrorCode.INTERNAL: StatusCode.INTERNAL,
}
CODE_KEY = "staytrue-code"
"""The trailing metadata that names the domain's code: several share a status."""
LONGEST_DETAILS = 600
"""Clients refuse trailing metadata beyond 8 KiB, and a letter may be written as twelve."""


def details(error: StaytrueError) -> str:
    """``where: expected …, got …; what to do``."""
    return str(error)[:LONGEST_DETAILS]


def trailing(error: StaytrueError) -> tuple[tuple[str, str], ...]:
    """The domain's code, and when to come again where that helps: clients with a retry policy obey it.

    Source: gRPC A6, client retries (grpc-retry-pushback-ms, whole milliseconds).
    """
    seconds = error.retry_seconds
    pushback = () if seconds is None else (("grpc-retry-pushback-ms", str(max(1, math.ceil(seconds * 1000)))),)
    return ((CODE_KEY, error.code.value), *pushback)
