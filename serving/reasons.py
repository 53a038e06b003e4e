"""Why a request failed, as its line in the log may say it: in words of ours, and none of what was sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from staytrue.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Container

    from staytrue.errors import StaytrueError

LONGEST = 200
"""Letters of each part."""
_QUOTED = re.compile(r'(?<!\bbody )(?<!\bmodel )(?<!\bparameter )"([^"]*)"')
"""What may be a caller's: a file without its line of names has values in their place."""
_CALLERS = (ErrorCode.INVALID_INPUT, ErrorCode.NOT_FOUND, ErrorCode.UNSUPPORTED)


def reason_of(error: StaytrueError, known: Container[str]) -> str:
    r"""Where, what was wrong and what was expected; what was got is left out.

    >>> from staytrue.errors import InvalidInput
    >>> reason_of(InvalidInput('input "x" data[2]', expected="FP32", got="a string 'secret'"), ["x"])
    ' where=\'input "x" data[2]\' expected=\'FP32\''

    Args:
        error: that the caller is told.
        known: names that may be quoted: the model's inputs and outputs.
    """

    def ours(said: str) -> str:
        return _QUOTED.sub(lambda found: found[0] if found[1] in known else '"…"', said)

    # What follows a colon is often a library's text, which may quote.
    problem = error.problem.split(":")[0] if error.code in _CALLERS else error.problem
    parts = (("where", ours(error.where)), ("problem", ours(problem)), ("expected", error.expected))
    return "".join([f" {name}={said[:LONGEST]!r}" for name, said in parts if said])
