"""Bytes of requests that all ports of a process hold together, and how many may be."""

from __future__ import annotations

from typing import Protocol


class Port(Protocol):
    """Counts what it holds itself, in one thread or under a lock of its own, so that no port waits for another."""

    held: int


class Inflight:
    """The bound for all ports.

    Args:
        most: bytes that may be held.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._ports: list[Port] = []

    def join(self, port: Port) -> None:
        """Count this port too."""
        self._ports.append(port)

    def total(self) -> int:
        """Bytes held now."""
        return sum([port.held for port in self._ports])

    def full(self, more: int = 0) -> bool:
        """Whether so many more would be too many."""
        held = more  # every request asks: a call of total() would cost each of them
        for port in self._ports:
            held += port.held
        return held > self.most
