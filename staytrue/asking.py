"""Asking: one request that a signature accepts, to warm up by, to try it with, and as people type it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import msgspec
import numpy as np

from staytrue.bodies import SIZE
from staytrue.raw import WIDTHS
from staytrue.signature import NUMPY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.signature import Signature, TensorSpec

HEADER = "Inference-Header-Content-Length"
"""Of REST: says how many bytes of a body, of the request or of the answer, are JSON."""
ADDRESS = "http://127.0.0.1:8080"
"""Where a server answers as it comes."""
MOST_VALUES = 4096
"""A request with more is told as bytes: a picture's numbers are nothing to read, and no shell takes so long a line."""
_LENGTH_BYTES = 4
"""Before each text in bytes; four zeros are an empty text."""


class Zeros(NamedTuple):
    """A request with its tensors as zero bytes behind its JSON."""

    head: str
    bytes: int


def example(signature: Signature, rows: int = 1) -> dict[str, NDArray[Any]]:
    """Rows of zeros, or of what is nearest to zero within the range, or of the first category.

    Shapes: ``rows`` along a first axis that is free and counts rows, what is typical or 1 along the other free ones.
    """
    values: dict[str, NDArray[Any]] = {}
    for spec in signature.inputs:
        shape = list(spec.one_row())
        if spec.shape[:1] == [-1] and signature.rows != "none":
            shape[0] = rows
        values[spec.name] = np.full(shape, _filling(spec), dtype=NUMPY[spec.datatype])
    return values


def example_of(signature: Signature) -> dict[str, Any] | Zeros:
    """A request in the JSON of the Open Inference Protocol that the signature accepts, of one row."""
    arrays = example(signature)
    inputs: list[dict[str, Any]] = []
    count = 0
    large = sum(array.size for array in arrays.values()) > MOST_VALUES
    for spec in signature.inputs:
        array = arrays[spec.name]
        told: dict[str, Any] = {"name": spec.name, "datatype": spec.datatype, "shape": list(array.shape)}
        if large:
            size = array.size * WIDTHS.get(spec.datatype, _LENGTH_BYTES)
            inputs.append(told | {"parameters": {SIZE: size}})
            count += size
        else:
            inputs.append(told | {"data": array.ravel().tolist()})
    return Zeros(_json({"inputs": inputs}), count) if large else {"inputs": inputs}


def command(name: str, signature: Signature, address: str = ADDRESS) -> str:
    """The same request as a line of a shell, by curl; bytes are those of a file of zeros, to be put in its place."""
    asked, url = example_of(signature), shlex.quote(f"{address}/v2/models/{quote(name, safe='')}/infer")
    if not isinstance(asked, Zeros):
        body = '{"inputs": [\n  ' + ",\n  ".join(map(_json, asked["inputs"])) + "]}"
        return f"curl -s {url} -d {shlex.quote(body)}"
    return (
        f"{{ printf %s {shlex.quote(asked.head)}; head -c {asked.bytes} /dev/zero; }} |\n"
        f"  curl -s {url} --data-binary @- \\\n"
        f"  -H 'Content-Type: application/octet-stream' -H '{HEADER}: {len(asked.head.encode())}'"
    )


def _filling(spec: TensorSpec) -> Any:
    """The value of all elements."""
    if spec.categories:
        return spec.known()[0]
    if spec.datatype == "BYTES":
        return ""
    return min(max(0, spec.range[0]), spec.range[1]) if spec.range else 0


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
