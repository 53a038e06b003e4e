"""Texts of callers, JSON above all: what other readers would pass over in silence is refused here.

Source: RFC 8259, section 4: names within an object should be unique; readers differ on what they make of others.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from typing import Any

import msgspec

from staytrue.errors import InvalidInput

_read = msgspec.json.Decoder().decode
_NOT_FINITE = re.compile(rb"[\[,:]\s*-?(?:NaN|Infinity)\b")
_BYTE = re.compile(r" \(byte (\d+)\)$")


def from_json(body: Any, *, spot: bool = False) -> Any:
    """What a body says; what has been read already is given back.

    Args:
        body: UTF-8 of an inference request.
        spot: whether a message about broken JSON opens with its line and column.

    Raises:
        InvalidInput: nothing, no JSON, nested too deep, or a key that an object has twice.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        return body
    try:
        told = _read(body)
    except RecursionError:
        raise InvalidInput("body", "nests too deep", hint="tensors have at most 8 axes") from None
    except ValueError as error:  # msgspec's own errors are ValueErrors too
        body = bytes(body)
        if not body.strip():
            raise InvalidInput("body", expected="an inference request in JSON", got="nothing") from None
        told = _halves(body)
        if told is not None:
            return told
        text = str(error)
        where = f"body, {_spot(text, body)}" if spot else "body"
        raise InvalidInput(where, f"is not JSON: {_BYTE.sub('', text)}", hint=_hint(body)) from None
    check_keys(bytes(body), told)
    return told


def _hint(body: bytes) -> str:
    """What most likely is wrong with a body that is not JSON."""
    if _NOT_FINITE.search(body):
        return "JSON has no NaN and no Infinity: send null or a text, as serving.nan_policy says"
    if body.startswith(codecs.BOM_UTF8):
        return "it begins with a byte order mark, which JSON may not: write the file as UTF-8 without one"
    if body.lstrip().startswith(b"--"):
        return "forms (multipart) are not read: send the JSON itself as the body"
    if not body.lstrip().startswith((b"{", b"[")):
        return "another form than JSON needs its own Content-Type, text/csv for example"
    return ""


def _halves(body: bytes) -> Any:
    """What a body says that escapes halves of characters, which whoever uses the text refuses; None for another."""
    if b"\\u" not in body:
        return None
    try:
        return json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_finite, parse_float=_finite)
    except (RecursionError, ValueError):
        return None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def check_keys(body: bytes, told: Any) -> None:
    r"""Refuse JSON in which an object has a key twice, of which ``told`` holds one.

    >>> check_keys(b'{"a": 1, "a": 2}', {"a": 2})
    Traceback (most recent call last):
    staytrue.errors.InvalidInput: body: key "a" is given twice

    Raises:
        InvalidInput: names the key.
    """
    try:
        # Each text has two quotation marks: a key given twice, or one of them escaped, leaves more than were read.
        if body.count(b'"') != 2 * _texts(told):
            json.loads(body.decode(), object_pairs_hook=_unique)
    except RecursionError:
        raise InvalidInput("body", "nests too deep", hint="tensors have at most 8 axes") from None


def _texts(told: Any) -> int:
    """Texts and keys in what was read."""
    if isinstance(told, str):
        return 1
    count = 0
    if isinstance(told, dict):
        count = len(told)
        told = list(told.values())
    if isinstance(told, list) and not set(map(type, told)) <= {float, int}:
        for item in told:
            count += _texts(item)
    return count


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise InvalidInput("body", f"key {writable(json.dumps(twice[:80], ensure_ascii=False))} is given twice")
    return made


def _spot(text: str, body: bytes) -> str:
    """Line and column of what a message of msgspec speaks of."""
    found = _BYTE.search(text)
    before = body[: int(found[1])] if found else body
    return f"line {before.count(10) + 1} column {len(before) - before.rfind(10)}"


def check_text(text: str, where: str) -> None:
    r"""Refuse what UTF-8 cannot write.

    >>> check_text("Köln", "id")
    >>> check_text("\ud83d", "id")
    Traceback (most recent call last):
    staytrue.errors.InvalidInput: id: expected text that UTF-8 can write, got half a character, '\ud83d'

    Raises:
        InvalidInput: ``where`` opens the message.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        got = f"half a character, {text[error.start]!a}"
        raise InvalidInput(where, expected="text that UTF-8 can write", got=got) from None


def check_name(text: str, where: str) -> None:
    """Refuse what cannot be a name or an id: as :func:`check_text`, and NUL, at which other programs end a text.

    Raises:
        InvalidInput: ``where`` opens the message.
    """
    check_text(text, where)
    if "\0" in text:
        raise InvalidInput(where, expected="text without NUL", got=repr(text)[:80])


def writable(text: str) -> str:
    r"""A text of ours, which may quote a caller's: halves of characters are shown as they are escaped.

    >>> writable("no \ud83d")
    'no \\ud83d'
    """
    return text.encode(errors="backslashreplace").decode()
