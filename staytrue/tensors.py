"""Tensors of a request in JSON, and what a signature accepts of them: the same for every protocol that speaks JSON.

Source: Open Inference Protocol, REST specification, "Inference Request JSON Object" and "Tensor Data".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import InvalidInput, TooLarge
from staytrue.records import shown
from staytrue.signature import MISSING_TEXT, NUMPY, check_shape
from staytrue.texts import check_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.signature import Signature, TensorSpec

_TYPES: dict[str, set[type]] = {"BOOL": {bool}, "BYTES": {str}}
_NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_FLOATS = ("FP16", "FP32", "FP64")
POLICY_HINT = "the server's setting nan_policy decides"


@dataclass(frozen=True)
class Given:
    """One input as a protocol read it."""

    name: str
    datatype: str
    array: NDArray[Any]


@dataclass(frozen=True)
class Parsed:
    """What the body said."""

    inputs: list[Given]
    id: str = ""
    outputs: list[str] | None = None
    """Names of the outputs asked for; None for all."""
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What is told to the caller."""

    event_id: str
    id: str
    model: str
    version: str
    outputs: list[tuple[TensorSpec, NDArray[Any]]]


def parsed(request: Any, nan_policy: str) -> Parsed:
    """Read a request that was JSON.

    Raises:
        InvalidInput: not an inference request; says where.
    """
    if not isinstance(request, dict):
        raise InvalidInput("body", expected="an object", got=_kind(request))
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise InvalidInput('body "inputs"', expected="a list of tensors", got=_kind(inputs))
    parameters = request.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise InvalidInput('body "parameters"', expected="an object", got=_kind(parameters))
    name = request.get("id", "")
    if not isinstance(name, str):
        raise InvalidInput('body "id"', expected="a string", got=_kind(name))
    check_text(name, 'body "id"')
    given = [_tensor(item, f"inputs[{place}]", nan_policy) for place, item in enumerate(inputs)]
    return Parsed(given, id=name, outputs=_outputs(request.get("outputs")), parameters=parameters)


def accepted(signature: Signature, max_batch: int, given: list[Given]) -> dict[str, NDArray[Any]]:
    """Inputs by name, each as the signature wants it, with one number of rows that is within the limit.

    Raises:
        InvalidInput: an input is missing, unknown, twice there, or of another datatype or shape; rows differ.
        TooLarge: more rows than the model was proven for.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for item in given:
        spec = signature.input(item.name)
        if spec is None:
            there = ", ".join(f'"{known.name}"' for known in signature.inputs)
            raise InvalidInput(f'input "{item.name[:100]}"', "is not an input of this model", hint=f"it takes {there}")
        if item.name in arrays:
            raise InvalidInput(f'input "{item.name}"', "is given twice")
        spec.check(item.array, item.datatype)
        arrays[item.name] = item.array
    for spec in signature.inputs:
        if spec.name not in arrays:
            raise InvalidInput(f'input "{spec.name}"', expected=spec.label(), got="nothing", hint="add it to `inputs`")
    _check_rows(signature, max_batch, arrays)
    return arrays


def wanted(signature: Signature, names: list[str] | None) -> list[TensorSpec]:
    """The outputs asked for, or all.

    Raises:
        InvalidInput: no such output.
    """
    if names is None:
        return signature.outputs
    known = {spec.name: spec for spec in signature.outputs}
    for name in names:
        if name not in known:
            raise InvalidInput(
                f'output "{name[:100]}"', "is not an output of this model", hint=f"it gives {list(known)}"
            )
    return [known[name] for name in names]


def written(answer: Answer, nan_policy: str) -> dict[str, Any]:
    """The body of an answer, to be made JSON of.

    Raises:
        InvalidInput: an output is NaN or infinite, and the policy is to refuse them.
    """
    outputs = [
        {
            "name": spec.name,
            "datatype": spec.datatype,
            "shape": list(array.shape),
            "data": _data(spec.name, array, nan_policy),
        }
        for spec, array in answer.outputs
    ]
    told: dict[str, Any] = {"model_name": answer.model, "model_version": answer.version}
    if answer.id:
        told["id"] = answer.id
    return {**told, "parameters": {"event_id": answer.event_id}, "outputs": outputs}


def _check_rows(signature: Signature, max_batch: int, arrays: dict[str, NDArray[Any]]) -> None:
    batched = {spec.name: arrays[spec.name].shape[0] for spec in signature.inputs if spec.shape[:1] == [-1]}
    if len(set(batched.values())) > 1:
        raise InvalidInput("inputs", expected="the same number of rows in each", got=str(batched)[:300])
    rows = next(iter(batched.values()), 1)
    if rows > max_batch:
        raise TooLarge("inputs", expected=f"at most {max_batch} rows", got=str(rows), hint="send several requests")
    if rows == 0:
        raise InvalidInput("inputs", expected="at least one row", got="0")


def _outputs(said: Any) -> list[str] | None:
    if said is None:
        return None
    if not isinstance(said, list) or not all(isinstance(o, dict) and isinstance(o.get("name"), str) for o in said):
        raise InvalidInput('body "outputs"', expected='a list of {"name": …}', got=_kind(said))
    for item in said:
        check_text(item["name"], 'body "outputs"')
    return [item["name"] for item in said] or None


def _tensor(item: Any, where: str, nan_policy: str) -> Given:
    if not isinstance(item, dict):
        raise InvalidInput(where, expected="a tensor object", got=_kind(item))
    name, datatype, shape = item.get("name"), item.get("datatype"), item.get("shape")
    if not isinstance(name, str) or not name:
        raise InvalidInput(f"{where}.name", expected="a string", got=_kind(name))
    check_text(name, f"{where}.name")
    where = f'input "{name[:100]}"'
    if not isinstance(datatype, str) or datatype not in NUMPY:
        raise InvalidInput(f"{where} datatype", expected=f"one of {', '.join(NUMPY)}", got=_kind(datatype))
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise InvalidInput(f"{where} shape", expected="a list of whole numbers, none negative", got=_kind(shape))
    check_shape(shape, where)
    if "data" not in item:
        raise InvalidInput(f"{where} data", expected=f"{math.prod(shape)} values", got="nothing")
    values = _flat(item["data"], shape, where)
    return Given(name, datatype, _array(values, datatype, shape, where, nan_policy))


def _flat(data: Any, shape: list[int], where: str) -> list[Any]:
    """Values in row-major order; nested lists must nest as the shape says."""
    if not isinstance(data, list):
        raise InvalidInput(f"{where} data", expected="a list", got=_kind(data))
    if not data or not isinstance(data[0], list):
        values = data
    else:
        values, level = [], data
        for size in shape[1:]:
            if not all(isinstance(part, list) and len(part) == size for part in level):
                raise InvalidInput(f"{where} data", expected=f"lists nested as shape {shape}", got="others")
            level = [value for part in level for value in part]
        values = level
    if len(values) != math.prod(shape):
        raise InvalidInput(
            f"{where} data", expected=f"{math.prod(shape)} values for shape {shape}", got=str(len(values))
        )
    return values


def _array(values: list[Any], datatype: str, shape: list[int], where: str, nan_policy: str) -> NDArray[Any]:
    if datatype in _FLOATS:
        return _floats(values, datatype, shape, where, nan_policy)
    strange = set(map(type, values)) - _TYPES.get(datatype, {int})
    if strange:
        _refuse_type(values, strange, datatype, where)
    if datatype == "BYTES":
        check_text("".join(values), f"{where} data")
    try:
        return np.array(values, dtype=NUMPY[datatype]).reshape(shape)
    except OverflowError:
        limits = np.iinfo(NUMPY[datatype])
        got = next(value for value in values if not limits.min <= value <= limits.max)
        expected = f"{datatype} from {limits.min} to {limits.max}"
        raise InvalidInput(f"{where} data", expected=expected, got=str(got)[:40]) from None


def _floats(values: list[Any], datatype: str, shape: list[int], where: str, nan_policy: str) -> NDArray[Any]:
    strange = set(map(type, values)) - {float, int}
    if type(None) in strange and nan_policy == "null":
        values, strange = [math.nan if value is None else value for value in values], strange - {type(None)}
    if str in strange and nan_policy == "string" and all(v in _NAMES for v in values if type(v) is str):
        values, strange = [_NAMES[v] if type(v) is str else v for v in values], strange - {str}
    if strange:
        _refuse_type(values, strange, datatype, where)
    try:
        with np.errstate(over="ignore"):
            wide = np.array(values, dtype=np.float64)
            array = wide.astype(NUMPY[datatype])
    except OverflowError:  # a whole number that no float can hold
        wide, array = np.zeros(1), np.array([math.inf])
    overflown = np.isfinite(wide) & ~np.isfinite(array)
    if overflown.any() or (nan_policy == "reject" and not np.isfinite(array).all()):
        raise InvalidInput(f"{where} data", expected=f"finite {datatype}", got="a number beyond its range")
    return array.reshape(shape)


def _refuse_type(values: list[Any], strange: set[type], datatype: str, where: str) -> None:
    place, got = next((place, value) for place, value in enumerate(values) if type(value) in strange)
    hint = f"for missing values {POLICY_HINT}" if got is None and datatype in _FLOATS else ""
    raise InvalidInput(f"{where} data[{place}]", expected=datatype, got=_kind(got), hint=hint)


def _data(name: str, array: NDArray[Any], nan_policy: str) -> list[Any]:
    values: list[Any] = array.ravel().tolist()
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return values
    if nan_policy == "reject":
        raise InvalidInput(f'output "{name}"', "came out NaN or infinite, which JSON cannot say", hint=POLICY_HINT)
    if nan_policy == "null":
        return [value if math.isfinite(value) else None for value in values]
    return [value if math.isfinite(value) else _word(value) for value in values]


def _word(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _kind(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    text = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return f"{text.get(type(value), type(value).__name__)} {shown(value)}"[:80]


def coded(spec: TensorSpec, texts: NDArray[Any]) -> NDArray[np.int64]:
    """Texts as modules take them: 1 + place in the categories, 0 for anything else.

    >>> from staytrue.signature import TensorSpec
    >>> kind = TensorSpec(name="kind", datatype="BYTES", shape=[-1], categories=["a", "b"])
    >>> coded(kind, np.array(["b", "never seen"], dtype=object)).tolist()
    [2, 0]
    """
    places = {category: place for place, category in enumerate(spec.categories, 1)}
    return np.array([places.get(str(text), 0) for text in texts.ravel()], dtype=np.int64).reshape(texts.shape)


def decoded(spec: TensorSpec, codes: NDArray[np.int64]) -> NDArray[Any]:
    """Codes as modules give them, as texts again.

    >>> from staytrue.signature import TensorSpec
    >>> kind = TensorSpec(name="kind", datatype="BYTES", shape=[-1], categories=["a", "b"])
    >>> decoded(kind, np.array([2, 0])).tolist()
    ['b', '']
    """
    return np.array([MISSING_TEXT, *spec.categories], dtype=object)[codes]
