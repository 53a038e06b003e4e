"""JSON of the Open Inference Protocol to tensors and back.

Source: Open Inference Protocol, REST specification, "Inference Request JSON Object" and "Tensor Data".
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import orjson

from serving.http.exchange import JSON
from serving.rest import fast
from staytrue.asking import HEADER
from staytrue.bodies import parsed
from staytrue.classification import ranked
from staytrue.raw import to_raw
from staytrue.texts import from_json
from staytrue.values import listed

if TYPE_CHECKING:
    from serving.description import Description
    from staytrue.tensors import Answer, Parsed


Sent = tuple[bytes, bytes, bytes]
"""Body, media type, further header lines."""
BYTES = b"application/octet-stream"


def parse(body: bytes, nan_policy: str) -> Parsed:
    """Read a request body.

    Raises:
        InvalidInput: empty, not JSON, or not an inference request; says where.
    """
    return fast.parse(body) or parsed(from_json(body, spot=True), nan_policy)


def write(answer: Answer, nan_policy: str) -> Sent:
    """Write an answer: JSON, with bytes behind it where an output is asked for in that form.

    Raises:
        InvalidInput: an output is NaN or infinite, and the policy is to refuse them.
    """
    told: list[bytes] = []
    tail: list[bytes] = []
    for asked, given in answer.outputs:
        spec, array = asked.spec, given
        datatype = spec.datatype
        if asked.classes:
            datatype, array = "BYTES", ranked(asked, given, answer.labels)
        start = opening(spec.name, datatype, array.shape)
        if asked.binary:
            data = to_raw(array, datatype)
            tail.append(data)
            told.append(b'%b"parameters":{"binary_data_size":%d}}' % (start, len(data)))
        else:
            data = orjson.dumps(array.ravel().tolist())
            # What is not finite becomes null: an n that no number has.
            if b"n" in data and array.dtype.kind == "f" and nan_policy != "null":
                data = orjson.dumps(listed(spec.name, array, nan_policy))
            told.append(output(start, data))
    start = named(answer.model, answer.version)
    if answer.id:
        start = b'%b"id":%b,' % (start, orjson.dumps(answer.id))
    head = whole(start, answer.event_id, told)
    if not tail:
        return head, JSON, b""
    return b"".join([head, *tail]), BYTES, b"%b: %d\r\n" % (HEADER.encode(), len(head))


@functools.lru_cache(maxsize=1024)
def opening(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    """An output up to its data; to be given to :func:`output`."""
    return orjson.dumps({"name": name, "datatype": datatype, "shape": list(shape)})[:-1] + b","


@functools.lru_cache(maxsize=256)
def named(name: str, version: str) -> bytes:
    """An answer up to the request's id."""
    return orjson.dumps({"model_name": name, "model_version": version})[:-1] + b","


def output(start: bytes, data: bytes) -> bytes:
    """An output of which the data was written."""
    return b'%b"data":%b}' % (start, data)


def whole(start: bytes, event_id: str, outputs: list[bytes]) -> bytes:
    """An answer; the number of an event is ours, and needs no escapes."""
    return b'%b"parameters":{"event_id":"%b"},"outputs":[%b]}' % (start, event_id.encode(), b",".join(outputs))


def metadata(model: Description) -> dict[str, Any]:
    """The model metadata response; under ``parameters`` what the protocol has no place for."""

    def told(specs: list[Any]) -> list[dict[str, Any]]:
        return [{"name": spec.name, "datatype": spec.datatype, "shape": spec.shape} for spec in specs]

    return {
        "name": model.bundle.name,
        "versions": model.versions,
        "platform": model.platform,
        "inputs": told(model.bundle.signature.inputs),
        "outputs": told(model.bundle.signature.outputs),
        "parameters": model.more(),
    }
