"""Headers of HTTP that mean something to an inference, and those that come back with every answer to it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from serving.calls import request_id_of, trace_id_of
from serving.rest import errors
from staytrue.errors import InvalidInput

if TYPE_CHECKING:
    from serving.http.exchange import Exchange
    from staytrue.errors import StaytrueError

FOREVER = float("inf")


def request_id(exchange: Exchange) -> str:
    """The caller's own id of its request.

    Raises:
        InvalidInput: it holds what has no place there.
    """
    return request_id_of(exchange.text(b"x-request-id"), "header X-Request-Id")


def trace_id(exchange: Exchange) -> str:
    """The caller's trace, or nothing where it is none."""
    return trace_id_of(exchange.text(b"traceparent"))


def deadline(exchange: Exchange) -> float:
    """By ``time.monotonic``, from the header Request-Timeout in seconds.

    Raises:
        InvalidInput: no number of seconds above zero.
    """
    said = exchange.headers.get(b"request-timeout")
    if said is None:
        return FOREVER
    try:
        seconds = float(said)
    except ValueError:
        seconds = -1.0
    if not seconds > 0:
        got = said[:40].decode("latin-1")
        raise InvalidInput("header Request-Timeout", expected="seconds, above 0", got=got)
    return time.monotonic() + seconds


def carried(exchange: Exchange) -> bytes:
    """Lines that come back with an answer, also with a refusal: the caller's id and trace, where they are such."""
    try:
        name = request_id(exchange)
    except InvalidInput:
        name = ""
    return lines_of(name, trace_id(exchange))


def lines_of(name: str, trace: str) -> bytes:
    """Lines that tell a request's id and its trace, where it has them."""
    lines = b"X-Request-Id: %b\r\n" % name.encode() if name else b""
    return b"%btraceparent: %b\r\n" % (lines, trace.encode()) if trace else lines


def refusing(exchange: Exchange, error: StaytrueError) -> bytes:
    """Lines that come with an error: what the table puts beside its status, then what always comes back."""
    table = (f"{name}: {value}\r\n".encode("latin-1") for name, value in errors.headers(error).items())
    return b"".join(table) + carried(exchange)
