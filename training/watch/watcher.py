"""Watcher: who is told how a training goes."""
# ruff: noqa: ARG002 - nobody needs to use what he is told

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training.watch.facts import Course, Facts


class Watcher(Protocol):
    """Told of everything in this order; what one does not care for, it leaves as it is here."""

    def began(self, facts: Facts) -> None:
        """Before the first step; a resumed training begins again, with what it has behind it."""
        return

    def stepped(self, step: int, loss: float, rate: float) -> None:
        """After each step, counted from 1 over all epochs. It must cost next to nothing: there are millions."""
        return

    def epoch_ended(self, line: Mapping[str, float]) -> None:
        """After each epoch, with what the journal holds of it."""
        return

    def ended(self, history: Course) -> None:
        """After the last epoch, if nothing broke."""
        return

    def closed(self, error: BaseException | None) -> None:
        """Last, also after an error: let go of files, threads and the terminal."""
        return
