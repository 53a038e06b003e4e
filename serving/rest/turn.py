"""Brief requests over HTTP that came in one turn of the event loop: gathered, and answered together at its end."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from serving.calls import ID_LENGTH
from serving.http.exchange import JSON
from serving.http.express import Answered
from serving.rest import bodies as packing

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.dataplane import Dataplane
    from serving.http.exchange import Exchange
    from serving.rest.codec import Sent
    from serving.rest.server import Prepared
    from serving.turns import Ran

    Waiting = tuple[Exchange, Prepared, bytes]
    """A request, what it asks for, and its body: the exchange lets go of that where its caller hangs up."""

log = logging.getLogger(__name__)
ENOUGH = 32
"""Requests beyond which a turn of more would hardly cost less for each."""
PATIENCE_SECONDS = 0.001
"""For which the first of a turn waits at most for others."""


class Turn:
    """What has come in this turn.

    Args:
        dataplane: that answers.
        most: requests that may be in the house.
        submit: takes what has to take the usual way.
        send: takes an answer, and the id of its event.
        refuse: tells of an answer that could not be sent.
    """

    def __init__(
        self,
        dataplane: Dataplane,
        most: int,
        submit: Callable[[Exchange, Prepared, bytes], None],
        send: Callable[[Exchange, Prepared, bytes, Sent], None],
        refuse: Callable[[Exchange, Exception], None],
    ) -> None:
        self._dataplane, self._most, self._submit, self._send = dataplane, most, submit, send
        self._refuse = refuse
        self._waiting: list[Waiting] = []
        self._room = 0
        """How many it may be; of none yet, nothing is known."""
        self._seen = 0
        """How many there were when somebody last asked."""
        self._until = 0.0
        """By ``time.monotonic``: when no more of them are waited for."""
        self._began = 0.0
        """When the first of them came, Unix seconds."""

    def take(self, exchange: Exchange, prepared: Prepared, body: bytes) -> None:
        """One more, to be answered by :meth:`answer`; those before it at once, where the house has no room for more."""
        if len(self._waiting) >= self._room and not self._begin():  # who refuses it is on the usual way
            self._submit(exchange, prepared, body)
            return
        self._waiting.append((exchange, prepared, body))

    def _begin(self) -> bool:
        """Make room for the first of this turn, or for more than there was for; whether there is any."""
        if self._waiting:
            self.answer()
        if not self._waiting:  # an answer may have brought the next request of its connection
            self._began, self._until = self._dataplane.clock(), time.monotonic() + PATIENCE_SECONDS
        self._room = self._most - self._dataplane.in_flight
        return len(self._waiting) < self._room

    def grows(self) -> bool:
        """Whether more have come since this was asked last, so that yet more may: not of one alone, nor of enough.

        What a turn costs beside its requests, they share; one more look for what has come meanwhile costs less.
        """
        before, self._seen = self._seen, len(self._waiting)
        return max(1, before) < self._seen < ENOUGH and time.monotonic() < self._until

    def answer(self) -> None:
        """Answer those of a model and form together."""
        waiting, self._waiting, self._room, self._seen = self._waiting, [], 0, 0
        groups: dict[tuple[str, Any], list[Waiting]] = {}
        group: list[Waiting] = []
        last: Prepared | None = None
        for one in waiting:
            exchange, prepared, _ = one
            if exchange.cancelled:
                self._submit(*one)
                continue
            if prepared is not last:  # most ask for the same as their neighbours
                request, last = prepared.request, prepared
                group = groups.setdefault((request.model, request.form), [])
            group.append(one)
        for group in groups.values():
            self._answer(group)

    def at_once(self, prepared: Prepared, bodies: list[bytes]) -> list[Answered]:
        """Answer requests that share all but their bodies; see :data:`serving.http.express.Brief`."""
        some = bodies[: max(0, self._most - self._dataplane.in_flight)]
        told: list[Ran] = []
        if some:
            began = self._dataplane.clock()
            try:
                self._dataplane.turns.answer([prepared.request] * len(some), some, began, told)
            except Exception:
                log.exception("requests could not be answered at once")
        return [Answered(ran.places, ran.names, ran.answers, prepared.carried) for ran in told]

    def _answer(self, group: list[Waiting]) -> None:
        told: list[Ran] = []
        requests, bodies = [prepared.request for _, prepared, _ in group], [body for _, _, body in group]
        try:
            self._dataplane.turns.answer(requests, bodies, self._began, told)
        except Exception:
            log.exception("requests could not be answered at once")
        taken: set[int] = set()
        for ran in told:
            taken.update(ran.places)
            for at, (place, answer) in enumerate(zip(ran.places, ran.answers.texts(), strict=True)):
                self._tell(group[place], ran.names[at * ID_LENGTH : (at + 1) * ID_LENGTH], answer)
        if len(taken) < len(group):
            for place, one in enumerate(group):
                if place not in taken:
                    self._submit(*one)

    def _tell(self, one: Waiting, name: bytes, answer: bytes) -> None:
        exchange, prepared, _ = one
        head = exchange.head
        if head is not None:
            # What is compressed is sent by itself, and so is the answer to a head that is not the same in all of them.
            # Callers who each have a head of their own by which they are known would each be run by themselves there.
            own = head.sealed or head.own or prepared.carried or prepared.request.sticky
            head.brief = not (own or (prepared.coding and packing.worth_packing(answer, JSON)))
        try:
            self._send(exchange, prepared, name, (answer, JSON, b""))
        except Exception as error:  # noqa: BLE001 - told by refuse; the others get theirs
            self._refuse(exchange, error)
