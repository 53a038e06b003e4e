"""CloudEvents as KServe's payload logger sends them: read from headers and body, or refused with the place.

Sources: CloudEvents 1.0.2, HTTP Protocol Binding, sections 3.1 (binary mode) and 3.2 (structured mode); KServe,
``pkg/logger/worker.go`` and ``pkg/logger/handler.go``.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

import msgspec

from staytrue.errors import InvalidInput
from staytrue.records import moment, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

Side = Literal["request", "response"]
TYPES: dict[str, Side] = {
    "org.kubeflow.serving.inference.request": "request",
    "org.kubeflow.serving.inference.response": "response",
}
VERSIONS = ("1.0", "0.3")
STRUCTURED = "application/cloudevents+json"
LONGEST_ID = 200
"""Of an event's id, as of the event_id of a label."""


@dataclass(frozen=True)
class Half:
    """One half of an inference: what was asked, or what was answered."""

    id: str
    side: Side
    model: str
    """The name of the inference service."""
    time: float | None
    """When it happened, Unix seconds; None where the event does not say."""
    canary: bool
    data: bytes
    """The payload as the model's server took or gave it."""


def read(headers: Mapping[str, str], body: bytes) -> Half:
    """A CloudEvent of an HTTP request; names of headers are in lower case.

    Raises:
        InvalidInput: it is no CloudEvent, or not one of the two kinds; says where.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == STRUCTURED:
        attributes, data = _structured(body)
        return _half(attributes, data, "event ")
    if kind.startswith("application/cloudevents"):
        raise InvalidInput("header content-type", expected=f"{STRUCTURED} or binary mode", got=shown(kind))
    # The binding asks for percent-encoding; Go's SDK, which KServe uses, writes plain characters: both read the same.
    attributes = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
    return _half(attributes, body, "header ce-")


def _structured(body: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        told = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        attributes = {name: msgspec.json.decode(raw) for name, raw in told.items() if name != "data"}
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput("body", f"is no JSON object: {error}") from error
    if "data" in told:
        return attributes, bytes(told["data"])
    try:
        return attributes, base64.b64decode(attributes.get("data_base64", ""), validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise InvalidInput("event data_base64", expected="base64", got=shown(attributes["data_base64"])) from None


def _half(attributes: Mapping[str, Any], data: bytes, where: str) -> Half:
    hint = "KServe's logger sends it"
    version = attributes.get("specversion")
    if version not in VERSIONS:
        expected = " or ".join(VERSIONS)
        raise InvalidInput(f"{where}specversion", expected=expected, got=_got(version), hint="is this a CloudEvent?")
    name, side = _text(attributes, "id", where), TYPES.get(_text(attributes, "type", where))
    if side is None:
        raise InvalidInput(f"{where}type", expected=" or ".join(TYPES), got=_got(attributes["type"]))
    if len(name) > LONGEST_ID:
        raise InvalidInput(f"{where}id", expected=f"at most {LONGEST_ID} characters", got=str(len(name)))
    if not data:
        raise InvalidInput("body", expected="the payload of the model's server", got="nothing", hint=hint)
    said = attributes.get("time")
    return Half(
        id=name,
        side=side,
        model=_text(attributes, "inferenceservicename", where),
        time=None if said in (None, "") else _moment(said, f"{where}time"),
        canary=attributes.get("endpoint") == "canary",
        data=data,
    )


def _text(attributes: Mapping[str, Any], name: str, where: str) -> str:
    value = attributes.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"{where}{name}", expected="a text", got=_got(value), hint="KServe's logger sends it")
    return value


def _moment(said: Any, where: str) -> float:
    if not isinstance(said, str):
        raise InvalidInput(where, expected="RFC 3339", got=_got(said))
    return moment(said, where)


def _got(value: Any) -> str:
    return "nothing" if value is None else shown(value)
