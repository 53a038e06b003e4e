"""Requests and answers in the JSON of the Open Inference Protocol, read and written without haste and to the letter.

What :mod:`serving.rest.fast` reads quickly is what this reads; what is wrong with a request is said here.

Sources: Open Inference Protocol, REST specification, "Inference Request JSON Object" and "Tensor Data"; its extensions
for binary data and for classification.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from staytrue.classification import ranked
from staytrue.errors import InvalidInput
from staytrue.raw import from_raw
from staytrue.signature import NUMPY, check_shape
from staytrue.tensors import ALL_BINARY, Given, Parsed, Wish
from staytrue.texts import check_name
from staytrue.values import Where, array_of, kind, listed, no_datatype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.tensors import Answer

SIZE = "binary_data_size"
"""The parameter of an input that says how many of the bytes behind the JSON are its own."""


class Tail:
    """The bytes behind a request's JSON, which inputs take in their order."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._place = data, 0

    def take(self, size: Any, where: str) -> memoryview:
        """The next bytes.

        Raises:
            InvalidInput: no whole number, a negative one, or more than there are.
        """
        left = len(self._data) - self._place
        where = f'{where} parameter "{SIZE}"'
        if type(size) is not int or size < 0:
            raise InvalidInput(where, expected="a whole number of bytes, not negative", got=kind(size))
        if size > left:
            raise InvalidInput(
                where, expected=f"at most the {left} bytes that are left of the body", got=str(size)[:40]
            )
        self._place += size
        return self._data[self._place - size : self._place]

    def end(self) -> None:
        """Refuse bytes that are nobody's.

        Raises:
            InvalidInput: says how many.
        """
        left = len(self._data) - self._place
        if left:
            raise InvalidInput("body", expected="nothing behind the last input's bytes", got=f"{left} bytes more")


def parsed(request: Any, nan_policy: str, tail: Tail | None = None) -> Parsed:
    """Read a request that was JSON; with ``tail`` its inputs may stand behind it.

    Raises:
        InvalidInput: not an inference request; says where.
    """
    if not isinstance(request, dict):
        raise InvalidInput("body", expected="an object", got=kind(request))
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise InvalidInput('body "inputs"', expected="a list of tensors", got=kind(inputs))
    parameters = _parameters(request, 'body "parameters"')
    name = request.get("id", "")
    if not isinstance(name, str):
        raise InvalidInput('body "id"', expected="a string", got=kind(name))
    check_name(name, 'body "id"')
    given = [_tensor(item, f"inputs[{place}]", nan_policy, tail) for place, item in enumerate(inputs)]
    if tail is not None:
        tail.end()
    outputs = _outputs(request.get("outputs"), binary=_flag(parameters, ALL_BINARY, "body", absent=False))
    return Parsed(given, name, outputs, parameters)


def written(answer: Answer, nan_policy: str) -> dict[str, Any]:
    """The body of an answer, to be made JSON of.

    Raises:
        InvalidInput: an output is NaN or infinite, and the policy is to refuse them.
    """
    outputs = []
    for asked, given in answer.outputs:
        datatype, array = asked.spec.datatype, given
        if asked.classes:
            datatype, array = "BYTES", ranked(asked, given, answer.labels)
        data = listed(asked.spec.name, array, nan_policy)
        outputs.append({"name": asked.spec.name, "datatype": datatype, "shape": list(array.shape), "data": data})
    told: dict[str, Any] = {"model_name": answer.model, "model_version": answer.version}
    if answer.id:
        told["id"] = answer.id
    return {**told, "parameters": {"event_id": answer.event_id}, "outputs": outputs}


def wish(name: str, parameters: dict[str, Any], *, binary: bool) -> Wish:
    """An output asked for, with what its parameters say; ``binary`` where they don't.

    Raises:
        InvalidInput: ``binary_data`` is no boolean, or ``classification`` not at least 1.
    """
    classes = parameters.get("classification", 0)
    if type(classes) is not int or ("classification" in parameters and classes < 1):
        where = f'output "{name[:100]}" parameter "classification"'
        raise InvalidInput(where, expected="a whole number, at least 1", got=kind(classes))
    return Wish(name, _flag(parameters, "binary_data", f'output "{name[:100]}"', absent=binary), classes)


def flat(data: Any, shape: list[int], where: str) -> list[Any]:
    """Values in row-major order; nested lists must nest as the shape says.

    Raises:
        InvalidInput: no list, nested otherwise, or another number of values.
    """
    if not isinstance(data, list):
        raise InvalidInput(where, expected="a list", got=kind(data))
    values = data
    if data and isinstance(data[0], list):
        for size in shape[1:]:
            if not all(isinstance(part, list) and len(part) == size for part in values):
                raise InvalidInput(where, expected=f"lists nested as shape {shape}", got="others")
            values = [value for part in values for value in part]
    if len(values) != math.prod(shape):
        raise InvalidInput(where, expected=f"{math.prod(shape)} values for shape {shape}", got=str(len(values)))
    return values


def _parameters(said: dict[str, Any], where: str) -> dict[str, Any]:
    parameters = said.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise InvalidInput(where, expected="an object", got=kind(parameters))
    return parameters


def _flag(parameters: dict[str, Any], name: str, where: str, *, absent: bool) -> bool:
    said = parameters.get(name, absent)
    if not isinstance(said, bool):
        raise InvalidInput(f'{where} parameter "{name}"', expected="true or false", got=kind(said))
    return said


def _outputs(said: Any, *, binary: bool) -> list[Wish] | None:
    if said is None:
        return None
    if not isinstance(said, list) or not all(isinstance(o, dict) and isinstance(o.get("name"), str) for o in said):
        raise InvalidInput('body "outputs"', expected='a list of {"name": …}', got=kind(said))
    wishes = []
    for item in said:
        check_name(item["name"], 'body "outputs"')
        parameters = _parameters(item, f'output "{item["name"][:100]}" parameters')
        wishes.append(wish(item["name"], parameters, binary=binary))
    return wishes or None


def _tensor(item: Any, where: str, nan_policy: str, tail: Tail | None) -> Given:
    if not isinstance(item, dict):
        raise InvalidInput(where, expected="a tensor object", got=kind(item))
    name, datatype, shape = item.get("name"), item.get("datatype"), item.get("shape")
    if not isinstance(name, str) or not name:
        raise InvalidInput(f"{where}.name", expected="a string", got=kind(name))
    check_name(name, f"{where}.name")
    where = f'input "{name[:100]}"'
    if not isinstance(datatype, str) or datatype not in NUMPY:
        raise no_datatype(f"{where} datatype", datatype)
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise InvalidInput(f"{where} shape", expected="a list of whole numbers, none negative", got=kind(shape))
    check_shape(shape, where)
    parameters = _parameters(item, f"{where} parameters")
    if tail is not None and SIZE in parameters:
        if "data" in item:
            raise InvalidInput(f"{where} data", expected=f"nothing beside {SIZE}", got="data")
        return Given(name, datatype, from_raw(tail.take(parameters[SIZE], where), datatype, shape, where))
    if "data" not in item:
        raise InvalidInput(f"{where} data", expected=f"{math.prod(shape)} values", got="nothing")
    return Given(name, datatype, _read(item["data"], datatype, shape, where, nan_policy))


def _read(data: Any, datatype: str, shape: list[int], where: str, nan_policy: str) -> NDArray[Any]:
    return array_of(flat(data, shape, f"{where} data"), datatype, shape, Where.of(where), nan_policy)
