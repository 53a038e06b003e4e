"""Domain codes as HTTP statuses: the one table, and the body of an error."""

from __future__ import annotations

import orjson

from staytrue.errors import ErrorCode, StaytrueError

STATUS: dict[ErrorCode, int] = {
    ErrorCode.INVALID_INPUT: 400,
    ErrorCode.INVALID_CONFIG: 500,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.UNSUPPORTED: 405,
    ErrorCode.CONFLICT: 409,
    ErrorCode.OVERLOADED: 429,
    ErrorCode.DEADLINE_EXCEEDED: 504,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.CORRUPT_DATA: 503,
    ErrorCode.INTERNAL: 500,
}
RETRY_AFTER_SECONDS = 1


def body(error: StaytrueError) -> bytes:
    """``{"error": "where: expected …, got …; what to do", "code": "invalid_input"}``."""
    return orjson.dumps({"error": str(error), "code": error.code.value})


def headers(error: StaytrueError) -> dict[str, str]:
    """What a caller needs besides the status."""
    retry = error.code in (ErrorCode.OVERLOADED, ErrorCode.UNAVAILABLE)
    return {"Retry-After": str(RETRY_AFTER_SECONDS)} if retry else {}
