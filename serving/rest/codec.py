"""JSON of the Open Inference Protocol to tensors and back.

Source: Open Inference Protocol, REST specification, "Inference Request JSON Object" and "Tensor Data".
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from serving.rest import fast
from staytrue.bodies import parsed
from staytrue.classification import ranked
from staytrue.raw import to_raw
from staytrue.texts import from_json
from staytrue.values import listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.description import Description
    from staytrue.tensors import Answer, Parsed


class Body(msgspec.Struct, frozen=True):
    """The body of an answer."""

    data: bytes
    header_length: int | None = None
    """Of a body that is JSON and bytes behind it, the length of the JSON."""


def parse(body: bytes, nan_policy: str) -> Parsed:
    """Read a request body.

    Raises:
        InvalidInput: empty, not JSON, or not an inference request; says where.
    """
    return fast.parse(body) or parsed(from_json(body, spot=True), nan_policy)


def write(answer: Answer, nan_policy: str) -> Body:
    """Write the answer's body: JSON, with bytes behind it where an output is asked for in that form.

    Raises:
        InvalidInput: an output is NaN or infinite, and the policy is to refuse them.
    """
    parts = [_model(answer.model, answer.version)]
    tail: list[bytes] = []
    if answer.id:
        parts += b'"id":', orjson.dumps(answer.id), b","
    parts += b'"parameters":{"event_id":', orjson.dumps(answer.event_id), b'},"outputs":['
    for place, (asked, given) in enumerate(answer.outputs):
        spec, array = asked.spec, given
        datatype = spec.datatype
        if asked.classes:
            datatype, array = "BYTES", ranked(asked, given, answer.labels)
        if place:
            parts.append(b",")
        parts.append(_opening(spec.name, datatype, array.shape))
        if asked.binary:
            data = to_raw(array, datatype)
            tail.append(data)
            parts.append(b'"parameters":{"binary_data_size":%d}}' % len(data))
        else:
            parts += b'"data":', _numbers(spec.name, array, nan_policy), b"}"
    parts.append(b"]}")
    head = b"".join(parts)
    return Body(b"".join([head, *tail]), len(head)) if tail else Body(head)


def _numbers(name: str, array: NDArray[Any], nan_policy: str) -> bytes:
    """Values in row-major order as JSON."""
    data = orjson.dumps(array.ravel().tolist())
    # What is not finite becomes null: an n that no number has.
    if array.dtype.kind != "f" or nan_policy == "null" or b"n" not in data:
        return data
    return orjson.dumps(listed(name, array, nan_policy))


@functools.lru_cache(maxsize=1024)
def _opening(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    """An output up to its data."""
    return orjson.dumps({"name": name, "datatype": datatype, "shape": list(shape)})[:-1] + b","


@functools.lru_cache(maxsize=256)
def _model(name: str, version: str) -> bytes:
    """An answer up to its id."""
    return orjson.dumps({"model_name": name, "model_version": version})[:-1] + b","


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
