"""The one address of SageMaker and MLflow, ``/invocations``: CSV and JSON.

Sources: Amazon SageMaker, "Common data formats for inference"; MLflow, "Deploy MLflow Model as a Local Inference
Server", its JSON and CSV input.
"""

from __future__ import annotations

import csv
import io
import math
import re
from itertools import chain
from typing import TYPE_CHECKING, Any

import orjson

from serving.rest.columns import columns_given, rows_given, rows_told
from serving.rest.legacy import INPUTS, INSTANCES, v1
from staytrue.errors import InvalidInput
from staytrue.texts import from_json
from staytrue.values import FLOATS, kind, listed

if TYPE_CHECKING:
    from staytrue.signature import Signature, TensorSpec
    from staytrue.tensors import Answer, Parsed

SPLIT, RECORDS = "dataframe_split", "dataframe_records"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_TRUTH = {"true": True, "false": False, "1": True, "0": False}


def parse_json(body: bytes, signature: Signature, nan_policy: str) -> Parsed:
    """Read JSON: ``dataframe_split``, ``dataframe_records``, ``instances`` or ``inputs``.

    Raises:
        InvalidInput: none of these, or a value that is not the signature's; names row and column.
    """
    told = from_json(body, spot=True)
    if not isinstance(told, dict) or len({SPLIT, RECORDS, INSTANCES, INPUTS} & set(told)) != 1:
        expected = f'an object with one of "{SPLIT}", "{RECORDS}", "{INSTANCES}" and "{INPUTS}"'
        raise InvalidInput("body", expected=expected, got=kind(told))
    if SPLIT in told:
        return _split(told[SPLIT], signature, nan_policy)
    if RECORDS in told:
        rows = told[RECORDS]
        if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
            raise InvalidInput(RECORDS, expected="a list of objects by column", got=kind(rows))
        return rows_given(rows, signature, RECORDS, nan_policy)
    return v1(told, signature, nan_policy)


def parse_csv(body: bytes, signature: Signature, nan_policy: str) -> Parsed:
    """Read CSV: a header that names the inputs, then a value of each in every line.

    A model of one input needs no header: a line holds that input's values of one row.

    Raises:
        InvalidInput: no such table, or a cell that is not the input's; names line and column.
    """
    try:
        lines = [line for line in csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True) if line]
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidInput("body", f"is not CSV in UTF-8: {error}") from None
    specs = {spec.name: spec for spec in signature.inputs}
    named = bool(lines) and set(lines[0]) == set(specs)
    if len(lines) <= named:
        raise InvalidInput("body", expected="at least one line of values", got="nothing")
    if not named and len(specs) > 1:
        expected = f"the names of the inputs: {','.join(specs)}"
        raise InvalidInput("body, line 1", expected=expected, got=",".join(lines[0])[:80])
    first = 2 if named else 1
    names = lines[0] if named else list(specs)
    if len(names) > len(specs):
        raise InvalidInput("body, line 1", "names a column twice", got=",".join(names)[:80])
    rows = lines[named:]
    if len(names) == 1:
        spec = signature.inputs[0]
        values = [[_cell(cell, spec) for cell in row] for row in rows]
        column: list[Any] = [row[0] if len(row) == 1 and math.prod(spec.shape[1:]) == 1 else row for row in values]
        return columns_given({spec.name: column}, signature, lambda row, _: f"body, row {row + first}", nan_policy)
    for place, row in enumerate(rows):
        if len(row) != len(names):
            raise InvalidInput(f"body, row {place + first}", expected=f"{len(names)} values", got=str(len(row)))
    columns = {name: [_cell(row[n], specs[name]) for row in rows] for n, name in enumerate(names)}
    return columns_given(columns, signature, lambda row, name: f'body, row {row + first} column "{name}"', nan_policy)


def write(answer: Answer, nan_policy: str) -> bytes:
    """The answer as JSON: one prediction for each row.

    Raises:
        InvalidInput: an output is NaN or infinite, and the policy is to refuse them.
    """
    return orjson.dumps({"predictions": rows_told(answer, nan_policy)})


def write_csv(answer: Answer, nan_policy: str) -> bytes:
    """The answer as CSV: a line for each row, below a header that names the outputs where there are several.

    Raises:
        InvalidInput: an output is NaN or infinite, and the policy is to refuse them.
    """
    widths = [(asked.spec.name, math.prod(array.shape[1:])) for asked, array in answer.outputs]
    columns = []
    for (asked, array), (_, width) in zip(answer.outputs, widths, strict=True):
        values = [_written(value) for value in listed(asked.spec.name, array, nan_policy)]
        columns.append([values[at : at + width] for at in range(0, len(values), max(1, width))])
    if len(set(map(len, columns))) > 1:
        raise InvalidInput("outputs", "do not have as many rows, each of them", hint="ask for JSON at /v2")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if len(columns) > 1:
        names = [[name] if width == 1 else [f"{name}_{n}" for n in range(width)] for name, width in widths]
        writer.writerow(chain.from_iterable(names))
    writer.writerows(chain.from_iterable(cells) for cells in zip(*columns, strict=True))
    return text.getvalue().encode()


def _split(said: Any, signature: Signature, nan_policy: str) -> Parsed:
    """Rows below the names of their columns; of a model of one input the columns may be that input's values."""
    columns, rows = (said.get("columns"), said.get("data")) if isinstance(said, dict) else (None, None)
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise InvalidInput(f"{SPLIT} columns", expected="a list of names", got=kind(columns))
    if len(set(columns)) < len(columns):
        raise InvalidInput(f"{SPLIT} columns", "names a column twice")
    if not isinstance(rows, list) or not rows:
        raise InvalidInput(f"{SPLIT} data", expected="a list of rows", got=kind(rows))
    for place, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            got = f"a list of {len(row)}" if isinstance(row, list) else kind(row)
            raise InvalidInput(f"{SPLIT} data[{place}]", expected=f"a list of {len(columns)} values", got=got)
    only = signature.inputs[0]
    if len(signature.inputs) == 1 and only.name not in columns and len(only.shape) == 2:
        return rows_given(rows, signature, f"{SPLIT} data", nan_policy)
    named = {name: [row[place] for row in rows] for place, name in enumerate(columns)}
    return columns_given(named, signature, lambda row, name: f'{SPLIT} data[{row}] "{name}"', nan_policy)


def _cell(cell: str, spec: TensorSpec) -> Any:
    """What a cell says, by the input's datatype; a cell that says none of it as text, to be refused with its place."""
    if spec.datatype == "BYTES":
        return cell
    text = cell.strip()
    if not text:
        return None
    if spec.datatype == "BOOL":
        return _TRUTH.get(text.lower(), text)
    if spec.datatype in FLOATS:
        value = float(text) if _NUMBER.fullmatch(text) else math.inf
        return value if math.isfinite(value) else text
    return int(text) if _WHOLE.fullmatch(text) else text


def _written(value: Any) -> Any:
    """A value as a cell."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value
