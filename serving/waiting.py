"""Who stands before a version, in order of arrival: so many rows and bytes, taken out as batches that may be merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving.tickets import Ticket


class Waiting:
    """Tickets that wait. Whoever uses it holds a lock; what ``rows`` and ``bytes`` say may be read without.

    Args:
        alike: whether any two may be merged; otherwise those of the same ``Ticket.key``.
    """

    def __init__(self, *, alike: bool) -> None:
        self._tickets: dict[Ticket, None] = {}
        self._alike = alike
        self.rows = self.bytes = 0

    def __len__(self) -> int:
        return len(self._tickets)

    def __iter__(self) -> Iterator[Ticket]:
        return iter(self._tickets)

    def add(self, ticket: Ticket) -> None:
        """Stand behind all others."""
        self._tickets[ticket] = None
        self.rows += ticket.rows
        self.bytes += ticket.size

    def remove(self, ticket: Ticket) -> None:
        """Leave; nothing where it does not wait."""
        if ticket in self._tickets:
            del self._tickets[ticket]
            self.rows -= ticket.rows
            self.bytes -= ticket.size

    def take(self, most: int) -> list[Ticket]:
        """The first, and those behind it that can be merged with it to ``most`` rows."""
        if self._alike and self.rows <= most:  # all of them, as it is most times
            batch = list(self._tickets)
            self._tickets.clear()
            self.rows = self.bytes = 0
            return batch
        batch, rows = [], 0
        for ticket in self._tickets:
            if batch and (rows + ticket.rows > most or ticket.key != batch[0].key):
                break
            rows += ticket.rows
            batch.append(ticket)
        for ticket in batch:
            self.remove(ticket)
        return batch
