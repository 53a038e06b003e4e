"""A training that ends in its midst, as by a signal; but the process goes on to the next case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from training import checkpoint as checkpoints
from training.resume import Keeper
from training.run import train

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.project import Project


class Killed(Exception):
    """In place of a signal."""


def cut(project: Project, kept: int) -> Path:
    """A run that ends after the state was kept once more than so many times; its folder."""
    keep, times = Keeper.keep, iter(range(kept))

    def keep_and_die(self: Keeper, *given: Any) -> None:
        keep(self, *given)
        if next(times, None) is None:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Keeper, "keep", keep_and_die)
        with pytest.raises(Killed):
            train(project, opening="skip")
    return checkpoints.unfinished(project.retraining.runs, project.name)
