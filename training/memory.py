"""Memory: a network too large for the machine is told before it is made, and a step too large for it when it fails."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook as hook_parameters

from staytrue.errors import InvalidConfig
from training.data import mapped
from training.models.architectures import arguments_of, build
from training.models.assembly import assemble
from training.models.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from staytrue.project import Project
    from staytrue.sections import TrainingSection
    from training.data.encode.encoder import ColumnState
    from training.models.model import Model
    from training.tasks.task import Task

NUMBER, TENSOR = 4, 2048
"""Bytes of a number, and about those that a tensor takes in Python beside its numbers."""
SIZES = ("width", "depth", "feed_forward", "latent", "heads", "stages")
MOMENTS = {"adam": 2, "adamw": 2, "adadelta": 2, "sgd": 0}
"""Tensors that an optimiser remembers of each parameter; one if it is none of these."""
_CONTROL = Path("/sys/fs/cgroup/memory.max")
_SAID = ("can't allocate memory", "not enough memory", "out of memory", "Storage size calculation overflowed")


def assembled(project: Project, states: Sequence[ColumnState], task: Task, device: str) -> Model:
    """The project's model with fresh weights, if the machine can hold them.

    Raises:
        InvalidConfig: as :func:`check`.
    """
    check(project, states, task.outputs, device)
    mapped.give_back()  # what learning the encoder took
    return assemble(states, project.model.architecture, arguments_of(project), task)


def check(project: Project, states: Sequence[ColumnState], outputs: int, device: str) -> None:
    """Refuse a network whose weights, and what training keeps beside them, the machine could not hold.

    It is made without memory for its weights, until they are too many. One of a project's own factory is not tried: it
    may want its weights. What a step needs beside depends on the rows, and is told by :func:`told`.

    Raises:
        InvalidConfig: names the largest of the sizes that are set.
    """
    if ":" in project.model.architecture:
        return
    arguments, most, copies = arguments_of(project), _bytes_of(device), copies_of(project.training)

    def refuse_beyond(taken: int, numbers: int) -> None:
        if taken * copies > most:
            set_ = {name: value for name, value in arguments.items() if name in SIZES}
            named = max(set_, key=lambda name: max(set_[name]) if name == "stages" else set_[name], default="")
            got = f"more than {numbers:.2g} of them, {taken * copies / 1e9:.2g} GB with what training keeps of each"
            raise InvalidConfig(
                f"model.{named}".rstrip("."),
                expected=f"weights that {most / 1e9:.2g} GB of memory can hold",
                got=got,
                hint="lower the sizes of the model: " + ", ".join(f"{name} is {set_[name]}" for name in set_),
            )

    layers = sum(arguments.get("stages", [arguments.get("depth", 1)]))
    refuse_beyond(TENSOR * layers, layers)  # their list alone may be too long
    with _counted(refuse_beyond), torch.random.fork_rng(devices=[]), torch.device("meta"):
        build(project.model.architecture, Layout.of(states), arguments, outputs)


def copies_of(training: TrainingSection) -> int:
    """How often a number of the weights is held: itself, its gradient, of the best epoch, its average, its moments.

    >>> from staytrue.sections import TrainingSection
    >>> copies_of(TrainingSection()), copies_of(TrainingSection(optimiser="sgd", averaging=0))
    (6, 3)
    """
    return 3 + bool(training.averaging) + MOMENTS.get(training.optimiser, 1)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Say what to do where memory does not suffice for a step.

    Raises:
        InvalidConfig: it did not.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not any(one in str(error) for one in _SAID):
            raise
        got = " ".join((str(error) or "no more").split())[:200]
        hint = "lower it, or the sizes of the model"
        raise InvalidConfig(
            "training.batch_size",
            expected="a step that memory can hold",
            got=f"cannot allocate memory: {got}",
            hint=hint,
        ) from error


@contextlib.contextmanager
def _counted(look: Callable[[int, int], None]) -> Iterator[None]:
    """Have each parameter that a module gets counted: bytes and numbers so far."""
    taken = numbers = 0

    def count(module: nn.Module, name: str, weight: Any) -> None:
        nonlocal taken, numbers
        del module, name
        numbers += weight.numel()
        taken += NUMBER * weight.numel() + TENSOR
        look(taken, numbers)

    handle = hook_parameters(count)
    try:
        yield
    finally:
        handle.remove()


def _bytes_of(device: str) -> int:
    """Memory of the device; of this machine no more than a container may have of it."""
    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(device).total_memory)
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _CONTROL.read_text(encoding="ascii").strip() if _CONTROL.is_file() else ""
    return min(there, int(limit)) if limit.isdecimal() else there
