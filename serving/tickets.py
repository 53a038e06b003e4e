"""What stands in a lane: a request's tensors; and the bounds of lanes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from staytrue.server import ServingSection

QUEUED, RUNNING, DONE = range(3)
TEXT_BYTES = 49
"""Python's own, of each text."""


class Ticket:
    """One request's tensors in a queue, and then its outputs or the error.

    Args:
        arrays: inputs by name, as the signature has accepted them.
        rows: of the request.
        deadline: by ``time.monotonic``; it does not run any more then. Infinite for none.
    """

    # What most tickets never change stands in the class: setting it in each would cost every request.
    state: int = QUEUED
    key: tuple[Any, ...] = ()
    """Only those with the same can be merged."""
    outputs: dict[str, NDArray[Any]] | None = None
    error: Exception | None = None
    rows: int = 0
    queued: float = 0.0
    began: float = 0.0
    ended: float = 0.0
    """By ``time.monotonic``; 0 for what did not come to pass."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], rows: int, deadline: float = float("inf")) -> None:
        self.fill(arrays, rows, deadline)

    def fill(self, arrays: Mapping[str, NDArray[Any]], rows: int, deadline: float) -> None:
        """Take the tensors."""
        self.arrays, self.rows, self.deadline = arrays, rows, deadline
        size = 0
        for array in arrays.values():
            size += array.nbytes
            if array.dtype.hasobject:  # numpy counts the pointers
                size += sum([len(text) for text in array.flat]) + TEXT_BYTES * array.size
        self.size = size


@dataclass(frozen=True)
class Limits:
    """How a lane queues and merges."""

    batch_rows: int = 64
    """Most rows of a merged run; 1: nothing is merged."""
    delay_seconds: float = 0.0
    """How long a request may wait for company, from its arrival, while another run of the model is under way."""
    queue_rows: int = 4096
    queue_bytes: int = 256 * 1024**2
    instances: int = 1
    """Runs of the model at once."""
    stall_seconds: float = 1.5
    """A run that takes longer makes the model not ready, if it also is far slower than any before."""
    here: bool = False
    """Whether brief models may run in the thread that brings requests."""


@dataclass
class Counts:
    """What a lane has done since it was made; changed under its lock."""

    runs: int = 0
    rows: int = 0


def limits_of(settings: ServingSection) -> Limits:
    """How lanes queue and merge, by the settings."""
    remote = settings.runtime == "torchserve"
    return Limits(
        batch_rows=settings.max_batch_rows,
        delay_seconds=settings.batch_delay_seconds,
        queue_rows=settings.queue_rows,
        queue_bytes=settings.queue_bytes,
        # Beside TorchServe a thread only waits for a socket: one for each request, or a model that is stuck stops all.
        instances=settings.max_concurrency if remote else settings.instances,
        stall_seconds=settings.torchserve.timeout_seconds + settings.stall_seconds
        if remote
        else settings.stall_seconds,
        here=not remote and settings.durability == "durable",
    )


def merged(group: list[Ticket]) -> Mapping[str, NDArray[Any]]:
    """Inputs of several requests as those of one."""
    if len(group) == 1:
        return group[0].arrays
    return {name: np.concatenate([ticket.arrays[name] for ticket in group]) for name in group[0].arrays}


def rows_of(tickets: list[Ticket]) -> int:
    """Rows of all together."""
    return sum([ticket.rows for ticket in tickets])


def split(group: list[Ticket], outputs: dict[str, NDArray[Any]]) -> bool:
    """Give each its own rows of a run over :func:`merged` inputs; False where there is not one for each."""
    if len(group) == 1:
        group[0].outputs = outputs
        return True
    rows = rows_of(group)
    if any(array.shape[:1] != (rows,) for array in outputs.values()):
        return False
    at = 0
    for ticket in group:
        ticket.outputs = {name: array[at : at + ticket.rows] for name, array in outputs.items()}
        at += ticket.rows
    return True


def expired(ticket: Ticket) -> DeadlineExceeded:
    """What is told of a ticket past its deadline."""
    allowed = f"an answer within {max(0.0, ticket.deadline - ticket.queued):.3g} s"
    return DeadlineExceeded("request", expected=allowed, got="none yet: it was dropped")
