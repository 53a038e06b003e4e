"""A parser that stands behind a head which another one has read: for a request whose own parser stopped there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httptools

if TYPE_CHECKING:
    from serving.http.reader import Reader


class _BodyAlone:
    def __init__(self, reader: Reader) -> None:
        self.on_body, self.on_message_complete = reader.on_body, reader.on_message_complete


def parser_of(reader: Reader, headers: dict[bytes, bytes]) -> httptools.HttpRequestParser | None:
    """What reads the body that these headers frame, and tells the reader; None where they frame none."""
    length = headers.get(b"content-length", b"0")
    if b"transfer-encoding" in headers:
        framing = b"Transfer-Encoding: chunked"
    elif int(length):
        framing = b"Content-Length: " + length
    else:
        return None
    parser = httptools.HttpRequestParser(_BodyAlone(reader))
    parser.feed_data(b"POST / HTTP/1.1\r\nConnection: close\r\n%b\r\n\r\n" % framing)
    return parser
