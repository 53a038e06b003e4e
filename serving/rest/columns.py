"""Rows and columns of the older protocols as the tensors of a signature, and tensors as rows again.

Shapes:
    a column holds one entry for each row: a value, or lists nested as the rest of the input's shape says. Where that
    rest is one value, ``[-1, 1]``, the entry may stand without its list.
"""

from __future__ import annotations

import base64
import binascii
import math
from typing import TYPE_CHECKING, Any

from staytrue.errors import InvalidInput
from staytrue.signature import check_shape
from staytrue.tensors import Given, Parsed
from staytrue.texts import check_name
from staytrue.values import Where, array_of, kind, listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from staytrue.signature import Signature, TensorSpec
    from staytrue.tensors import Answer

    Naming = Callable[[int, str], str]
    """How a message names an entry: by the place of its row, and the name of its input."""


def rows_given(rows: list[Any], signature: Signature, where: str, nan_policy: str) -> Parsed:
    """Rows that are objects by input name, or bare where the model has one input.

    Raises:
        InvalidInput: names row and input.
    """
    specs = signature.inputs
    if rows and isinstance(rows[0], dict) and not _is_bytes(rows[0]):
        columns = {
            spec.name: [_named(row, spec, specs, f"{where}[{n}]") for n, row in enumerate(rows)] for spec in specs
        }
        return columns_given(columns, signature, lambda row, name: f'{where}[{row}] "{name}"', nan_policy)
    only = _only(signature, f"{where}[0]", rows[0] if rows else None)
    return columns_given({only.name: rows}, signature, lambda row, _: f"{where}[{row}]", nan_policy)


def columns_given(columns: dict[str, list[Any]], signature: Signature, naming: Naming, nan_policy: str) -> Parsed:
    """Columns by input name.

    Raises:
        InvalidInput: names row and input.
    """
    given = []
    for name, column in columns.items():
        spec = signature.input(name)
        if spec is None:
            check_name(name, "inputs")
            there = ", ".join(f'"{known.name}"' for known in signature.inputs)
            raise InvalidInput(f'input "{name[:100]}"', "is not an input of this model", hint=f"it takes {there}")
        given.append(tensor(spec, column, naming, nan_policy))
    return Parsed(given)


def tensor(spec: TensorSpec, column: Any, naming: Naming, nan_policy: str) -> Given:
    """One input from its column.

    Raises:
        InvalidInput: an entry is not what the input's datatype and shape say.
    """
    whole = f'input "{spec.name}"'
    if not isinstance(column, list) or not spec.shape:
        raise InvalidInput(whole, expected="a list with an entry for each row", got=kind(column))
    shape = [len(column), *_sizes(spec.shape[1:], column[0] if column else None)]
    check_shape(shape, whole)
    values: list[Any] = column
    if len(shape) == 2 and shape[1] == 1:
        values = [entry[0] if isinstance(entry, list) and len(entry) == 1 else entry for entry in column]
    else:
        for size in shape[1:]:
            values = _deeper(values, size, len(column), shape, lambda row: naming(row, spec.name))
    if spec.datatype == "BYTES":
        values = [_text(value) if isinstance(value, dict) else value for value in values]
    size = max(1, math.prod(shape[1:]))
    where = Where(whole, lambda place: naming(place // size, spec.name))
    return Given(spec.name, spec.datatype, array_of(values, spec.datatype, shape, where, nan_policy))


def rows_told(answer: Answer, nan_policy: str) -> list[Any]:
    """One entry for each row: a bare value where there is one output, else objects by output name.

    Raises:
        InvalidInput: an output is NaN or infinite, and the policy is to refuse them.
    """
    columns = {
        asked.spec.name: _entries(listed(asked.spec.name, array, nan_policy), array.shape)
        for asked, array in answer.outputs
    }
    if len(columns) == 1:
        return next(iter(columns.values()))
    if len(set(map(len, columns.values()))) > 1:
        raise InvalidInput(
            "outputs", "do not have as many rows, each of them", hint="call /v2, which gives whole tensors"
        )
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def columns_told(answer: Answer, nan_policy: str) -> Any:
    """Whole tensors, nested as their shapes say: one bare, several by output name.

    Raises:
        InvalidInput: an output is NaN or infinite, and the policy is to refuse them.
    """
    told = {
        asked.spec.name: nested(listed(asked.spec.name, array, nan_policy), list(array.shape))
        for asked, array in answer.outputs
    }
    return told if len(told) > 1 else next(iter(told.values()))


def nested(values: list[Any], shape: list[int]) -> Any:
    """Values in row-major order as nested lists.

    >>> nested([1, 2, 3, 4], [2, 2])
    [[1, 2], [3, 4]]
    """
    if not shape:
        return values[0]
    for size in reversed(shape[1:]):
        values = [values[at : at + size] for at in range(0, len(values), size)] if size else [[]] * shape[0]
    return values


def _entries(values: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """What each row holds; a single value without its list."""
    if math.prod(shape[1:]) == 1 and len(shape) <= 2:
        return values
    return list(nested(values, list(shape)))


def _named(row: Any, spec: TensorSpec, specs: list[TensorSpec], where: str) -> Any:
    if not isinstance(row, dict):
        raise InvalidInput(where, expected="an object like the first", got=kind(row))
    if spec.name not in row:
        raise InvalidInput(f'{where} "{spec.name}"', expected=spec.label(), got="nothing")
    if len(row) > len(specs):
        unknown = next(name for name in row if name not in {known.name for known in specs})
        check_name(unknown, where)
        hint = f"it takes {', '.join(known.name for known in specs)}"
        raise InvalidInput(f'{where} "{unknown[:100]}"', "is not an input of this model", hint=hint)
    return row[spec.name]


def _only(signature: Signature, where: str, got: Any) -> TensorSpec:
    """The one input of the model.

    Raises:
        InvalidInput: it has several.
    """
    if len(signature.inputs) == 1:
        return signature.inputs[0]
    names = ", ".join(f'"{spec.name}"' for spec in signature.inputs)
    raise InvalidInput(where, expected=f"an object with {names}", got=kind(got))


def _sizes(wanted: list[int], entry: Any) -> list[int]:
    """The shape of a row: as the signature says, and by the first row where that leaves it open."""
    sizes = []
    for size in wanted:
        sizes.append(size if size >= 0 else len(entry) if isinstance(entry, list) else 1)
        entry = entry[0] if isinstance(entry, list) and entry else None
    return sizes


def _deeper(values: list[Any], size: int, rows: int, shape: list[int], naming: Callable[[int], str]) -> list[Any]:
    """One level of lists taken away."""
    each = max(1, len(values) // max(1, rows))
    for place, part in enumerate(values):
        if not isinstance(part, list) or len(part) != size:
            got = f"a list of {len(part)}" if isinstance(part, list) else kind(part)
            expected = f"lists nested as {shape[1:]}" if len(shape) > 2 else f"a list of {size}"
            raise InvalidInput(naming(place // each), expected=expected, got=got)
    return [value for part in values for value in part]


def _is_bytes(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"}


def _text(value: dict[str, Any]) -> Any:
    """The text that an object ``{"b64": …}`` stands for; what is none of these is left to be refused."""
    if not _is_bytes(value) or not isinstance(value["b64"], str):
        return value
    try:
        return base64.b64decode(value["b64"], validate=True).decode()
    except (binascii.Error, ValueError):
        expected = "UTF-8 in base64"
        raise InvalidInput('"b64"', expected=expected, got=kind(value["b64"]), hint="BYTES hold text") from None
