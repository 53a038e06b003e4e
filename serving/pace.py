"""How long a version's runs take: by it a run counts as brief, or as stalled."""

from __future__ import annotations

import math

SLOWER = 8.0
"""A run counts as stalled once it takes so many times longer, by row, than the slowest that ended well of late."""
FADING = 0.99
"""What is left of the slowest run's weight after each later one."""
BRIEF_SECONDS = 0.0005
"""Runs that usually take no longer may be made by whoever brings the requests."""
SETTLING_SECONDS = 0.005
"""So long it may usually take beside, to write the answers and their events."""


class Pace:
    """Learns from runs that ended well: one that failed, or was given up, tells nothing of others."""

    __slots__ = ("_settling", "_slowest_row", "_usual")

    def __init__(self) -> None:
        self._slowest_row, self._usual, self._settling = 0.0, math.inf, 0.0

    def ran(self, seconds: float, rows: int) -> None:
        """A run ended well."""
        usual = self._usual
        self._usual = seconds if usual == math.inf else usual + 0.1 * (min(seconds, 4.0 * usual) - usual)
        self._slowest_row = max(FADING * self._slowest_row, seconds / max(rows, 1))

    def settled(self, seconds: float) -> None:
        """Its answers were written and told."""
        self._settling += 0.1 * (seconds - self._settling)

    @property
    def brief(self) -> bool:
        """Whether a run and all that follows it hold up nobody for long."""
        return self._usual <= BRIEF_SECONDS and self._settling <= SETTLING_SECONDS

    def patience(self, rows: int, least: float) -> float:
        """Seconds after which a run of so many rows counts as stalled, and no fewer than ``least``."""
        return max(least, SLOWER * self._slowest_row * rows)
