"""Epoch: into how many steps its rows are dealt, such that each process has enough rows of every one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from staytrue.errors import InvalidConfig, InvalidInput
from training.models.architectures import normalisation_of
from training.optim.statistics import compared

if TYPE_CHECKING:
    from torch import nn

    from staytrue.project import Project

COMPARED = 2
"""Rows without which a batch norm that is trained has no deviation to divide by."""


def check(project: Project) -> None:
    """Refuse a batch too small for what the settings say of norms and processes.

    Raises:
        InvalidConfig: names the setting.
    """
    training = project.training
    compares = normalisation_of(project.model) == "batch" and not training.transfer.freeze
    _refuse_small(training.batch_size, training.processes, compares=compares)


def steps_of(rows: int, batch_size: int, module: nn.Module, processes: int) -> int:
    """Steps of an epoch, whose sizes differ by one row at most; no row is left out.

    A step has at most ``batch_size`` rows, of all processes together, unless one would then have too few for a batch
    norm: of 5 rows, 2 a step, steps have 3 and 2 of them, and not 2, 2 and 1.

    Raises:
        InvalidConfig: a batch too small for the module.
        InvalidInput: too few rows.
    """
    compares = bool(compared(module))
    least = _refuse_small(batch_size, processes, compares=compares)
    if rows < least:
        raise InvalidInput(
            "rows to train on", expected=f"at least {_needed(least, processes, compares)}", got=str(rows)
        )
    return min(math.ceil(rows / batch_size), rows // least)


def _refuse_small(batch_size: int, processes: int, *, compares: bool) -> int:
    """Rows that a step needs at least, which a batch does not lack."""
    least = processes * (COMPARED if compares else 1)
    if batch_size < least:
        hint = "raise it" + (", or set model.normalisation: layer, which needs no other rows" if compares else "")
        expected = f"at least {_needed(least, processes, compares)}"
        raise InvalidConfig("training.batch_size", expected=expected, got=str(batch_size), hint=hint)
    return least


def _needed(least: int, processes: int, compares: bool) -> str:
    each = f"{COMPARED} rows that batch norm compares" if compares else "a row"
    return f"{least}: {each}{' for each process' if processes > 1 else ''}"
