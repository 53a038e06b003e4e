"""A request and its answer as tensors, whatever protocol they came by, and what a signature accepts of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from staytrue.errors import InvalidInput, TooLarge
from staytrue.signature import MISSING_TEXT, TensorSpec

if TYPE_CHECKING:
    from staytrue.signature import Signature

ALL_BINARY = "binary_data_output"
"""The parameter of a request that asks for all outputs as bytes."""


class Given(msgspec.Struct, frozen=True):
    """One input as a protocol read it."""

    name: str
    datatype: str
    array: NDArray[Any]


class Wish(msgspec.Struct, frozen=True):
    """One output that is asked for, and how."""

    name: str
    binary: bool = False
    """As bytes behind the JSON, over REST."""
    classes: int = 0
    """The so many highest values with their places instead of the tensor; 0 for the tensor."""


class Parsed(msgspec.Struct, frozen=True):
    """What the body said."""

    inputs: list[Given]
    id: str = ""
    outputs: list[Wish] | None = None
    """Outputs asked for; None for all."""
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)


class Asked(msgspec.Struct, frozen=True):
    """An output that the model has, and how it is to be told."""

    spec: TensorSpec
    binary: bool = False
    classes: int = 0


class Answer(msgspec.Struct, frozen=True):
    """What is told to the caller."""

    event_id: str
    id: str
    model: str
    version: str
    outputs: list[tuple[Asked, NDArray[Any]]]
    labels: list[str] = msgspec.field(default_factory=list)
    """Names of the model's classes, for outputs that are told as classes."""


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


def wanted(signature: Signature, parsed: Parsed) -> list[Asked]:
    """The outputs asked for, or all.

    Raises:
        InvalidInput: no such output, or one without numbers is to be told as classes.
    """
    if parsed.outputs is None:
        binary = bool(parsed.parameters) and parsed.parameters.get(ALL_BINARY) is True
        return [Asked(spec, binary) for spec in signature.outputs]
    known = {spec.name: spec for spec in signature.outputs}
    asked = []
    for wish in parsed.outputs:
        spec = known.get(wish.name)
        if spec is None:
            hint = f"it gives {list(known)}"
            raise InvalidInput(f'output "{wish.name[:100]}"', "is not an output of this model", hint=hint)
        if wish.classes and spec.datatype == "BYTES":
            hint = "leave out the parameter `classification`"
            raise InvalidInput(f'output "{spec.name}"', "holds texts, which have no highest value", hint=hint)
        asked.append(Asked(spec, wish.binary, wish.classes))
    return asked


def _check_rows(signature: Signature, max_batch: int, arrays: dict[str, NDArray[Any]]) -> None:
    rows = -1
    if signature.rows == "none":
        return
    for spec in signature.inputs:
        if spec.shape and spec.shape[0] == -1:
            size = arrays[spec.name].shape[0]
            if rows not in (-1, size):
                batched = {one.name: arrays[one.name].shape[0] for one in signature.inputs if one.shape[:1] == [-1]}
                raise InvalidInput("inputs", expected="the same number of rows in each", got=str(batched)[:300])
            rows = size
    if rows > max_batch:
        raise TooLarge("inputs", expected=f"at most {max_batch} rows", got=str(rows), hint="send several requests")
    if rows == 0:
        raise InvalidInput("inputs", expected="at least one row", got="0")


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
