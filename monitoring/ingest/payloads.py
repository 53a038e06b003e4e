"""Payloads of a model's server, V1 or V2, as the tensors that a signature names.

Sources: Open Inference Protocol (V2), REST; KServe "V1 inference protocol", which is TensorFlow Serving's row format.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from staytrue.bodies import parsed
from staytrue.errors import InvalidInput
from staytrue.records import shown
from staytrue.signature import rows_of
from staytrue.tensors import accepted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.signature import Signature, TensorSpec

NULL = "null"
"""Servers write NaN as null, or bare; both are read."""
ANY_ROWS = 2**31
"""The server elsewhere has a limit of its own."""
V1 = {"input": "instances", "output": "predictions"}
V2 = {"input": "inputs", "output": "outputs"}
DEEPEST = 8


@dataclass(frozen=True)
class Payload:
    """What a payload said."""

    tensors: dict[str, NDArray[Any]]
    rows: int
    id: str = ""
    version: str = ""
    """The model's version, where the answer names it."""


def decoded(data: bytes, where: str) -> dict[str, Any]:
    """The JSON object of a payload.

    Raises:
        InvalidInput: no JSON, or no object.
    """
    try:
        told = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        told = _lenient(data, where)
    if not isinstance(told, dict):
        raise InvalidInput(where, expected="a JSON object", got=shown(told))
    return told


def _lenient(data: bytes, where: str) -> Any:
    """JSON in which servers write NaN bare."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        hint = "the server must speak JSON, without binary tensors"
        raise InvalidInput(where, f"is not JSON: {str(error)[:100]}", hint=hint) from error


def asked(told: dict[str, Any], signature: Signature) -> Payload:
    """The inputs of a request.

    Raises:
        InvalidInput: an input is missing, unknown, or not as the signature says.
    """
    if V1["input"] in told:
        told = {V2["input"]: _from_v1(told[V1["input"]], signature.inputs, "input")}
    read = parsed(told, NULL)
    tensors = accepted(signature, ANY_ROWS, read.inputs)
    return Payload(tensors, rows_of(list(tensors.values())), id=read.id)


def answered(told: dict[str, Any], signature: Signature) -> Payload:
    """The outputs of an answer; those that the signature does not name are passed over, its first must be there.

    Raises:
        InvalidInput: the first output is missing, or one is not as the signature says.
    """
    version = told.get("model_version")
    if V1["output"] in told:
        told = {V2["output"]: _from_v1(told[V1["output"]], signature.outputs, "output")}
    elif V2["output"] not in told:
        expected = f'"{V2["output"]}" (V2) or "{V1["output"]}" (V1)'
        raise InvalidInput("response", expected=expected, got=shown(list(told)))
    try:
        read = parsed({"inputs": told[V2["output"]]}, NULL)
    except InvalidInput as error:  # that reader knows inputs only
        where = error.where.replace("input", "output", 1)
        raise InvalidInput(where, error.problem, expected=error.expected, got=error.got, hint=error.hint) from error
    given = {item.name: item for item in read.inputs}
    tensors: dict[str, NDArray[Any]] = {}
    for place, spec in enumerate(signature.outputs):
        item = given.get(spec.name)
        if item is not None:
            spec.check(item.array, item.datatype, "output")
            tensors[spec.name] = item.array
        elif place == 0:
            there = ", ".join(f'"{name[:40]}"' for name in list(given)[:10])
            raise InvalidInput(f'output "{spec.name}"', expected=spec.label(), got=f"only {there}")
    rows = rows_of(list(tensors.values()))
    if any(len(array) != rows for array in tensors.values() if array.ndim):
        raise InvalidInput("outputs", expected=f"{rows} rows in each", got="another number")
    return Payload(tensors, rows, version=str(version) if isinstance(version, (str, int)) else "")


def _from_v1(rows: Any, specs: list[TensorSpec], side: str) -> list[dict[str, Any]]:
    """Rows of V1 as tensors of V2."""
    where = V1[side]
    if not isinstance(rows, list) or not rows:
        raise InvalidInput(where, expected="a list of rows", got=shown(rows))
    if isinstance(rows[0], dict):
        specs = [spec for spec in specs if side == "input" or spec is specs[0] or spec.name in rows[0]]
        columns = [(spec, [_named(row, spec, specs, f"{where}[{n}]") for n, row in enumerate(rows)]) for spec in specs]
        return [_tensor(spec, column, side) for spec, column in columns]
    if side == "input" and len(specs) > 1:
        names = ", ".join(f'"{spec.name}"' for spec in specs)
        hint = "send V2, which names each input"
        raise InvalidInput(f"{where}[0]", expected=f"an object with {names}", got=shown(rows[0]), hint=hint)
    return [_tensor(specs[0], rows, side)]


def _named(row: Any, spec: TensorSpec, specs: list[TensorSpec], where: str) -> Any:
    if not isinstance(row, dict):
        raise InvalidInput(where, expected="an object like the first", got=shown(row))
    if spec.name not in row:
        raise InvalidInput(f'{where}."{spec.name}"', expected=spec.label(), got="nothing")
    unknown = sorted(set(row) - {known.name for known in specs})
    if unknown and specs[0] is spec:
        hint = f"the model has {', '.join(known.name for known in specs)}"
        raise InvalidInput(f'{where}."{unknown[0][:80]}"', "is not known to this model", hint=hint)
    return row[spec.name]


def _tensor(spec: TensorSpec, rows: list[Any], side: str) -> dict[str, Any]:
    shape = _shape(rows)
    if len(shape) == 1 and len(spec.shape) == 2:
        shape = [*shape, 1]  # a row of one value may stand without its list
    if side == "output" and spec.datatype == "BYTES":
        rows = [_texts(row) for row in rows]
    return {"name": spec.name, "datatype": spec.datatype, "shape": shape, "data": rows}


def _texts(value: Any) -> Any:
    """Names of classes: servers that know them by number write the number."""
    if isinstance(value, list):
        return [_texts(item) for item in value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    return str(int(value)) if math.isfinite(value) and value == int(value) else str(value)


def _shape(value: Any) -> list[int]:
    """Sizes along the first elements; whether all fit is asked when the tensor is made."""
    shape: list[int] = []
    while isinstance(value, list) and len(shape) < DEEPEST:
        shape.append(len(value))
        value = value[0] if value else None
    return shape
