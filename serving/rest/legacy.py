"""What people called before the Open Inference Protocol: V1 (KServe, TensorFlow Serving) and TorchServe.

Sources: KServe, "V1 Inference Protocol"; TensorFlow Serving, "RESTful API"; TorchServe, "Inference API".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from serving.rest import fast
from serving.rest.columns import columns_given, columns_told, rows_given, rows_told
from staytrue import bodies
from staytrue.errors import InvalidInput
from staytrue.texts import from_json
from staytrue.values import kind

if TYPE_CHECKING:
    from staytrue.signature import Signature
    from staytrue.tensors import Answer, Parsed

INSTANCES, INPUTS = "instances", "inputs"
_SIGNATURE = "serving_default"


def parse(body: bytes, signature: Signature, nan_policy: str) -> tuple[Parsed, bool]:
    """Read a body of V1: rows as ``instances``, or columns as ``inputs``; and whether it was columns.

    Raises:
        InvalidInput: neither or both, or a value that is not the signature's; names row and input.
    """
    told = from_json(body, spot=True)
    if not isinstance(told, dict):
        raise InvalidInput("body", expected=f'an object with "{INSTANCES}" or "{INPUTS}"', got=kind(told))
    return v1(told, signature, nan_policy), INPUTS in told


def v1(told: dict[str, Any], signature: Signature, nan_policy: str) -> Parsed:
    """Read an object of V1.

    Raises:
        InvalidInput: see :func:`parse`.
    """
    named = told.get("signature_name", _SIGNATURE)
    if named != _SIGNATURE:
        raise InvalidInput('body "signature_name"', expected=f'"{_SIGNATURE}", or nothing', got=kind(named))
    if (INSTANCES in told) == (INPUTS in told):
        got = "both" if INSTANCES in told else "neither"
        raise InvalidInput("body", expected=f'either "{INSTANCES}" or "{INPUTS}"', got=got)
    if INSTANCES in told:
        return rows_given(_some(told[INSTANCES], INSTANCES), signature, INSTANCES, nan_policy)
    said = told[INPUTS]
    if isinstance(said, dict):
        return columns_given(said, signature, lambda row, name: f'{INPUTS} "{name}"[{row}]', nan_policy)
    return rows_given(_some(said, INPUTS), signature, INPUTS, nan_policy)


def write(answer: Answer, nan_policy: str, *, columns: bool) -> bytes:
    """The answer to rows, ``predictions``, or to columns, ``outputs``.

    A row's prediction is the bare value, where an output has one a row; tensors of ``outputs`` keep their shape.

    Raises:
        InvalidInput: an output is NaN or infinite, and the policy is to refuse them.
    """
    if columns:
        return orjson.dumps({"outputs": columns_told(answer, nan_policy)})
    return orjson.dumps({"predictions": rows_told(answer, nan_policy)})


def status(name: str, version: str, *, ready: bool) -> dict[str, Any]:
    """The state of a model: KServe reads ``name`` and ``ready``, callers of TensorFlow Serving the rest."""
    state = {
        "version": version,
        "state": "AVAILABLE" if ready else "UNLOADING",
        "status": {"error_code": "OK", "error_message": ""},
    }
    return {"name": name, "ready": ready, "model_version_status": [state]}


def parse_torchserve(body: bytes, signature: Signature, nan_policy: str) -> Parsed:
    """Read a body of TorchServe: a list of rows, one row as an object by input name, or a body of V1 or V2.

    Raises:
        InvalidInput: none of these, or a value that is not the signature's; names row and input.
    """
    quick = fast.parse(body)
    if quick is not None:
        return quick
    told = from_json(body, spot=True)
    if isinstance(told, list):
        return rows_given(_some(told, "body"), signature, "body", nan_policy)
    if not isinstance(told, dict):
        raise InvalidInput("body", expected="a list of rows, or an object by input name", got=kind(told))
    known = {spec.name for spec in signature.inputs}
    if INPUTS in told and INPUTS not in known and _tensors(told[INPUTS]):
        return bodies.parsed(told, nan_policy)
    if not known & {INPUTS, INSTANCES} and {INPUTS, INSTANCES} & set(told):
        return v1(told, signature, nan_policy)
    return rows_given([told], signature, "body", nan_policy)


def write_torchserve(answer: Answer, nan_policy: str) -> bytes:
    """One prediction for each row, classes by their names.

    Raises:
        InvalidInput: an output is NaN or infinite, and the policy is to refuse them.
    """
    return orjson.dumps(rows_told(answer, nan_policy))


def _some(rows: Any, where: str) -> list[Any]:
    if not isinstance(rows, list) or not rows:
        raise InvalidInput(where, expected="a list of at least one row", got=kind(rows))
    return rows


def _tensors(said: Any) -> bool:
    """Whether these are tensors of the Open Inference Protocol."""
    return isinstance(said, list) and bool(said) and isinstance(said[0], dict) and "datatype" in said[0]
