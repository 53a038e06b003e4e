"""How many rows the statistics of batch norms are taken from at once, where few may be predicted at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from training.batches import Taken
from training.fit import _take_statistics

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Rows:
    """Rows sorted by what they hold, of which one may be predicted at once."""

    chunk = 1

    def __init__(self, count: int) -> None:
        self.matrix = torch.arange(float(count)).unsqueeze(1)

    def __len__(self) -> int:
        return len(self.matrix)

    def stream(self, parts: Iterable[torch.Tensor], *_: object) -> Iterator[Taken]:
        """As they are."""
        return (Taken(self.matrix[part], []) for part in parts)


class Here:
    """The one device."""

    def moved(self, rows: Taken) -> Taken:
        """Nowhere."""
        return rows


@pytest.mark.parametrize("count", [2, 3, 9, 64])
def test_there_is_a_variance_and_it_is_that_of_all_rows(count: int) -> None:
    module, rows, here = nn.BatchNorm1d(1), Rows(count), Here()
    given: Any = (module, rows, here, 8)
    _take_statistics(*given)
    mean, variance = module.running_mean, module.running_var
    assert mean is not None
    assert variance is not None
    assert mean.item() == pytest.approx((count - 1) / 2, abs=0.5)
    assert variance.item() == pytest.approx(rows.matrix.var().item(), rel=0.35)
