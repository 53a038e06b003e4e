"""JSON of the Open Inference Protocol to tensors and back.

Source: Open Inference Protocol, REST specification, "Inference Request JSON Object" and "Tensor Data".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from staytrue.errors import InvalidInput
from staytrue.tensors import parsed, written

if TYPE_CHECKING:
    from serving.dataplane import Description
    from staytrue.tensors import Answer, Parsed


def parse(body: bytes, nan_policy: str) -> Parsed:
    """Read a request body.

    Raises:
        InvalidInput: empty, not JSON, or not an inference request; says where.
    """
    if not body.strip():
        raise InvalidInput("body", expected="an inference request in JSON", got="nothing")
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"body, line {error.lineno} column {error.colno}", f"is not JSON: {error.msg}") from error
    return parsed(request, nan_policy)


def write(answer: Answer, nan_policy: str) -> bytes:
    """Write the answer's body.

    Raises:
        InvalidInput: an output is NaN or infinite, and the policy is to refuse them.
    """
    return orjson.dumps(written(answer, nan_policy))


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
