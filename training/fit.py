"""Fit: one training, top to bottom."""

from __future__ import annotations

import functools
import math
import time
from typing import TYPE_CHECKING

import torch

from training import memory
from training.batches import weighed
from training.data.rows import evenly
from training.devices import alone
from training.divergence import Scene, by_column
from training.epoch import steps_of
from training.guard import Guard
from training.history import History
from training.optim import Optimiser, statistics
from training.resume import Keeper
from training.sampling import order
from training.transfer.layers import groups
from training.watch.watchers import facts, watchers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from staytrue.environment import Environment
    from staytrue.errors import InvalidInput
    from staytrue.project import Project
    from training.augment.augmenter import Augmenter
    from training.batches import Batch, Taken
    from training.devices import Devices
    from training.models.model import Model
    from training.objectives import Objective
    from training.tasks.task import Task
    from training.watch.watcher import Watcher

STATISTICS_ROWS = 4096
"""Rows at most that averaged weights take the statistics of their batch norms from: more would move them by a hair."""


@memory.told()
def fit(
    model: Model,
    task: Task,
    parts: tuple[Batch, Batch],
    project: Project,
    machine: Devices,
    augmenter: Augmenter | None,
    folder: Path,
    identity: Mapping[str, str],
    surroundings: Environment,
    say: Callable[[str], None],
    vital: Sequence[Watcher] = (),
) -> History:
    """Train the model's head in place on the first part, and stop early by the second.

    What each epoch gave is a line of ``metrics.jsonl`` in the run's folder. A run that was killed goes on from what its
    folder keeps, to the same weights; ``identity`` is what must not have changed since. What a ``vital`` watcher raises
    ends it.

    Raises:
        InvalidConfig: a batch too small for a batch norm or the processes, or too large for memory.
        InvalidInput: the loss became NaN or infinite, or ran away; or the first epoch's error of the rows held out did.
        Conflict: the folder keeps a training of other settings or data.
    """
    settings, (train, held), head = project.training, parts, machine.placed(model.head)
    steps = steps_of(len(train), settings.batch_size, head, machine.processes)
    optimiser = Optimiser(head, settings, steps * settings.epochs, groups=groups(head, settings.transfer))
    loss_of, history, guard = task.loss(settings), History(task.measure), Guard(settings, machine.told)
    keeper = Keeper(
        folder, settings.checkpoint_seconds, identity, surroundings, head, optimiser, history, guard, machine
    )
    at, called = keeper.restore(), machine.prepared(head)
    if keeper.moved:
        say(f"resume: this run began with {keeper.moved}, and goes on with other; last bits of weights may differ")
    classes = train.truth if settings.sampling == "balanced" else None
    with watchers(project, folder, say=say, first=machine.main, vital=vital) as watch:
        watch.began(facts(project, folder, history, steps=steps, rows=len(train)))
        while at.epoch < settings.epochs and history.waited < settings.patience:
            began, rate = time.perf_counter(), optimiser.learning_rate if not at.step else at.rate
            head.train()
            batches = torch.tensor_split(order(len(train), at.epoch, settings.seed, classes), steps)[at.step :]
            own = train.stream(map(machine.share, batches), augmenter, at.epoch + 1)
            for which, rows in zip(batches, map(machine.moved, own), strict=True):
                step, count = at.epoch * steps + at.step + 1, len(which)
                machine.draws(settings.seed, step)
                loss = rows.total(functools.partial(loss_of, called(rows.matrix))) / count
                value = machine.total(loss)
                scene = functools.partial(_scene, model, called, loss_of, rows, machine.share(which), optimiser)
                guard.check(step, at.epoch + 1, value, scene)
                taken = optimiser.learning_rate
                optimiser.step(loss, machine)
                watch.stepped(step, value, taken)
                at.took(value * count, rate)
                keeper.keep(at)
            if settings.averaging:
                _take_statistics(optimiser.kept, train, machine, settings.batch_size)
            machine.agree(optimiser.kept)
            error = _error(optimiser.kept, held, task, machine)
            judged = functools.partial(_judged, model, held, task, machine, optimiser, rate)
            wrong = guard.judged(at.epoch * steps + at.step, at.epoch + 1, error, judged)
            if wrong is not None:
                say(_ended(wrong, history))
                break
            optimiser.epoch_ended(error)
            history.add(at.loss / len(train), error, rate, time.perf_counter() - began, optimiser.kept)
            at.turn()
            watch.epoch_ended(history.epochs[-1])
            keeper.keep(at)
        watch.ended(history)
    head.load_state_dict(history.best_weights)
    machine.done(model)
    model.eval()
    return history


def _ended(wrong: InvalidInput, history: History) -> str:
    """What to say where an epoch cannot be judged and earlier ones could: the training ends with the best of them.

    What comes after weights that have no error would be built on them.

    Raises:
        InvalidInput: there is no earlier one.
    """
    if not history.best_epoch:
        raise wrong
    return f"{wrong}. Training ends here, and epoch {history.best_epoch}, the best before, is kept"


def _take_statistics(module: nn.Module, train: Batch, machine: Devices, batch_size: int) -> None:
    """Those of its batch norms, of training rows from all over, as they are and not varied.

    By no fewer rows at once than train together: of one row there is no variance, and of few it is that within them.
    """

    def matrices() -> Iterator[Tensor]:
        places = torch.from_numpy(evenly(len(train), STATISTICS_ROWS))
        count = max(1, min(math.ceil(len(places) / max(train.chunk, batch_size)), len(places) // 2))
        parts = [places[begin::count] for begin in range(count)]
        return (machine.moved(rows).matrix for rows in train.stream(parts, None, 1))

    statistics.take(module, matrices)


def _error(module: nn.Module, held: Batch, task: Task, machine: Devices) -> float:
    """The measure of the rows held out; each process takes some of them."""
    module.eval()
    total = torch.zeros(())
    with torch.no_grad():
        for begin in machine.share(torch.arange(0, len(held), held.chunk)).tolist():
            rows = machine.moved(held.taken(slice(begin, begin + held.chunk)))
            total = total + rows.total(functools.partial(task.miss, module(rows.matrix)))
    return machine.total(total) / held.weight.sum().item()


def _scene(
    model: Model, called: nn.Module, loss_of: Objective, rows: Taken, which: Tensor, optimiser: Optimiser
) -> Scene:
    """What a step was about to do, for whoever looks into what went wrong with it."""
    truth, weight = rows.truths[0]
    rewind: Callable[[], None] = getattr(model.head, "rewind", lambda: None)

    def losses() -> Tensor:
        rewind()  # of networks that take turns, whose it was, and not whose it is next
        return weighed(loss_of(alone(called)(rows.matrix), truth), weight)

    return Scene(
        module=model.head,
        losses=losses,
        rows=which.tolist(),
        inputs=_inputs(model, rows),
        learning_rate=optimiser.learning_rate,
        clipped=optimiser.clips,
    )


def _judged(model: Model, held: Batch, task: Task, machine: Devices, optimiser: Optimiser, rate: float) -> Scene | None:
    """What was judged to no number, of this process's rows held out; none where it was of another's.

    The epoch began with the ``rate``.
    """
    module = optimiser.kept
    for begin in machine.share(torch.arange(0, len(held), held.chunk)).tolist():
        end = min(begin + held.chunk, len(held))
        rows = machine.moved(held.taken(slice(begin, end)))
        losses = functools.partial(_misses, module, rows, task)
        with torch.no_grad():
            if losses().isfinite().all():
                continue
        return Scene(
            module=module,
            losses=losses,
            rows=range(begin, end),
            inputs=_inputs(model, rows),
            learning_rate=rate,
            clipped=optimiser.clips,
            part="validation",
        )
    return None


def _misses(module: nn.Module, rows: Taken, task: Task) -> Tensor:
    """What is told of each row held out. Shapes: → [n,1]."""
    ((truth, weight),) = rows.truths
    return weighed(task.miss(module(rows.matrix), truth), weight)


def _inputs(model: Model, rows: Taken) -> dict[str, Tensor]:
    """What the network is given, by the feature that it comes from."""
    names, widths = zip(*((state.name, state.module().width) for state in model.encoder.states), strict=True)
    return by_column(names, widths, rows.matrix)
