"""Domain codes as HTTP statuses: the one table, and the body of an error."""

from __future__ import annotations

import math
import re

import orjson

from staytrue.errors import ErrorCode, StaytrueError

STATUS: dict[ErrorCode, int] = {
    ErrorCode.INVALID_INPUT: 400,
    ErrorCode.INVALID_CONFIG: 500,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.PERMISSION_DENIED: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.UNSUPPORTED: 405,
    ErrorCode.CONFLICT: 409,
    ErrorCode.OVERLOADED: 429,
    ErrorCode.DEADLINE_EXCEEDED: 504,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.CORRUPT_DATA: 503,
    ErrorCode.CANCELLED: 499,
    ErrorCode.INTERNAL: 500,
}

_METHODS = re.compile(r"[A-Z]+(, [A-Z]+)*")


def body(error: StaytrueError) -> bytes:
    """``{"error": "where: expected …, got …; what to do", "code": "invalid_input"}``."""
    return orjson.dumps({"error": str(error), "code": error.code.value})


def headers(error: StaytrueError) -> dict[str, str]:
    """What a caller needs besides the status: when to come again, or how to say who it is.

    Source: RFC 9110, 10.2.1 (Allow, empty where no method is), 10.2.3 (Retry-After, whole seconds) and 11.6.1
    (WWW-Authenticate); RFC 6750, 3.
    """
    if error.code is ErrorCode.UNSUPPORTED:
        return {"Allow": error.expected if _METHODS.fullmatch(error.expected) else ""}
    if error.code is ErrorCode.UNAUTHENTICATED:
        return {"WWW-Authenticate": "Bearer"}
    seconds = error.retry_seconds
    return {} if seconds is None else {"Retry-After": str(max(1, math.ceil(seconds)))}
