"""Watchers: all who watch one training, such that none of them can end it but the journal."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from typing import TYPE_CHECKING, Self

from staytrue.errors import InvalidConfig
from training import checkpoint as checkpoints
from training.watch.drawing import Drawing
from training.watch.facts import Facts
from training.watch.gauges import Gauges
from training.watch.journal import Journal
from training.watch.mlflow import Mlflow, place
from training.watch.progress import Progress
from training.watch.tensorboard import TensorBoard
from training.watch.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from staytrue.project import Project
    from training.watch.facts import Course

log = logging.getLogger(__name__)
EVENTS = "tensorboard"
"""Folder of TensorBoard's files in a run's."""
NEEDS = {"tensorboard": "tensorboard", "mlflow": "mlflow", "metrics_port": "prometheus_client"}
"""Setting → the module without which it cannot be done."""


class Watchers(Watcher):
    """Tells each in turn. The ``vital`` ones may fail the training.

    Any other that fails is told of once, counted, and told nothing more: hours of training are worth more than a line
    in a logger. As a context manager it closes them at the end, whatever ended it.
    """

    def __init__(
        self, vital: Iterable[Watcher] = (), others: Iterable[Watcher] = (), say: Callable[[str], None] = log.warning
    ) -> None:
        self._vital, self._others, self._say = list(vital), list(others), say
        self._followers = _following(self._others)
        self.dropped: dict[str, str] = {}
        """Of each that failed, why."""

    def add(self, watcher: Watcher) -> None:
        """One more, who may fail."""
        self._others.append(watcher)
        self._followers = _following(self._others)

    def began(self, facts: Facts) -> None:
        """Before the first step."""
        self._tell(lambda watcher: watcher.began(facts))

    def stepped(self, step: int, loss: float, rate: float) -> None:
        """After each step: only those hear of it that listen."""
        for watcher in self._followers:
            try:
                watcher.stepped(step, loss, rate)
            except Exception as error:  # noqa: BLE001 - whatever it is, the training goes on
                self._drop(watcher, error)

    def epoch_ended(self, line: Mapping[str, float]) -> None:
        """After each epoch."""
        self._tell(lambda watcher: watcher.epoch_ended(line))

    def ended(self, history: Course) -> None:
        """After the last epoch."""
        self._tell(lambda watcher: watcher.ended(history))

    def closed(self, error: BaseException | None) -> None:
        """Last; whoever fails now, the others are closed too."""
        vital, self._vital = self._vital, []
        self._tell(lambda watcher: watcher.closed(error))
        self._others, self._followers = [], []
        for watcher in vital:
            watcher.closed(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed(error)

    def _tell(self, call: Callable[[Watcher], None]) -> None:
        for watcher in self._vital:
            call(watcher)
        for watcher in list(self._others):
            try:
                call(watcher)
            except Exception as error:  # noqa: BLE001 - whatever it is, the training goes on
                self._drop(watcher, error)

    def _drop(self, watcher: Watcher, error: Exception) -> None:
        name = type(watcher).__name__
        self._others = [other for other in self._others if other is not watcher]
        self._followers = _following(self._others)
        self.dropped[name] = f"{type(error).__name__}: {error}"
        self._say(f"{name} watches this training no more: {self.dropped[name]}")
        with contextlib.suppress(Exception):  # it is broken already, and this was told
            watcher.closed(error)


def _following(watchers: Iterable[Watcher]) -> list[Watcher]:
    """Those who listen to single steps."""
    return [watcher for watcher in watchers if type(watcher).stepped is not Watcher.stepped]


def watchers(
    project: Project,
    folder: Path,
    *,
    say: Callable[[str], None] = log.warning,
    first: bool = True,
    vital: Sequence[Watcher] = (),
) -> Watchers:
    """Those that the settings ask for, over a run's folder, and ``vital`` ones, which may end the training.

    Of several processes the ``first`` alone is watched.

    Raises:
        InvalidConfig: what a setting needs is not installed; says how to install it.
    """
    if not first:
        return Watchers()
    settings = project.training
    wanted = [*settings.loggers, *(["metrics_port"] if settings.metrics_port is not None else [])]
    for name in wanted:
        _refuse_missing(name)
    found = Watchers(
        [Journal(folder / checkpoints.METRICS), *vital], [Progress(), Drawing(folder / checkpoints.CURVE)], say
    )
    if settings.metrics_port is not None:
        host, port = settings.watching.metrics_host, settings.metrics_port
        found.add(Gauges(host, port, dropped=lambda: len(found.dropped), say=say))
    if "tensorboard" in wanted:
        found.add(TensorBoard(folder / EVENTS))
    if "mlflow" in wanted:
        tracking = place(settings.watching.mlflow_tracking, project.folder)
        found.add(Mlflow(tracking, settings.watching.mlflow_experiment or project.name, folder))
    return found


def facts(project: Project, folder: Path, history: Course, *, steps: int, rows: int) -> Facts:
    """What there is to say before the first step; the ``history`` is that of a resumed training, or an empty one."""
    return Facts(
        model=project.name,
        run=folder.name,
        target=project.data.goal,
        measure=history.measure,
        epochs=project.training.epochs,
        steps=steps,
        rows=rows,
        before=[dict(line) for line in history.epochs],
        best_epoch=history.best_epoch,
        settings=project.model_dump(mode="json", include={"model", "training"}),
    )


def _refuse_missing(name: str) -> None:
    if importlib.util.find_spec(NEEDS[name]) is None:
        where = f"training.{name}" if name == "metrics_port" else "training.loggers"
        hint = "pip install -e '.[loggers]' brings it"
        raise InvalidConfig(where, f"needs {NEEDS[name]}, which is not installed", hint=hint)
