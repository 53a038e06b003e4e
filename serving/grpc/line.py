"""Whose messages gRPC receives: few at once, as it keeps what came of each before we see any of it.

Of a call that stands in line gRPC takes the first 64 KB, HTTP/2's window, and no more before it is asked for the rest.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from staytrue.errors import Overloaded

if TYPE_CHECKING:
    from serving.grpc.arrivals import Arrival

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.1


class Line:
    """Calls that are served in their order.

    Args:
        most: messages that are received at once.
        seconds: who takes longer ends where others wait.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._turn = threading.Lock()  # never held where a call's own lock is taken
        self._served: dict[Arrival, float] = {}
        self._line: dict[Arrival, None] = {}
        self._looking = False

    def __len__(self) -> int:
        return len(self._line)

    def enter(self, call: Arrival) -> bool:
        """Whether its message may be received at once; if not, it is begun later."""
        with self._turn:
            if len(self._served) < self._most and not self._line:
                self._served[call] = time.monotonic()
                return True
            self._line[call] = None
            looking, self._looking = self._looking, True
        if not looking:
            self._look_on()
        return False

    def leave(self, call: Arrival) -> None:
        """Its message has come, or it has ended; others may follow."""
        with self._turn:
            self._served.pop(call, None)
            self._line.pop(call, None)
        if self._line:
            self._follow()

    def _follow(self) -> None:
        while True:
            with self._turn:
                if not self._line or len(self._served) >= self._most:
                    return
                call = next(iter(self._line))
                del self._line[call]
                self._served[call] = time.monotonic()
            if not call.begin():
                with self._turn:
                    self._served.pop(call, None)

    def _look_on(self) -> None:
        try:
            threading.Thread(target=self._look, name="grpc-line", daemon=True).start()
        except RuntimeError:  # there are no threads: the next in line tries again
            self._looking = False

    def _look(self) -> None:
        """While there is a line, end those that hold it up."""
        many = f"{self._most} messages are received, the limit, and others wait"
        while True:
            time.sleep(LOOK_SECONDS)
            with self._turn:
                if not self._line:
                    self._looking = False
                    return
                since = time.monotonic() - self._seconds
                late = [call for call, began in self._served.items() if began <= since][: len(self._line)]
            try:
                for call in late:
                    call.give_up(Overloaded("server", many, hint="send faster, or try again"))
                self._follow()
            except Exception:  # of one call; the line goes on
                log.exception("a call that holds up the line could not be ended")
