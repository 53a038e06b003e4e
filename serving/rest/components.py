"""Parts of the OpenAPI document that are the same whatever models there are: headers, errors, bodies by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving.rest import schemas
from serving.rest.errors import STATUS
from serving.rest.schemas import Schema, either, record
from staytrue.asking import HEADER, Zeros
from staytrue.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterable

JSON, BYTES = "application/json", "application/octet-stream"
TEXT: Schema = {"type": "string"}
_LISTS: Schema = {"type": "array"}
_TRUTH: Schema = {"type": "boolean"}

OURS = (ErrorCode.INTERNAL,)
LOOKED_UP = (*OURS, ErrorCode.NOT_FOUND, ErrorCode.OVERLOADED, ErrorCode.UNAVAILABLE, ErrorCode.CORRUPT_DATA)
INFERRED = (
    *LOOKED_UP,
    ErrorCode.INVALID_INPUT,
    ErrorCode.INVALID_CONFIG,
    ErrorCode.TOO_LARGE,
    ErrorCode.DEADLINE_EXCEEDED,
)
REFUSED = (ErrorCode.UNAUTHENTICATED, ErrorCode.PERMISSION_DENIED, ErrorCode.OVERLOADED)
"""What a caller may meet where keys are asked for."""
NEVER = (ErrorCode.CANCELLED, ErrorCode.CONFLICT, ErrorCode.UNSUPPORTED)
"""Told to nobody; of commands alone; of other methods than those that are described."""

PARAMETERS: dict[str, tuple[str, Schema, str]] = {
    "RequestId": ("X-Request-Id", {"type": "string", "pattern": r"^[\x21-\x7e]{1,128}$"}, "comes back; in the event"),
    "TraceParent": (
        "traceparent",
        {"type": "string", "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"},
        "W3C Trace Context; comes back; in the event",
    ),
    "RequestTimeout": ("Request-Timeout", {"type": "number", "exclusiveMinimum": 0}, "seconds; past them 504"),
    "StickyId": ("X-Sticky-Id", TEXT, "the same id always meets the same version of a canary"),
    "HeaderContentLength": (
        HEADER,
        {"type": "integer", "minimum": 0},
        "bytes of the body that are JSON, tensors follow as bytes; 0 where the body is the one input",
    ),
}
"""Headers of inferences by the names of their components."""

_SPANS = record({"count": {"type": "integer"}, "ns": {"type": "integer"}})
SCHEMAS: dict[str, Schema] = {
    "Error": record({"error": TEXT, "code": {"enum": [code.value for code in ErrorCode]}}),
    "Server": record({"name": TEXT, "version": TEXT, "extensions": {"type": "array", "items": TEXT}}),
    "Live": record({"live": _TRUTH}),
    "Alive": record({"status": TEXT}),
    "Ready": record({"ready": _TRUTH, "reason": TEXT}, optional=("reason",)),
    "ModelReady": record({"name": TEXT, "version": TEXT, "ready": _TRUTH}),
    "Ping": record({"status": {"enum": ["Healthy", "Unhealthy"]}}),
    "Tensor": record({"name": TEXT, "datatype": TEXT, "shape": {"type": "array", "items": {"type": "integer"}}}),
    "Model": record(
        {
            "name": TEXT,
            "versions": {"type": "array", "items": TEXT},
            "platform": TEXT,
            "inputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
            "outputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
            "parameters": {"type": "object"},
        }
    ),
    "Statistics": record({"model_stats": {"type": "array", "items": {"type": "object"}}}),
    "IndexRequest": record({"ready": _TRUTH}, optional=("ready",)),
    "Index": {
        "type": "array",
        "items": record(
            {
                "name": TEXT,
                "version": TEXT,
                "state": {"enum": ["READY", "LOADING", "UNLOADING", "UNAVAILABLE"]},
                "reason": TEXT,
            }
        ),
    },
    "V1Status": record({"name": TEXT, "ready": _TRUTH, "model_version_status": _LISTS}),
    "V1Answer": either(record({"predictions": _LISTS}), record({"outputs": {}})),
    "Rows": _LISTS,
    "AnyRequest": schemas.any_request(),
    "AnyAnswer": schemas.any_answer(),
}


def parameters() -> dict[str, Schema]:
    """Headers of inferences as components."""
    return {
        name: {"name": header, "in": "header", "schema": schema, "description": said}
        for name, (header, schema, said) in PARAMETERS.items()
    }


def version(now: str) -> Schema:
    """The version in a path; ``now`` is the one that answers where none is named."""
    return {"name": "version", "in": "path", "required": True, "schema": TEXT, "example": now}


def named(schema: str) -> Schema:
    """A schema by its name; any value where there is none."""
    return {"$ref": f"#/components/schemas/{schema}"} if schema else {}


def content(schema: str) -> Schema:
    """A body in JSON."""
    return {JSON: {"schema": named(schema)}}


def body(schema: str, example: Any = None) -> Schema:
    """What is sent, with an example where there is one; one with bytes stands beside the JSON as ``x-zeros``."""
    told: Schema = content(schema)
    if isinstance(example, Zeros):
        told[BYTES] = {"x-zeros": example._asdict()}
    elif example is not None:
        told[JSON]["example"] = example
    return {"required": True, "content": told}


def responses() -> dict[str, Schema]:
    """A response for each status of an error, as ``E404``; ``Other`` for what a connection refuses by itself."""
    codes: dict[int, list[str]] = {}
    for code, status in STATUS.items():
        if code not in NEVER:
            codes.setdefault(status, []).append(code.value)
    told = {f"E{status}": _error(", ".join(names)) for status, names in sorted(codes.items())}
    for code in (ErrorCode.OVERLOADED, ErrorCode.UNAVAILABLE):
        told[f"E{STATUS[code]}"]["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    told[f"E{STATUS[ErrorCode.UNAUTHENTICATED]}"]["headers"] = {"WWW-Authenticate": {"schema": TEXT}}
    return told | {"Other": _error("refused before it was read: 400, 405, 408, 413, 414, 417, 429, 431")}


def refusals(codes: Iterable[ErrorCode]) -> dict[str, Schema]:
    """Responses of an operation that may end with these codes."""
    statuses = sorted({STATUS[code] for code in codes})
    told = {str(status): {"$ref": f"#/components/responses/E{status}"} for status in statuses}
    return told | {"default": {"$ref": "#/components/responses/Other"}}


def _error(said: str) -> Schema:
    return {"description": said, "content": content("Error")}
