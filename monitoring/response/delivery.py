"""One attempt at telling somebody over HTTP: it worked, may work later, or never will."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

AGAIN = {408, 425, 429}
"""Refusals that may pass, besides 5xx."""


class TryAgain(Exception):
    """The receiver answered that it could not for now, or did not answer."""


class Refused(Exception):
    """The receiver will never take it."""


def send(client: httpx.Client, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Post JSON once.

    Raises:
        TryAgain: no answer, 408, 425, 429 or 5xx.
        Refused: any other answer but 2xx, redirects included.
    """
    try:
        with client.stream("POST", url, content=body, headers=headers) as answer:  # what it says is not read
            code = answer.status_code
    except httpx.HTTPError as error:
        raise TryAgain(f"no answer: {error or type(error).__name__}") from error
    if code in AGAIN or code >= 500:
        raise TryAgain(f"answered {code}")
    if not 200 <= code < 300:
        raise Refused(f"refused with {code}")


def checked(url: str, setting: str) -> str:
    """An address that can be posted to.

    Raises:
        InvalidConfig: it cannot; names the setting.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidConfig(setting, f"is no address: {error}", got=url[:100]) from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise InvalidConfig(setting, expected="http:// or https:// and a host", got=url[:100])
    return url
