"""What a request's head must be, beyond what the parser demands of it.

Source: RFC 9112 (HTTP/1.1), sections 2.3 (version), 3.2 (Host, forms of the target), 6.1 (Transfer-Encoding) and 11.2
(request smuggling).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.http.exchange import Fault

if TYPE_CHECKING:
    from serving.http.exchange import Exchange

MOST_HEADERS = 100
LONGEST_HEAD = 32 * 1024
LONGEST_TARGET = 8 * 1024
PER_CHUNK = 8
"""Bytes of framing allowed for each byte of a chunked body, beside ``LONGEST_HEAD`` for extensions and trailers."""
ONCE = frozenset((b"host", b"content-length", b"content-type", b"authorization", b"x-api-key", b"transfer-encoding"))
"""Two of them could be read differently by two readers: refused."""
RARE = frozenset((b"connection", b"expect", b"transfer-encoding", b"upgrade"))
"""With one of them a head is looked at closely."""
LONG_TARGET = Fault(414, "request target", expected=f"at most {LONGEST_TARGET} bytes", got="more")
LONG_HEAD = Fault(431, "request head", expected=f"at most {LONGEST_HEAD} bytes", got="more")
MANY_HEADERS = Fault(431, "headers", expected=f"at most {MOST_HEADERS}", got="more")
SPARSE_CHUNKS = Fault(400, "body", expected="chunks with little around them", got="mostly extensions or trailers")


def twice(name: bytes) -> Fault:
    """A header that may come once."""
    return Fault(400, f"header {name.decode('latin-1')}", "is given twice")


def unmet(expected: bytes) -> Fault:
    """An expectation that is not known."""
    return Fault(417, "header Expect", expected="100-continue", got=expected[:40].decode("latin-1"))


def size_of(target: bytes, headers: dict[bytes, bytes], repeats: int) -> Fault | None:
    """Whether a head is too large; ``repeats`` headers were joined to others."""
    if len(target) > LONGEST_TARGET:
        return LONG_TARGET
    if len(headers) + repeats > MOST_HEADERS:
        return MANY_HEADERS
    size = len(target) + sum(len(name) + len(value) + 4 for name, value in headers.items())
    return LONG_HEAD if size > LONGEST_HEAD else None


def framing_of(headers: dict[bytes, bytes], version: str) -> Fault | None:
    """Whether two readers could take it for two different requests."""
    if version not in ("1.1", "1.0"):
        return Fault(400, "request line", expected="HTTP/1.1", got=f"HTTP/{version}")
    if version == "1.1" and b"host" not in headers:
        return Fault(400, "header Host", expected="one, as HTTP/1.1 demands", got="none")
    coding = headers.get(b"transfer-encoding")
    if coding is not None and (version == "1.0" or coding.lower() != b"chunked"):
        got = f"{coding[:40].decode('latin-1')} in HTTP/{version}"
        return Fault(400, "header Transfer-Encoding", expected="chunked, in HTTP/1.1", got=got)
    return None


def target_of(exchange: Exchange, target: bytes) -> Fault | None:
    """Whether a target has a form that its method allows; the path of a whole URL is put into the exchange."""
    if b"#" in target:
        return Fault(400, "request target", expected="no fragment", got="one", hint="leave out # and what follows")
    if target[:1] == b"/" or exchange.method == b"CONNECT" or (target == b"*" and exchange.method == b"OPTIONS"):
        return None
    scheme, found, rest = target.partition(b"://")
    if not found or scheme.lower() not in (b"http", b"https"):
        return Fault(400, "request target", expected="a path", got=target[:40].decode("latin-1"))
    before, _, exchange.query = rest.partition(b"?")
    _, _, path = before.partition(b"/")
    exchange.path = b"/" + path
    return None
