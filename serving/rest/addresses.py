"""Addresses at which inferences are asked for, whoever's they are, and hints for those that are not here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_to_bytes

from serving.rest import dialects
from staytrue.errors import InvalidInput, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.http.exchange import Exchange

_INFERENCE = re.compile(
    r"/v2/models/(?P<v2>[^/]+)(?:/versions/(?P<v2v>[^/]+))?/infer"
    r"|/v1/models/(?P<v1>[^/:]+)(?:/versions/(?P<v1v>[^/:]+))?:(?P<verb>predict|classify|regress)"
    r"|/predictions/(?P<ts>[^/]+)(?:/(?P<tsv>[^/]+))?"
    r"|(?P<invocations>/invocations)"
)
_SLASH = re.compile(rb"%2[fF]")
HINT = "try /v2/models/NAME/infer or /v2/health/ready; /docs tells of all"
_INDEX = "POST /v2/repository/index tells which models there are; /v2/models/NAME tells of one"
HINTS = {
    "/v2/models": _INDEX,
    "/v1/models": _INDEX,
    "/metrics": "the sidecar has them: `staytrue monitor`, port 8090",
    "/v2/health": "try /v2/health/live or /v2/health/ready",
}
"""For addresses that other servers have."""


class Inference(NamedTuple):
    """An address of an inference."""

    model: str
    version: str | None
    dialect: Callable[[Exchange, str], dialects.Dialect]


def inference(path: str, only: Callable[[], str]) -> Inference | None:
    """What an address asks; None for one that is no inference. ``only`` gives the model of one that names none.

    Raises:
        Unsupported: another verb than ``predict``.
    """
    match = _INFERENCE.fullmatch(path)
    if match is None:
        return None
    if match["v2"] is not None:
        return Inference(match["v2"], match["v2v"], dialects.v2)
    if match["v1"] is not None:
        if match["verb"] != "predict":
            raise Unsupported(path[:200], f"{match['verb']} is not there", hint="use :predict")
        return Inference(match["v1"], match["v1v"], dialects.v1)
    if match["ts"] is not None:
        return Inference(match["ts"], match["tsv"], dialects.predictions)
    return Inference(only(), None, dialects.invocations)


def asks(exchange: Exchange, address: Inference) -> bool:
    """Whether a method is one that predictions are asked with: TorchServe's callers may use PUT, as ``curl -T``."""
    return exchange.method == b"POST" or (exchange.method == b"PUT" and address.dialect is dialects.predictions)


def decoded(path: bytes) -> str:
    """The path as text; a slash that is escaped stands within a name, and stays so: it leads to no other address.

    Raises:
        InvalidInput: escapes that are no UTF-8, or a NUL.
    """
    raw = unquote_to_bytes(_SLASH.sub(lambda found: b"%25" + found[0][1:], path)) if b"%" in path else path
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InvalidInput("request target", expected="UTF-8 without NUL", got=repr(path[:80])[2:-1])
    return text
