"""Texts of callers: JSON may hold halves of characters, which Python reads and no file, log or answer can hold."""

from __future__ import annotations

import json
from typing import Any

from staytrue.errors import InvalidInput


def from_json(body: Any) -> Any:
    """What a body says; what has been read already is given back.

    Raises:
        InvalidInput: nothing, no JSON, or nested too deep.
    """
    if not isinstance(body, bytes | bytearray):
        return body
    if not body.strip():
        raise InvalidInput("body", expected="an inference request in JSON", got="nothing")
    try:
        return json.loads(body)
    except RecursionError:
        raise InvalidInput("body", "nests too deep") from None
    except ValueError as error:
        raise InvalidInput("body", f"is not JSON: {error}") from error


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


def writable(text: str) -> str:
    r"""A text of ours, which may quote a caller's: halves of characters are shown as they are escaped.

    >>> writable("no \ud83d")
    'no \\ud83d'
    """
    return text.encode(errors="backslashreplace").decode()
