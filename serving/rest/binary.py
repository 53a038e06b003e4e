"""Requests whose tensors stand as bytes behind their JSON, or without any JSON.

Sources: Open Inference Protocol, REST, "Binary Tensor Data Extension" and, as Triton Inference Server has it, its "Raw
Binary Request".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from serving.rest import fast
from serving.rest.spans import Unusual
from staytrue.asking import HEADER
from staytrue.bodies import SIZE, Tail, parsed
from staytrue.errors import InvalidInput
from staytrue.raw import WIDTHS, decoded, from_raw, plain
from staytrue.signature import check_shape
from staytrue.tensors import Given, Parsed
from staytrue.texts import from_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.signature import Signature, TensorSpec
    from staytrue.tensors import Wish

_MOST_DIGITS = 20
_MOST, _LONGEST = 256, 1024
"""Kept of what was read before: how many, and of how many bytes."""
_MEANING = "it is the length of the JSON alone, in bytes"


class _Place(msgspec.Struct, forbid_unknown_fields=True):
    binary_data_size: int


class _Input(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    datatype: str
    shape: list[int]
    parameters: _Place


class _Request(fast.Head, forbid_unknown_fields=True, kw_only=True):
    inputs: list[_Input]


_decode = msgspec.json.Decoder(_Request).decode


def parse(body: bytes, header_length: str, nan_policy: str, signature: Signature) -> Parsed:
    """Read a body that begins with so many bytes of JSON.

    Args:
        body: JSON, then the tensors in the order of the inputs.
        header_length: what the header said.
        nan_policy: for inputs in JSON; bytes are taken as they are.
        signature: says the input, its datatype and shape where there is no JSON.

    Raises:
        InvalidInput: no such length, or not an inference request; says which input.
    """
    length = _length(header_length)
    if not 0 <= length <= len(body):
        expected = f"a whole number up to the body's length, {len(body)}"
        raise InvalidInput(f"header {HEADER}", expected=expected, got=repr(header_length)[:40], hint=_MEANING)
    if length == 0:
        return _alone(body, signature)
    head, tail = body[:length], memoryview(body)[length:]
    quick = _quick(head, tail)
    if quick is not None:
        return quick
    try:
        told = from_json(head, spot=True)
    except InvalidInput as error:
        said = f"header {HEADER} says that {length} of the {len(body)} bytes are JSON: {_MEANING}"
        raise _with_hint(error, said) from error
    return parsed(told, nan_policy, Tail(tail))


def headless(error: InvalidInput, body: bytes) -> InvalidInput:
    """What tells of a body without the header, where tensors seem to stand behind its JSON.

    Args:
        error: that reading it as JSON alone came to.
        body: that was read.
    """
    behind = f'"{SIZE}"'.encode() in body
    return _with_hint(error, f"tensors behind JSON need header {HEADER}: {_MEANING}") if behind else error


def _with_hint(error: InvalidInput, hint: str) -> InvalidInput:
    hint = f"{error.hint}; {hint}" if error.hint else hint
    return InvalidInput(error.where, error.problem, expected=error.expected, got=error.got, hint=hint)


def slow(body: bytes, header_length: str, most: int) -> bool:
    """Whether reading takes long for a body's length: more JSON than ``most``, or texts; numbers are not touched."""
    length = _length(header_length)
    head = body[: min(length, most)]
    return not 0 < length <= most or b"BYTES" in head or b"\\" in head  # which may hide a datatype


def _length(said: str) -> int:
    """How many bytes are JSON; -1 for what no length is, also for more digits than a length has."""
    return int(said) if len(said) <= _MOST_DIGITS and said.isascii() and said.isdecimal() else -1


def _quick(head: bytes, data: memoryview) -> Parsed | None:
    """Inputs that are bytes, all of them; None for a request to be read the other way."""
    try:
        known = _known.get(head)
        if known is not None and known.size == len(data):
            return known.read(data)
        told = _decode(head)
        tail, inputs, places = Tail(data), [], []
        for item in told.inputs:
            if not item.name or "\0" in item.name:
                return None
            size = item.parameters.binary_data_size
            places.append((item.name, item.datatype, item.shape, size))
            inputs.append(Given(item.name, item.datatype, _array(tail.take(size, item.name), *places[-1][:3])))
        tail.end()
        # One key for all, and of each input: five keys and two texts.
        parsed = fast.parsed(told, inputs, 1 + 7 * len(inputs), head.count(b'"'))
    except (msgspec.MsgspecError, InvalidInput, KeyError, ValueError, RecursionError, Unusual):
        return None
    if parsed is not None and not parsed.id and len(head) <= _LONGEST:  # ids are no two requests' own
        if len(_known) >= _MOST:
            _known.clear()
        _known[head] = _Known(places, len(data), parsed.outputs, parsed.parameters)
    return parsed


def _array(taken: memoryview, name: str, datatype: str, shape: list[int]) -> NDArray[Any]:
    """An input's bytes as it says they are."""
    array = plain(taken, datatype, shape)
    if array is None:
        check_shape(shape, name)
        array = from_raw(taken, datatype, shape, name)
    return array


class _Known(NamedTuple):
    """What JSON said that was read before."""

    places: list[tuple[str, str, list[int], int]]
    """Name, datatype, shape and bytes of each input."""
    size: int
    """Of all of them."""
    outputs: list[Wish] | None
    parameters: dict[str, Any]

    def read(self, data: memoryview) -> Parsed:
        """The same with other bytes."""
        inputs, at = [], 0
        for name, datatype, shape, size in self.places:
            inputs.append(Given(name, datatype, _array(data[at : at + size], name, datatype, shape)))
            at += size
        return Parsed(inputs, "", self.outputs, self.parameters)


_known: dict[bytes, _Known] = {}
"""By its bytes. What stands before bytes is the same from request to request: reading it was most of what such a one
takes to be read."""


def _alone(body: bytes, signature: Signature) -> Parsed:
    """The one input of a model as the whole body."""
    if len(signature.inputs) != 1:
        names = ", ".join(f'"{spec.name}"' for spec in signature.inputs)
        hint = f"the model takes {names}: say in JSON which bytes are whose"
        raise InvalidInput("body", expected="JSON, as the model has several inputs", got=f"{HEADER} 0", hint=hint)
    spec = signature.inputs[0]
    where = f'input "{spec.name}"'
    if spec.datatype == "BYTES":  # one text, without its length
        array = decoded([body], where).reshape(_sizes(spec, 1, where))
        return Parsed([Given(spec.name, spec.datatype, array)])
    row = math.prod(spec.shape[1:]) * WIDTHS[spec.datatype]
    rows, rest = divmod(len(body), row) if spec.shape[:1] == [-1] and row > 0 else (1, 0)
    if rest or not body:
        expected = f"rows of {row} bytes each for {spec.label()}"
        raise InvalidInput(where, expected=expected, got=f"{len(body)} bytes")
    return Parsed([Given(spec.name, spec.datatype, from_raw(body, spec.datatype, _sizes(spec, rows, where), where))])


def _sizes(spec: TensorSpec, rows: int, where: str) -> list[int]:
    """The shape of so many rows.

    Raises:
        InvalidInput: bytes alone do not tell it.
    """
    sizes = [rows, *spec.shape[1:]] if spec.shape[:1] == [-1] else list(spec.shape)
    if -1 in sizes:
        raise InvalidInput(where, expected=f"JSON that says the shape of {spec.label()}", got=f"{HEADER} 0")
    return sizes
