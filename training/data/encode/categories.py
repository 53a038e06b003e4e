"""Categories: a column of few values becomes a column for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import torch
from torch import nn

from staytrue.signature import TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.preparation import Feature


class CategoryState(msgspec.Struct, frozen=True, kw_only=True, tag="category", tag_field="kind"):
    """What is known of a category column: the values seen in training, with their frequencies."""

    name: str
    datatype: Literal["INT64", "BYTES"]
    unit: str
    values: list[str]
    frequencies: list[float]

    def spec(self) -> TensorSpec:
        """What callers send."""
        shape = [-1, 1]
        return TensorSpec(name=self.name, datatype=self.datatype, shape=shape, categories=self.values, unit=self.unit)

    def module(self) -> CategoryColumn:
        """What encodes it."""
        return CategoryColumn(self)

    def tensor(self, column: NDArray[Any]) -> Tensor:
        """A raw column as the module takes it: texts become codes. Shapes: [N] → [N,1]."""
        if self.datatype == "BYTES":
            codes = {value: code for code, value in enumerate(self.values, 1)}
            column = np.array([codes.get(str(value), 0) for value in column], dtype=np.int64)
        return torch.from_numpy(np.ascontiguousarray(column, dtype=np.int64).reshape(-1, 1))


def learn_categories(name: str, present: NDArray[Any], feature: Feature) -> CategoryState:
    """The state of a category column from its values that are there."""
    values, counts = np.unique(present, return_counts=True)
    return CategoryState(
        name=name,
        datatype="INT64" if feature.sent_as == "INT64" else "BYTES",
        unit=feature.unit,
        values=[str(value) for value in values],
        frequencies=(counts / counts.sum()).tolist(),
    )


class CategoryColumn(nn.Module):
    """One column for each known value; an unknown value is spread over them as they were in training.

    So an unknown category predicts close to the average over the known ones, instead of what an untrained weight says.
    Shapes: codes or integers [N,1] → [N,K]. BYTES arrive as codes: 1 + position in ``values``, 0 for anything else.
    """

    values: Tensor
    frequencies: Tensor

    def __init__(self, state: CategoryState) -> None:
        super().__init__()
        known = [int(v) for v in state.values] if state.datatype == "INT64" else range(1, len(state.values) + 1)
        self.register_buffer("values", torch.tensor([list(known)], dtype=torch.int64), persistent=False)
        self.register_buffer("frequencies", torch.tensor([state.frequencies], dtype=torch.float32), persistent=False)
        self.width = len(state.values)

    def forward(self, codes: Tensor) -> Tensor:
        """Which value it is, as zeros and a one."""
        hits = (codes == self.values).to(torch.float32)  # [N,1] against [1,K]
        return hits + (1.0 - hits.sum(dim=1, keepdim=True)) * self.frequencies
