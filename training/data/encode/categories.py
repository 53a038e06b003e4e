"""Categories: a column of few values becomes columns of zeros and a one, a place in an order, or learnt numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import torch
from torch import nn

from staytrue.errors import InvalidInput
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT, TensorSpec
from training.data.distinct import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.feature import Feature


class CategoryState(msgspec.Struct, frozen=True, kw_only=True, tag="category", tag_field="kind"):
    """What is known of a category column: the values seen in training, with their frequencies.

    ``fill`` is the value that takes a missing one's place; without it a missing value is an unknown one.
    """

    name: str
    datatype: Literal["INT64", "BYTES"]
    unit: str
    values: list[str]
    frequencies: list[float]
    encoding: Literal["one_hot", "ordinal", "embedding"] = "one_hot"
    unknown: Literal["average", "bucket"] = "average"
    width: int = 8
    """Of an embedding: numbers that a value becomes."""
    fill: str = ""

    @property
    def sent(self) -> list[str]:
        """Values that have a code: of texts also the missing one, where it is filled and must not pass for unknown."""
        return [*self.values, MISSING_TEXT] if self.fill and self.datatype == "BYTES" else self.values

    def spec(self) -> TensorSpec:
        """What callers send."""
        shape = [-1, 1]
        return TensorSpec(name=self.name, datatype=self.datatype, shape=shape, categories=self.sent, unit=self.unit)

    def module(self) -> CategoryColumn:
        """What encodes it."""
        return CategoryColumn(self)

    def tensor(self, column: NDArray[Any]) -> Tensor:
        """A raw column as the module takes it: texts become codes. Shapes: [N] → [N,1]."""
        if self.datatype == "BYTES":
            codes = {value: code for code, value in enumerate(self.sent, 1)}
            column = np.array([codes.get(str(value), 0) for value in column], dtype=np.int64)
        return torch.from_numpy(np.ascontiguousarray(column, dtype=np.int64).reshape(-1, 1))


def learn_categories(name: str, present: NDArray[Any], feature: Feature) -> CategoryState:
    """The state of a category column from its values that are there.

    Raises:
        InvalidInput: a value that the given order lacks, or none that is not rare.
    """
    found, amounts = counted(present)
    counts = {str(value): int(amount) for value, amount in zip(found, amounts, strict=True)}
    if feature.order:
        strange = sorted(counts.keys() - set(feature.order))
        if strange:
            hint = f"add them to data.features.{name}.order"
            got = ", ".join(strange)[:200]
            raise InvalidInput(f'column "{name}"', expected="values of its order alone", got=got, hint=hint)
        counts = {value: counts.get(value, 0) for value in feature.order}
    else:
        most = max(counts.values())
        counts = {value: count for value, count in counts.items() if count >= feature.rare_below}
        if not counts:
            expected = f"a value in {feature.rare_below} training rows"
            hint = f"lower data.features.{name}.rare_below"
            raise InvalidInput(f'column "{name}"', expected=expected, got=f"at most {most}", hint=hint)
    total = sum(counts.values())
    return CategoryState(
        name=name,
        datatype="INT64" if feature.sent_as == "INT64" else "BYTES",
        unit=feature.unit,
        values=list(counts),
        frequencies=[count / total for count in counts.values()],
        encoding=feature.encoding,
        unknown=feature.unknown,
        width=feature.width,
    )


class CategoryColumn(nn.Module):
    """By default one column for each known value; an unknown value is spread over them as they were in training.

    So an unknown category predicts close to the average over the known ones, instead of what an untrained weight says.
    With a bucket it has a column of its own, the last.

    An order becomes one number: place / K, the average of all for an unknown value, or 0. An embedding's place (0 for
    an unknown value) leaves as it is: its numbers are weights, which the model looks up.

    Shapes: codes or integers [N,1] → [N,K], [N,K+1] or [N,1]. BYTES arrive as codes: 1 + position in ``values``, 0 for
    anything else.
    """

    values: Tensor
    frequencies: Tensor
    levels: Tensor

    def __init__(self, state: CategoryState) -> None:
        super().__init__()
        count = len(state.values)
        known = [int(v) for v in state.values] if state.datatype == "INT64" else range(1, count + 1)
        levels = torch.arange(1, count + 1, dtype=torch.float32).reshape(1, -1)
        self.register_buffer("values", torch.tensor([list(known)], dtype=torch.int64), persistent=False)
        self.register_buffer("frequencies", torch.tensor([state.frequencies], dtype=torch.float32), persistent=False)
        self.register_buffer("levels", levels, persistent=False)
        self.missing = MISSING_INTEGER if state.datatype == "INT64" else len(state.sent)
        self.fill = list(known)[state.values.index(state.fill)] if state.fill else None
        self.encoding, self.bucket = state.encoding, state.unknown == "bucket"
        self.width = 1 if state.encoding != "one_hot" else count + self.bucket

    def forward(self, codes: Tensor) -> Tensor:
        """Which value it is."""
        if self.fill is not None:
            codes = torch.where(codes == self.missing, torch.full_like(codes, self.fill), codes)
        hits = (codes == self.values).to(torch.float32)  # [N,1] against [1,K]
        if self.encoding == "embedding":
            return (hits * self.levels).sum(dim=1, keepdim=True)
        unknown = 1.0 - hits.sum(dim=1, keepdim=True)
        if self.encoding == "one_hot" and self.bucket:
            return torch.cat([hits, unknown], dim=1)
        if not self.bucket:
            hits = hits + unknown * self.frequencies
        if self.encoding == "one_hot":
            return hits
        return (hits * (self.levels / self.values.shape[1])).sum(dim=1, keepdim=True)
