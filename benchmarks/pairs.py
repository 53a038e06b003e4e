"""Two servers that differ in little: what lies between them is less than what the machine does to one window.

Short windows take turns, each pair in the other's order (A B, B A), and the ratio of each pair is taken by itself, so
that a machine that becomes slower for a while does so for both; then the median.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.loads import Load
    from benchmarks.servers import Client, Server
    from benchmarks.windows import Patience


def alternate(
    who: tuple[Client, Patience], two: tuple[Server, Server], load: Load, seconds: float, pairs: int
) -> float | str:
    """Requests a second of one to those of the other, in windows of so many seconds; or what went wrong."""
    client, patience = who
    one, other = two
    ratios = []
    for pair in range(pairs):
        order = [other, one] if pair % 2 else [one, other]
        taken = {server.name: patience.take(client, server, load, seconds).figures for server in order}
        for name, figures in taken.items():
            if figures.error or not figures.rate:
                return f"{name}: {figures.error or 'no answer'}"
        ratios.append(taken[one.name].rate / taken[other.name].rate)
    return statistics.median(ratios)
