"""What a model takes and gives: named tensors with an Open Inference Protocol datatype and a shape."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from staytrue.errors import InvalidInput
from staytrue.records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Datatype = Literal[
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "BF16",
    "FP32",
    "FP64",
    "BYTES",
]
"""Datatypes of the Open Inference Protocol that a signature may name."""

NUMPY: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "BF16": np.dtype(np.float32),  # before FP32, which is what a float32 is called where nothing else is said
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(object),
}
"""The numpy type that holds each datatype. BYTES elements are ``str``.

numpy knows no bfloat16: BF16 is held as those float32 whose lower 16 bits are zero.
"""
LITTLE_ENDIAN = {datatype: kind.newbyteorder("<") for datatype, kind in NUMPY.items()}
"""The same as they are written to files and wires, on any machine."""

MISSING_INTEGER = int(np.iinfo(np.int64).min)
"""How a caller, or a file, says that a whole number is missing: INT64 has no NaN."""
MISSING_TEXT = ""
"""How a caller says that a text is missing."""
MOST_AXES = 8
LARGEST_EMPTY = 2**31
"""An axis of 0 makes any other size fit no data at all, also one that no array can have."""


class TensorSpec(Record, frozen=True, kw_only=True):
    """One input or output: its name, datatype and shape, where -1 stands for any size."""

    name: str
    datatype: Datatype
    shape: list[int]
    categories: list[str] = msgspec.field(default_factory=list)
    """What a categorical input was trained on; anything else is served as "unknown"."""
    unit: str = ""
    tokenizer: str = ""
    """Of a text that becomes token ids in front of the artefact: the file beside it that says how."""
    tokens: int = 0
    """How many: the artefact itself takes INT64 [N, tokens]."""
    description: str = ""
    range: list[float] = msgspec.field(default_factory=list)
    """Lowest and highest value that it was made for; empty where that is not told."""
    typical: list[int] = msgspec.field(default_factory=list)
    """A shape of one row that the model is known to take, where 1 along each free axis need not do; empty: it does."""
    state: str = ""
    """Of an input that carries a model's state: the output that a caller sends back as it with the next request."""

    def label(self) -> str:
        """Datatype and shape as error messages show them: ``FP32 [-1,28,28]``."""
        return f"{self.datatype} {_bracket(self.shape)}"

    def check(self, array: NDArray[Any], datatype: str, side: str = "input") -> None:
        """Refuse a tensor that is not what this spec names.

        Raises:
            InvalidInput: another datatype, rank or size; says both sides.
        """
        shape = array.shape
        fits = datatype == self.datatype and len(shape) == len(self.shape)
        if fits:
            for want, size in zip(self.shape, shape, strict=True):
                if want not in (-1, size):
                    fits = False
        if not fits:
            got = f"{datatype} {_bracket(array.shape)}"
            raise InvalidInput(f'{side} "{self.name}"', expected=self.label(), got=got)

    def known(self) -> list[Any]:
        """The categories as callers send them: texts, or the numbers that they name."""
        return [*self.categories] if self.datatype == "BYTES" else [int(text) for text in self.categories]

    def one_row(self) -> list[int]:
        """A shape of one row: the typical one, or 1 along each free axis."""
        return self.typical or [1 if size < 0 else size for size in self.shape]


RowsName = Literal["independent", "dependent", "none"]
"""What the first axis of tensors counts, where it is of any size."""


class Signature(Record, frozen=True, kw_only=True):
    """The inputs and outputs of a model, in the order of its artefacts."""

    inputs: list[TensorSpec]
    outputs: list[TensorSpec]
    rows: RowsName = "independent"
    """``independent``: rows, each answered for itself, so that those of several requests may run together;
    ``dependent``: rows, whose answers may hang on those beside them; ``none``: no rows, a request is one of its own."""

    @property
    def merges(self) -> bool:
        """Whether requests may be run together: all tensors begin with an axis of independent rows."""
        return self.rows == "independent" and all(spec.shape[:1] == [-1] for spec in [*self.inputs, *self.outputs])

    @property
    def counts_rows(self) -> bool:
        """Whether an input begins with an axis of any size."""
        return any(spec.shape[:1] == [-1] for spec in self.inputs)

    def row_axis(self, spec: TensorSpec) -> int | None:
        """The axis of an input that counts rows, or None: then all rows of a request share the tensor.

        A first axis of any size does. Beside such an input a state counts them further inside, by its first free axis,
        and so does another input that has one free axis alone.
        """
        if self.rows == "none" or not self.counts_rows:
            return None
        free = [place for place, size in enumerate(spec.shape) if size < 0]
        if free and (free[0] == 0 or spec.state or len(free) == 1):
            return free[0]
        return None

    def free_axes(self) -> list[tuple[str, int]]:
        """Inputs with each axis of any size that counts no rows; not of texts with a tokenizer, whose size it fixes."""
        return [
            (spec.name, axis)
            for spec in self.inputs
            for axis, size in enumerate(spec.shape)
            if size < 0 and axis != self.row_axis(spec) and not spec.tokenizer
        ]

    def rows_in(self, arrays: Mapping[str, NDArray[Any]]) -> int:
        """Rows of a request that it has accepted."""
        if self.rows == "none" or not self.inputs:
            return 1
        counted = next((spec for spec in self.inputs if spec.shape[:1] == [-1]), self.inputs[0])
        return rows_of([arrays[counted.name]])

    def input(self, name: str) -> TensorSpec | None:
        """The input of that name, or None."""
        for spec in self.inputs:
            if spec.name == name:
                return spec
        return None


def check_shape(shape: Sequence[int], where: str) -> None:
    """Refuse a shape that no tensor of a request can have; ``where`` opens the message.

    Raises:
        InvalidInput: a negative size, too many axes, or a huge one beside an empty one.
    """
    if not shape:
        return
    if min(shape) < 0:
        raise InvalidInput(f"{where} shape", expected="whole numbers, none negative", got=_bracket(shape)[:80])
    if len(shape) > MOST_AXES or (0 in shape and math.prod(filter(None, shape)) > LARGEST_EMPTY):
        expected = f"at most {MOST_AXES} axes, none huge beside an empty one"
        raise InvalidInput(f"{where} shape", expected=expected, got=f"{len(shape)} axes up to {max(shape)}")


def rows_of(arrays: Sequence[NDArray[Any]]) -> int:
    """Rows of a request: the size of the first axis, 1 where a tensor has none, 0 without tensors."""
    if not arrays:
        return 0
    return int(arrays[0].shape[0]) if arrays[0].ndim else 1


def _bracket(shape: Sequence[int]) -> str:
    return "[" + ",".join(str(size) for size in shape) + "]"
