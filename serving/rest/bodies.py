"""Compressed bodies: of requests, unpacked within the limit; of answers, for callers that take them so."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

from serving.rest.codec import BYTES
from staytrue.errors import InvalidInput, TooLarge

if TYPE_CHECKING:
    from serving.rest.codec import Sent

PACKED_FROM = 64 * 1024
"""Bytes of an answer that is worth packing."""
_QUICK = 1
"""zlib's level: for JSON of numbers higher ones take several times as long and save a few percent."""
_WEIGHT = re.compile(rb"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")
_LEAST = 0.001
"""The least weight above zero."""
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


def coding_of(accepted: bytes) -> bytes | None:
    """Which coding an answer may have, by the header Accept-Encoding; None for none that we know.

    Source: RFC 9110, sections 12.4.2 and 12.5.3. What is no weight refuses its coding: plain is always understood.

    >>> coding_of(b"br;q=1.0, GZIP;q=0.5"), coding_of(b"gzip;q=0, deflate"), coding_of(b"identity")
    (b'gzip', b'deflate', None)
    """
    weights: dict[bytes, float] = {}
    for part in accepted.lower().split(b","):
        name, *said = (piece.strip(b" \t") for piece in part.split(b";"))
        weight = _WEIGHT.fullmatch(b";".join(said))
        weights[name] = float(weight[1]) if weight else 0.0 if said else 1.0
    gzip, deflate, plain = (weights.get(name, 0.0) for name in (b"gzip", b"deflate", b"identity"))
    if max(gzip, deflate) < max(plain, _LEAST):
        return None
    return b"gzip" if gzip >= deflate else b"deflate"


def worth_packing(body: bytes, kind: bytes) -> bool:
    """Whether an answer is long enough, and text: tensors as bytes take long to pack and hardly shrink."""
    return len(body) >= PACKED_FROM and kind != BYTES


def packed(sent: Sent, coding: bytes) -> Sent:
    """An answer compressed, which takes so long that it is nothing for the event loop."""
    body, kind, lines = sent
    packer = zlib.compressobj(_QUICK, zlib.DEFLATED, _WINDOWS[coding][0])
    made = packer.compress(body) + packer.flush()
    return made, kind, b"%bContent-Encoding: %b\r\nVary: Accept-Encoding\r\n" % (lines, coding)
