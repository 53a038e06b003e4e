"""Looks at the store's aliases again and again, in a thread that the end of the process does not wait for."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from staytrue.outage import Outage

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.registry import Registry

ASK_SECONDS = 0.05


class Follower:
    """Has a registry look at the aliases, at once and then again and again: what is new is loaded there.

    Args:
        registry: that looks.
        seconds: between two looks.
        clock: seconds, does not go back; of what is logged.
    """

    def __init__(self, registry: Registry, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry, self._seconds = registry, seconds
        self._outage = Outage("looking for new versions", "what is loaded keeps serving", clock)
        self._looked, self._ended = threading.Event(), threading.Event()
        self._error: Exception | None = None
        threading.Thread(target=self._follow, name="follow", daemon=True).start()

    def first(self, ended: Callable[[], bool]) -> bool:
        """Wait for the first look, in which all is loaded; False where the end comes instead.

        Args:
            ended: whether the end has come; asked, since it may be a signal handler in this thread that learns of it.

        Raises:
            Exception: what the look raised.
        """
        while not (ended() or self._looked.wait(ASK_SECONDS)):
            pass
        if self._error is not None:
            raise self._error
        return not ended()

    def end(self) -> None:
        """Look no more; a look that is under way is not waited for."""
        self._ended.set()

    def _follow(self) -> None:
        try:
            self._registry.refresh()
        except Exception as error:  # noqa: BLE001 - raised by first()
            self._error = error
            return
        finally:
            self._looked.set()
        while not self._ended.wait(self._seconds):
            try:
                self._registry.refresh()
            except Exception as error:  # noqa: BLE001 - told, and tried again
                self._outage.failed(error)
            else:
                self._outage.over()
