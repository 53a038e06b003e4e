"""Status lines and headers of answers, made once a second for each kind of answer."""

from __future__ import annotations

import time
from http import HTTPStatus

CLOSE = b"Connection: close\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
FAILED = b'{"error":"server: failed; its log tells why","code":"internal"}'
"""The body of an answer to a request that could not be handled."""
_LINES = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
    if status.value >= 200
} | {499: b"HTTP/1.1 499 Client Closed Request\r\n"}
_ALWAYS = b"X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
_MOST = 256
_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


def date_of(seconds: float) -> bytes:
    """A time as HTTP writes it, whatever the locale; ``email.utils`` would bring a dozen modules for it.

    Units: seconds since 1970.
    Source: RFC 9110, section 5.6.7.

    >>> date_of(784111777)
    b'Sun, 06 Nov 1994 08:49:37 GMT'
    """
    year, month, day, hour, minute, second, weekday, *_ = time.gmtime(seconds)
    return b"%b, %02d %b %04d %02d:%02d:%02d GMT" % (
        _DAYS[weekday], day, _MONTHS[month - 1], year, hour, minute, second,
    )  # fmt: skip


class Prefixes:
    """What stands before an answer's own length and headers.

    Source: RFC 9110, section 6.6.1 (Date).
    """

    def __init__(self) -> None:
        self.made: dict[tuple[int, bytes], bytes] = {}
        """By status and media type; whoever misses one calls :meth:`make`."""
        self._date = b""
        self.renew()

    def renew(self) -> None:
        """Take the present second for the date; called a few times in a second."""
        date = date_of(time.time())
        if date != self._date:
            self._date = date
            self.made.clear()

    def make(self, status: int, kind: bytes) -> bytes:
        """All up to the value of Content-Length."""
        if len(self.made) >= _MOST:
            self.made.clear()
        made = b"%bDate: %b\r\nContent-Type: %b\r\n%bContent-Length: " % (_LINES[status], self._date, kind, _ALWAYS)
        self.made[status, kind] = made
        return made
