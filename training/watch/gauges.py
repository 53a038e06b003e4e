"""Gauges: how a training goes, for Prometheus to ask while it goes on."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from staytrue import listening
from training.watch.pace import Pace
from training.watch.watcher import Watcher

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from wsgiref.simple_server import WSGIServer

    from prometheus_client import CollectorRegistry

    from training.watch.facts import Facts

MEANINGS: dict[str, str] = {
    "epochs": "Epochs that have ended.",
    "steps": "Steps taken, over all epochs.",
    "loss": "Mean training loss of the last epoch; of the last step in the first epoch.",
    "validation": "What the last epoch is judged by, named by the label measure.",
    "best_validation": "The best of it so far.",
    "best_epoch": "The epoch that gave it.",
    "learning_rate": "Learning rate of the last step.",
    "rows_per_second": "Training rows a second in the last minute.",
    "left_seconds": "Time left if no epoch is left out; early stopping makes it shorter.",
    "dropped_watchers": "Watchers of this training that failed and are told nothing more.",
}


class Gauges(Watcher):
    """Answers on ``/metrics`` from a thread that ends with the training. Its registry is its own.

    The loop only notes numbers; they become text when somebody asks.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        dropped: Callable[[], int] = lambda: 0,
        say: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        import prometheus_client  # noqa: F401, PLC0415 - an extra brings it

        self._host, self._port, self._dropped, self._say, self._clock = host, port, dropped, say, clock
        self._serving: tuple[WSGIServer, threading.Thread] | None = None
        self._pace: Pace | None = None

    def began(self, facts: Facts) -> None:
        """Begin to answer.

        Raises:
            OSError: the address cannot be listened on.
        """
        from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415 - as above

        self._pace, registry = Pace(facts, self._clock), CollectorRegistry()
        self._register(self._pace, registry)
        self._serving = start_http_server(self._port, self._host, registry)
        self._say(f"training metrics: http://{listening.place(self._serving[0].socket)}/metrics")

    def stepped(self, step: int, loss: float, rate: float) -> None:
        """Take note."""
        if self._pace is not None:
            self._pace.stepped(step, loss, rate)

    def epoch_ended(self, line: Mapping[str, float]) -> None:
        """Take note."""
        if self._pace is not None:
            self._pace.epoch_ended(line)

    def closed(self, error: BaseException | None) -> None:  # noqa: ARG002 - it closes in any case
        """Stop answering, free the port, end the thread."""
        if self._serving is not None:
            (server, thread), self._serving = self._serving, None
            server.shutdown()
            server.server_close()
            thread.join()

    def _register(self, pace: Pace, registry: CollectorRegistry) -> None:
        from prometheus_client import Gauge  # noqa: PLC0415 - as above

        values: dict[str, Callable[[], float]] = {
            "epochs": lambda: pace.epoch,
            "steps": lambda: pace.step,
            "loss": lambda: pace.loss,
            "validation": lambda: pace.measure,
            "best_validation": lambda: pace.best,
            "best_epoch": lambda: pace.best_epoch,
            "learning_rate": lambda: pace.rate,
            "rows_per_second": lambda: pace.rows_per_second,
            "left_seconds": lambda: max(pace.left_seconds, 0.0) if math.isfinite(pace.left_seconds) else math.nan,
            "dropped_watchers": self._dropped,
        }
        for name, value in values.items():
            labels = {"model": pace.facts.model}
            if name.endswith("validation"):
                labels["measure"] = pace.facts.measure.removeprefix("validation_")
            gauge = Gauge(f"staytrue_training_{name}", MEANINGS[name], list(labels), registry=registry)
            gauge.labels(**labels).set_function(value)
