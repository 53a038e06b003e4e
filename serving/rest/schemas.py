"""What a signature accepts over REST, as JSON Schema, and one request that it accepts.

Source: JSON Schema 2020-12, which OpenAPI 3.1 takes as it is.
"""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from serving.rest.invocations import RECORDS, SPLIT
from serving.rest.legacy import INPUTS, INSTANCES
from staytrue.asking import Zeros, example, example_of
from staytrue.signature import MOST_AXES, NUMPY
from staytrue.values import FLOATS, WORDS

if TYPE_CHECKING:
    from serving.description import Description
    from staytrue.signature import Signature, TensorSpec

Schema = dict[str, Any]

MOST_CATEGORIES = 50
"""So many of an input's categories are listed; metadata lists all."""
_BFLOAT_MAX = float.fromhex("0x1.fep127")
_TEXT: Schema = {"type": "string"}
_PARAMETERS: Schema = {"type": "object"}


def record(properties: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """An object with these members and no others."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def either(*schemas: Schema) -> Schema:
    """Any of some; the schema itself where there is one."""
    return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}


def request(model: Description, nan_policy: str) -> Schema:
    """The body of an inference in the Open Inference Protocol: each input once, in any order."""
    signature = model.bundle.signature
    tensors = [_tensor(spec, model.bundle.max_batch, nan_policy) for spec in signature.inputs]
    inputs: Schema = {"type": "array", "items": either(*tensors), "minItems": len(tensors), "maxItems": len(tensors)}
    if len(tensors) > 1:
        named = [{"properties": {"name": {"const": spec.name}}, "required": ["name"]} for spec in signature.inputs]
        inputs["allOf"] = [{"contains": one} for one in named]
    return _request(inputs, {"enum": [spec.name for spec in signature.outputs]})


def any_request() -> Schema:
    """As :func:`request`, of a version whose signature is not known here."""
    sizes = {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": MOST_AXES}
    tensor = record(
        {
            "name": {"type": "string", "minLength": 1},
            "datatype": {"enum": list(NUMPY)},
            "shape": sizes,
            "parameters": _PARAMETERS,
            "data": {"type": "array"},
        },
        optional=("parameters",),
    )
    return _request({"type": "array", "items": tensor, "minItems": 1}, _TEXT)


def answer(model: Description, nan_policy: str) -> Schema:
    """The body of an answer: outputs that were asked for, each as its tensor or as classes."""
    kinds = [_told(spec, nan_policy) for spec in model.bundle.signature.outputs]
    ranked = [spec.name for spec in model.bundle.signature.outputs if spec.datatype != "BYTES"]
    if ranked:
        kinds.append(_output({"enum": ranked}, "BYTES", {"type": "array", "items": {"type": "integer"}}, _TEXT))
    return _answer({"const": model.bundle.name}, either(*kinds))


def any_answer() -> Schema:
    """As :func:`answer`, of any version."""
    return _answer(_TEXT, {"type": "object"})


def by_rows(signature: Signature) -> bool:
    """Whether the older protocols can ask it: each input has a row for each entry."""
    return all(spec.shape[:1] == [-1] for spec in signature.inputs)


def rows(model: Description, nan_policy: str, one: Schema) -> Schema:
    """A list of rows: objects by input name, which ``one`` stands for, or bare where the model has one input."""
    specs, most = model.bundle.signature.inputs, model.bundle.max_batch
    kinds = [one, *(_entry(spec, nan_policy) for spec in specs if len(specs) == 1)]
    return either(*({"type": "array", "items": kind, "minItems": 1, "maxItems": most} for kind in kinds))


def row(model: Description, nan_policy: str) -> Schema:
    """One row as an object by input name."""
    return record({spec.name: _entry(spec, nan_policy) for spec in model.bundle.signature.inputs})


def v1(model: Description, nan_policy: str, some: Schema) -> Schema:
    """A body of V1: rows, which ``some`` stands for, as ``instances``; rows or columns as ``inputs``."""
    most = model.bundle.max_batch
    columns = record(
        {
            spec.name: {"type": "array", "items": _entry(spec, nan_policy), "minItems": 1, "maxItems": most}
            for spec in model.bundle.signature.inputs
        }
    )
    named: dict[str, Schema] = {"signature_name": {"const": "serving_default"}}
    optional = tuple(named)
    return either(
        record({INSTANCES: some, **named}, optional=optional),
        record({INPUTS: either(some, columns), **named}, optional=optional),
    )


def invocation(model: Description, one: Schema, older: Schema) -> Schema:
    """A body of ``/invocations`` in JSON; the schemas stand for a row and for a body of V1."""
    table = record(
        {"columns": {"type": "array", "items": _TEXT}, "data": {"type": "array", "items": {"type": "array"}}}
    )
    records = {"type": "array", "items": one, "minItems": 1, "maxItems": model.bundle.max_batch}
    return either(record({SPLIT: table}), record({RECORDS: records}), older)


def example_rows(signature: Signature) -> list[dict[str, Any]] | None:
    """The same as rows of the older protocols; None where that is too long, or the signature is not asked by rows."""
    if not by_rows(signature) or isinstance(example_of(signature), Zeros):
        return None
    given = {name: array.tolist()[0] for name, array in example(signature).items()}
    single = {name for name, entry in given.items() if isinstance(entry, list) and _plain(entry)}
    return [{name: entry[0] if name in single else entry for name, entry in given.items()}]


def example_csv(signature: Signature) -> str | None:
    """The same as a table; None where an input is more than a value a row."""
    given = example_rows(signature)
    if given is None or any(isinstance(value, list) for value in given[0].values()):
        return None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(given[0])
    writer.writerow(str(value).lower() if isinstance(value, bool) else value for value in given[0].values())
    return text.getvalue()


def _request(inputs: Schema, name: Schema) -> Schema:
    parameters: Schema = {
        "type": "object",
        "properties": {"binary_data": {"type": "boolean"}, "classification": {"type": "integer", "minimum": 1}},
    }
    output = record({"name": name, "parameters": parameters}, optional=("parameters",))
    members: dict[str, Schema] = {
        "id": {"type": "string", "description": "echoed"},
        "parameters": {"type": "object", "properties": {"binary_data_output": {"type": "boolean"}}},
        "inputs": inputs,
        "outputs": {"type": "array", "items": output, "description": "those wanted; all where it is left out"},
    }
    return record(members, optional=("id", "parameters", "outputs"))


def _answer(name: Schema, output: Schema) -> Schema:
    members = {
        "model_name": name,
        "model_version": _TEXT,
        "id": _TEXT,
        "parameters": {"type": "object", "properties": {"event_id": _TEXT}},
        "outputs": {"type": "array", "items": output},
    }
    return record(members, optional=("id",))


def _tensor(spec: TensorSpec, most: int, nan_policy: str) -> Schema:
    """An input."""
    told = record(
        {
            "name": {"const": spec.name},
            "datatype": {"const": spec.datatype},
            "shape": _shape(spec, {"minimum": 1, "maximum": most}),
            "parameters": _PARAMETERS,
            "data": _data(spec, most, nan_policy),
        },
        optional=("parameters",),
    )
    return {"title": spec.name, "description": _said(spec)} | told


def _shape(spec: TensorSpec, rows_bounds: dict[str, int]) -> Schema:
    """A shape; the bounds are those of a free first axis."""
    sizes: list[Schema] = [{"const": size} if size >= 0 else {"type": "integer", "minimum": 0} for size in spec.shape]
    if spec.shape[:1] == [-1]:
        sizes[0] = {"type": "integer"} | rows_bounds
    bounds: Schema = {"type": "array", "minItems": len(sizes), "maxItems": len(sizes)}
    return bounds | {"prefixItems": sizes, "items": False} if sizes else bounds


def _said(spec: TensorSpec) -> str:
    """An input in words."""
    text = spec.label() + (f" in {spec.unit}" if spec.unit else "")
    text += f", from {spec.range[0]:.10g} to {spec.range[1]:.10g}" if spec.range else ""
    text += f": {spec.description}" if spec.description else ""
    if not spec.categories:
        return text
    more = ", …" if len(spec.categories) > MOST_CATEGORIES else ""
    known = ", ".join(orjson.dumps(one).decode() for one in spec.categories[:MOST_CATEGORIES])
    return f"{text}; known: {known}{more}; anything else is served as unknown"


def _data(spec: TensorSpec, most: int, nan_policy: str) -> Schema:
    """Values in row-major order, or nested as the shape says."""
    one, rest = _value(spec.datatype, nan_policy), spec.shape[1:]
    flat: Schema = {"type": "array", "items": one}
    if -1 not in rest:
        row = math.prod(rest)
        least, limit = (1, most) if spec.shape[:1] == [-1] else (math.prod(spec.shape[:1]),) * 2
        flat |= {"minItems": least * row, "maxItems": limit * row}
    if not rest:
        return flat
    return either(flat, _nested(one, spec.shape))


def _nested(one: Schema, sizes: list[int]) -> Schema:
    for size in reversed(sizes):
        bounds = {} if size < 0 else {"minItems": size, "maxItems": size}
        one = {"type": "array", "items": one} | bounds
    return one


def _entry(spec: TensorSpec, nan_policy: str) -> Schema:
    """What a row of the older protocols holds of an input."""
    one, rest = _value(spec.datatype, nan_policy), spec.shape[1:]
    if spec.datatype == "BYTES":
        one = either(one, record({"b64": {"type": "string", "contentEncoding": "base64"}}))
    return either(one, _nested(one, rest)) if rest in ([1], [-1]) else _nested(one, rest)


def _value(datatype: str, nan_policy: str) -> Schema:
    """One value."""
    if datatype in ("BOOL", "BYTES"):
        return {"type": "boolean" if datatype == "BOOL" else "string"}
    if datatype not in FLOATS:
        limits = np.iinfo(NUMPY[datatype])
        return {"type": "integer", "minimum": int(limits.min), "maximum": int(limits.max)}
    most = _BFLOAT_MAX if datatype == "BF16" else float(np.finfo(NUMPY[datatype]).max)
    number: Schema = {"type": "number", "minimum": -most, "maximum": most}
    if nan_policy == "null":
        return number | {"type": ["number", "null"]}
    return either(number, {"enum": list(WORDS)}) if nan_policy == "string" else number


def _told(spec: TensorSpec, nan_policy: str) -> Schema:
    """An output as its tensor, or as bytes behind the JSON."""
    return _output({"const": spec.name}, spec.datatype, _shape(spec, {"minimum": 0}), _value(spec.datatype, nan_policy))


def _output(name: Schema, datatype: str, shape: Schema, one: Schema) -> Schema:
    data = {"type": "array", "items": one}
    members = {"name": name, "datatype": {"const": datatype}, "shape": shape, "parameters": _PARAMETERS, "data": data}
    return record(members, optional=("parameters", "data"))


def _plain(entry: list[Any]) -> bool:
    """Whether a list of one value may stand without its list."""
    return len(entry) == 1 and not isinstance(entry[0], list)
