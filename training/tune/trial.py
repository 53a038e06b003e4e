"""Trial: one training of a study, to its end, until it is pruned, or until it fails; none ends the study."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import optuna
import torch

from staytrue.errors import StaytrueError
from training.data.clean import steps
from training.devices import devices
from training.prepare import check
from training.run import fit_parts
from training.tune.space import applied
from training.watch.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from staytrue.project import Project
    from training.history import History
    from training.tune.material import Material
    from training.tune.space import Value
    from training.tune.study import Claim, Study
    from training.watch.facts import Facts

LONGEST_REASON = 500
LOOKS = 20
"""Times that a training is compared with others: of a small one that would cost more than an epoch."""


class Stopped(Exception):
    """Time is up, or who asked for the trial is gone."""


class Judge(Watcher):
    """Reports each epoch to the study, and ends a training that is not worth going on with, or has no time left."""

    def __init__(self, study: Study, claim: Claim, until: float, parent: int | None = None) -> None:
        self._study, self._claim, self._until, self._parent = study, claim, until, parent
        self._measure, self._every = "", 1

    def began(self, facts: Facts) -> None:
        """Learn what is the measure."""
        self._measure, self._every = facts.measure, max(1, facts.epochs // LOOKS)
        self._study.judge(facts.measure)

    def epoch_ended(self, line: Mapping[str, float]) -> None:
        """Report it.

        Raises:
            TrialPruned: others did better.
            Stopped: there is no time left.
        """
        check_time(self._until, self._parent)
        if self._study.settings.prune != "none":
            epoch = int(line["epoch"])
            self._claim.trial.report(line[self._measure], epoch)
            if epoch % self._every == 0 and self._claim.trial.should_prune():
                raise optuna.TrialPruned


def check_time(until: float, parent: int | None) -> None:
    """Go on.

    Raises:
        Stopped: there is no time left, or the process that started this one is gone.
    """
    if time.time() > until:
        raise Stopped("time was up")
    if parent is not None and os.getppid() != parent:
        raise Stopped("the command ended")


def attempt(study: Study, claim: Claim, project: Project, material: Material, until: float, parent: int | None) -> str:
    """Do a claimed trial and write down what came of it; in a few words, for people.

    Raises:
        Stopped: the trial is to be done anew.
    """
    began = time.monotonic()
    try:
        history = train_one(project, claim.values, material, claim.folder, Judge(study, claim, until, parent))
    except optuna.TrialPruned:
        _note(claim, began)
        study.prune(claim)
        return "pruned"
    except (Stopped, KeyboardInterrupt) as error:
        _note(claim, began)
        study.stop(claim, str(error) or "interrupted")
        raise
    except Exception as error:  # noqa: BLE001 - whatever these settings lead to, others may do well
        reason = reason_of(error)
        _note(claim, began)
        study.fail(claim, reason)
        torch.cuda.empty_cache()  # nothing happens where no GPU was used
        return f"failed: {reason}"
    claim.trial.set_user_attr("best_epoch", history.best_epoch)
    claim.trial.set_user_attr("epochs", len(history.epochs))
    _note(claim, began)
    study.complete(claim, history.best_error)
    return f"{history.measure} {history.best_error:.5g}"


def train_one(
    project: Project, values: Mapping[str, Value], material: Material, folder: Path, judge: Watcher
) -> History:
    """Train with some settings to the end, or until the judge ends it."""
    tried = steps.dense(applied(project, values), material.parts(project).train)
    check(tried)
    parts, machine = material.parts(tried), devices(tried.training)
    return fit_parts(tried, parts, folder, material.sha256, machine, vital=[judge], drawn=False).history


def _note(claim: Claim, began: float) -> None:
    claim.trial.set_user_attr("seconds", round(time.monotonic() - began, 2))


def reason_of(error: Exception) -> str:
    """What went wrong, in a sentence or two."""
    told = str(error) if isinstance(error, StaytrueError) else f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in told:
        told = f"out of memory: {told}"
    return told[:LONGEST_REASON]
