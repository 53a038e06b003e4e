"""Status lines and headers of answers, made once a second for each kind of answer."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus

CLOSE = b"Connection: close\r\n"
_LINES = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
    if status.value >= 200
} | {499: b"HTTP/1.1 499 Client Closed Request\r\n"}
_ALWAYS = b"X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
_MOST = 256


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
        date = formatdate(usegmt=True).encode()
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
