"""History: which epoch is the best."""

from __future__ import annotations

import pytest
from torch import nn

from training.history import History


@pytest.mark.parametrize(
    ("errors", "best"),
    [([1.0, 0.99995, 0.9], 3), ([-10.0, -9.9995, -10.0005], 1), ([-10.0, -10.1], 2), ([0.0, 0.0], 1), ([0.1, -0.1], 2)],
)
def test_an_epoch_is_better_by_a_share_of_the_best_also_below_zero(errors: list[float], best: int) -> None:
    """Log densities may lie on either side."""
    history = History("validation_nll")
    for error in errors:
        history.add(1.0, error, 0.1, 1.0, nn.Linear(1, 1))
    assert history.best_epoch == best
    again = History("validation_nll")
    again.restore(*history.state())
    assert again.best_epoch == best
