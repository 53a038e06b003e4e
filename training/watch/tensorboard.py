"""TensorBoard: event files in the run's folder, for those who have it installed."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from training.watch.facts import flat
from training.watch.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch.utils.tensorboard import SummaryWriter

    from training.watch.facts import Facts

STEP_SECONDS = 0.25
"""Between two steps that are written: each takes a hundred microseconds, much beside those of a small model."""


class TensorBoard(Watcher):
    """Scalars ``epoch/…`` and ``step/…``, both over steps, and the settings as a text.

    One axis, since TensorBoard drops what a resumed training tells again by a step that holds for all.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        from torch.utils.tensorboard import SummaryWriter as Writer  # noqa: PLC0415 - an extra brings it

        self._make, self._folder, self._clock = Writer, folder, clock
        self._writer: SummaryWriter | None = None
        self._steps, self._next = 1, 0.0

    def began(self, facts: Facts) -> None:
        """Begin a file; a training that is resumed begins another behind it."""
        self._steps, self._next = facts.steps, self._clock()
        # Without a step to purge from, what a run that was killed in its first epoch left would stay.
        self._writer = self._make(str(self._folder), purge_step=facts.done * facts.steps + 1)
        lines = [f"    {name}: {json.dumps(value)}" for name, value in flat(facts.settings).items()]
        if lines and not facts.done:
            self._writer.add_text("settings", "\n".join(lines))

    def stepped(self, step: int, loss: float, rate: float) -> None:
        """Write some of the steps."""
        if self._writer is not None and self._clock() >= self._next:
            self._next = self._clock() + STEP_SECONDS
            self._writer.add_scalar("step/loss", loss, step)
            self._writer.add_scalar("step/learning_rate", rate, step)

    def epoch_ended(self, line: Mapping[str, float]) -> None:
        """Write all that the journal holds."""
        if self._writer is not None:
            for name, value in line.items():
                if name != "epoch":
                    self._writer.add_scalar(f"epoch/{name}", value, int(line["epoch"]) * self._steps)
            self._writer.flush()

    def closed(self, error: BaseException | None) -> None:  # noqa: ARG002 - it closes in any case
        """End the thread that writes."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()
