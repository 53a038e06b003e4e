"""The quick way from JSON to tensors, for requests as most are; others are left to :mod:`staytrue.bodies`.

Both read the same from the same bytes, or this one reads nothing: it decodes into prepared types that refuse what is
unusual (other keys, missing numbers, escapes in texts), and leaves the words of a refusal to the other.
"""

from __future__ import annotations

import math
import struct
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Union

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from serving.rest import spans
from serving.rest.spans import Unusual
from staytrue.signature import MOST_AXES, NUMPY
from staytrue.tensors import ALL_BINARY, Given, Parsed, Wish
from staytrue.values import FLOATS, narrowed

if TYPE_CHECKING:
    from collections.abc import Callable

REFUSALS = (msgspec.MsgspecError, struct.error, OverflowError, ValueError, RecursionError, Unusual)
"""What reading ends with where the other way is to read."""
SMALL_BYTES = 4096
"""In a body above this, numbers are read by a parser that is quicker and takes longer to begin."""
_TAIL_BYTES = 12
"""Of a body, where most have the end of their last tensor's data."""
_LETTERS = {"BOOL": "?", "FP16": "e", "FP32": "f", "FP64": "d"} | dict(
    zip(("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"), "bhiqBHIQ", strict=True)
)
"""How :mod:`struct` names a datatype. Its packing refuses what is beyond the range, and rounds as numpy does."""


class OutputParameters(msgspec.Struct, forbid_unknown_fields=True):
    """Of an output that is asked for."""

    binary_data: bool | UnsetType = UNSET
    classification: int | UnsetType = UNSET


class Output(msgspec.Struct, forbid_unknown_fields=True):
    """An output that is asked for."""

    name: str
    parameters: OutputParameters | UnsetType = UNSET


class Head(msgspec.Struct, forbid_unknown_fields=True):
    """What a request says beside its inputs."""

    id: str | UnsetType = UNSET
    outputs: list[Output] | UnsetType = UNSET
    parameters: dict[str, str | bool | int | float] | UnsetType = UNSET


def _element(datatype: str) -> type:
    return {"BYTES": str, "BOOL": bool}.get(datatype, float if datatype in FLOATS else int)


def _tensor(datatype: str, data: Any) -> type[msgspec.Struct]:
    fields = [("name", str), ("shape", list[int]), ("data", data)]
    return msgspec.defstruct(datatype, fields, tag_field="datatype", tag=datatype, forbid_unknown_fields=True, gc=False)


def _request(tensors: Any) -> msgspec.json.Decoder[Any]:
    made = msgspec.defstruct("Request", [("inputs", list[tensors])], bases=(Head,), kw_only=True)
    return msgspec.json.Decoder(made)


class _Kind:
    """What is known of the tensors of one prepared type."""

    def __init__(self, datatype: str) -> None:
        self.datatype, self.dtype, self.letter = datatype, NUMPY[datatype], _LETTERS.get(datatype, "")
        self.packers: dict[int, Callable[..., bytes]] = {}

    def packer(self, count: int) -> Callable[..., bytes]:
        """What makes bytes of so many values."""
        made = struct.Struct(f"={count}{self.letter}").pack
        if count <= SMALL_BYTES:
            self.packers[count] = made
        return made


_FLAT = {_tensor(name, list[_element(name)]): _Kind(name) for name in NUMPY}  # type: ignore[misc]
_NESTED = {_tensor(name, list[list[_element(name)]]): _Kind(name) for name in NUMPY}  # type: ignore[misc]
_KINDS = _FLAT | _NESTED
_flat = _request(Union[tuple(_FLAT)]).decode  # noqa: UP007 - of a list
_nested = _request(Union[tuple(_NESTED)]).decode  # noqa: UP007


def parse(body: bytes) -> Parsed | None:
    """Read a request body that is as most are; None for another.

    Shapes:
        arrays may share the memory of what was read, and cannot be written to.
    """
    try:
        return _small(body) if len(body) <= SMALL_BYTES else _large(body)
    except REFUSALS:
        return None


def _small(body: bytes) -> Parsed | None:
    told, nested = _told(body)
    inputs = [_from_rows(item) if nested else _from_values(item) for item in told.inputs]
    texts = 1
    for made in inputs:
        texts += 6 if made.datatype != "BYTES" else 6 + made.array.size
    return parsed(told, inputs, texts, body.count(b'"'))


def plain(body: bytes) -> list[Any] | None:
    """Inputs of a small body that says nothing beside them; None for another. Raises one of :data:`REFUSALS` otherwise.

    Each is of a prepared type, has ``name``, ``shape`` and flat ``data``, and :func:`packer_of` knows it.
    """
    told, nested = _told(body)
    inputs: list[Any] = told.inputs
    if nested:
        for item in inputs:
            _flatten(item)
    return inputs if told.id is told.parameters is told.outputs is UNSET else None


def _told(body: bytes) -> tuple[Any, bool]:
    """What a small body says, and whether its tensors are nested: a guess at their end, and the other where it fails.

    To look for where they begin would take as long as to read them.
    """
    nested = b"]]" in body[-_TAIL_BYTES:]
    try:
        return (_nested if nested else _flat)(body), nested
    except msgspec.ValidationError:
        return (_flat if nested else _nested)(body), not nested


def packer_of(item: Any, datatype: str, count: int) -> Callable[..., Any] | None:
    """What makes so many values of an input one after the other, or raises one of :data:`REFUSALS`.

    Returns:
        A function that gives numbers as bytes of this machine's order, texts as a list; None for another datatype.
    """
    kind = _KINDS[type(item)]
    if kind.datatype != datatype or not (kind.letter or datatype == "BYTES"):
        return None
    return kind.packer(count) if kind.letter else partial(_texts_of, count)


def packs(datatype: str) -> bool:
    """Whether :func:`packer_of` knows a datatype."""
    return datatype in _LETTERS or datatype == "BYTES"


def _texts_of(count: int, *texts: str) -> list[str]:
    if len(texts) != count:
        raise Unusual
    return list(texts)


def _large(body: bytes) -> Parsed | None:
    """Numbers are cut out, what remains is read as a small body is."""
    if b"\\" in body:
        return None
    head, cuts = spans.cut(body)
    told = _flat(head)
    rest = iter(cuts)
    texts = 1
    inputs = []
    for item in told.inputs:
        kind = _KINDS[type(item)]
        if item.data:
            made = _from_values(item)
            texts += made.array.size if kind.datatype == "BYTES" else 0
        else:
            count = math.prod(item.shape)
            _check(item, count)
            made = Given(item.name, kind.datatype, spans.array(body, next(rest, None), kind.datatype, item.shape))
        texts += 6
        inputs.append(made)
    if next(rest, None) is not None:
        return None
    return parsed(told, inputs, texts, head.count(b'"'))


def parsed(told: Head, inputs: list[Given], texts: int, quotes: int) -> Parsed | None:
    """A request of inputs that have been read; None for one to be read the other way.

    Args:
        told: what it says beside them.
        inputs: as they were read, at least one.
        texts: how many texts and keys were read with them.
        quotes: how many quotation marks there are: more than were read where a key is given twice, or one is escaped.
    """
    if told.id is told.parameters is told.outputs is UNSET:  # as most are
        return Parsed(inputs) if quotes == 2 * texts and inputs else None
    name, outputs, parameters, binary = "", None, {}, False
    if told.id is not UNSET:
        name, texts = told.id, texts + 2
    if told.parameters is not UNSET:
        parameters = told.parameters
        texts += 1 + len(parameters) + sum(type(value) is str for value in parameters.values())
        said = parameters.get(ALL_BINARY, False)
        if not isinstance(said, bool):
            return None
        binary = said
    if told.outputs is not UNSET:
        outputs = [_wish(output, binary=binary) for output in told.outputs] or None
        texts += 1 + sum(map(_texts, told.outputs))
    if quotes != 2 * texts or "\0" in name or not inputs:
        return None
    return Parsed(inputs, name, outputs, parameters)


def _wish(output: Output, *, binary: bool) -> Wish:
    said = output.parameters
    if "\0" in output.name:
        raise Unusual
    if said is UNSET:
        return Wish(output.name, binary)
    classes = 0 if said.classification is UNSET else said.classification
    if classes < 1 and said.classification is not UNSET:
        raise Unusual
    return Wish(output.name, binary if said.binary_data is UNSET else said.binary_data, classes)


def _texts(output: Output) -> int:
    """Texts and keys of an output that is asked for."""
    if output.parameters is UNSET:
        return 2
    return 3 + (output.parameters.binary_data is not UNSET) + (output.parameters.classification is not UNSET)


def _check(item: Any, count: int) -> None:
    """Pass over what has no values, or too few: the other way knows why. Negative sizes no array can have."""
    name, shape = item.name, item.shape
    if not count or count != math.prod(shape) or len(shape) > MOST_AXES or not name or "\0" in name:
        raise Unusual


def _flatten(item: Any) -> None:
    """Put a tensor's data in a row: of two axes, and nested as its shape says."""
    rows, shape = item.data, item.shape
    if len(shape) != 2 or len(rows) != shape[0]:
        raise Unusual
    for row in rows:
        if len(row) != shape[1]:
            raise Unusual
    item.data = rows[0] if len(rows) == 1 else list(chain.from_iterable(rows))


def _from_rows(item: Any) -> Given:
    _flatten(item)
    return _from_values(item)


def _from_values(item: Any) -> Given:
    """A tensor whose data is flat."""
    kind, values, shape, name = _KINDS[type(item)], item.data, item.shape, item.name
    count = len(values)
    # As _check: a call of it would be a tenth of all this.
    if not count or count != math.prod(shape) or len(shape) > MOST_AXES or not name or "\0" in name:
        raise Unusual
    if kind.letter:
        packed = (kind.packers.get(count) or kind.packer(count))(*values)
        return Given(name, kind.datatype, np.ndarray(shape, kind.dtype, packed))
    if kind.datatype == "BYTES":
        return Given(name, kind.datatype, np.array(values, dtype=object).reshape(shape))
    array = narrowed(np.array(values, dtype=np.float64), kind.datatype)
    if not np.isfinite(array).all():
        raise Unusual
    return Given(name, kind.datatype, array.reshape(shape))
