"""Shares: how well a share is known that was counted."""

from __future__ import annotations

import math

_NORMAL = 1.959963984540054
"""Half the width of a 95% interval, in standard errors."""


def wilson(hits: float, count: int) -> tuple[float, float]:
    """The 95% interval of a share, within 0 and 1.

    Source: Wilson, 1927, "Probable inference, the law of succession, and statistical inference".

    >>> tuple(round(end, 4) for end in wilson(5, 10))
    (0.2366, 0.7634)
    """
    share, square = hits / count, _NORMAL**2
    middle = share + square / (2 * count)
    spread = _NORMAL * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    low, high = ((middle + way * spread) / (1 + square / count) for way in (-1, 1))
    return max(low, 0.0), min(high, 1.0)  # of which no more than a rounding is taken
