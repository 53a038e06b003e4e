"""Compressed request bodies, unpacked within the limit."""

from __future__ import annotations

import zlib

from staytrue.errors import InvalidInput, TooLarge

_WINDOWS = {
    b"gzip": (16 + zlib.MAX_WBITS,),
    b"x-gzip": (16 + zlib.MAX_WBITS,),
    b"deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),
}
"""Of zlib; ``deflate`` comes in zlib's wrapping, as it should (RFC 9110, section 8.4.1.2), and bare."""


def unpacked(body: bytes, encoding: bytes, limit: int) -> bytes:
    """A body as it was before it was compressed; no more than the limit is ever unpacked.

    Raises:
        InvalidInput: another encoding, broken, broken off, or something behind its end.
        TooLarge: it is longer than the limit.

    >>> import gzip
    >>> unpacked(gzip.compress(b"tensors"), b"gzip", 100)
    b'tensors'
    """
    encoding = encoding.strip().lower()
    if encoding == b"identity":
        return body
    windows = _WINDOWS.get(encoding)
    if windows is None:
        got = encoding[:40].decode("latin-1")
        raise InvalidInput("header Content-Encoding", expected="gzip, deflate or identity", got=got)
    for window in windows:
        unpacker = zlib.decompressobj(window)
        try:
            data = unpacker.decompress(body, limit + 1)
        except zlib.error:
            continue
        if len(data) > limit:
            hint = "send fewer rows, or raise serving.max_body_bytes"
            raise TooLarge("body", expected=f"at most {limit} bytes, unpacked", got="more", hint=hint)
        if unpacker.eof and not unpacker.unused_data:
            return data
    raise InvalidInput("body", "is not what header Content-Encoding says", expected=f"whole {encoding.decode()} data")
