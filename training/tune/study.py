"""Study: all trials of a search in one SQLite file, shared by processes, none of which need ever end well.

Whoever trains holds a lock on its trial's folder, which the system lets go of however the process ends. A trial that
is said to run and is not locked was killed: it is marked as failed, and its settings are queued anew.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import sqlite3
from typing import TYPE_CHECKING

import numpy as np
import optuna
from optuna.trial import TrialState

from staytrue.claims import claim
from staytrue.errors import Conflict, CorruptData
from training.tune.space import Label, label

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from optuna.trial import FrozenTrial, Trial

    from staytrue.tuning import TuningSection
    from training.tune.space import Space, Value

FILE, LOCK, TRIALS = "study.db", "lock", "trials"
REASON, ANEW, KILLS, VALUES, IDENTITY, MEASURE = "reason", "anew", "kills", "values", "identity", "measure"
"""Of a trial: why it failed, which one it repeats, how often that was killed, what it tried. Of the study: what it is
of, what judges it."""
STOPPED = "stopped"
"""How the reason begins of a trial that was cut short through no fault of its own."""
TRIES = 50
"""Where nothing says how many."""
MOST_KILLS = 2
"""Of processes that try the same settings, before these are given up: what kills them, most likely memory, stays."""
WAIT_SECONDS = 60
"""For another process that writes."""
FACTOR = 3
"""Of as many trials one goes on, by asynchronous successive halving."""
FIXED = "fixed_params"
"""Where Optuna keeps what a trial that waits is to try."""
SPARED = 0.25
"""Share of the epochs in which no trial is pruned: what learns slowly at first may end well."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """A trial that this process is to do, and the open folder whose lock says so."""

    trial: optuna.Trial
    values: dict[str, Value]
    folder: Path
    lock: int

    @property
    def number(self) -> int:
        """Counted from 0."""
        return int(self.trial.number)

    def free(self) -> None:
        """Let go of it."""
        os.close(self.lock)


class Study:
    """A search that begins, goes on or is looked at.

    Raises:
        Conflict: the folder holds a study of other settings or data.
        CorruptData: its file is no study.
    """

    def __init__(
        self, folder: Path, space: Space, settings: TuningSection, epochs: int, identity: Mapping[str, str]
    ) -> None:
        self.folder, self.space, self.settings = folder, space, settings
        folder.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with self._alone():
            self._storage = _storage(folder / FILE)
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=folder.name,
                load_if_exists=True,
                pruner=_pruner(settings, epochs),
            )
            found = self._study.user_attrs.get(IDENTITY)
            if found is None:
                self._study.set_user_attr(IDENTITY, dict(identity))
        for what, now in identity.items() if found is not None else ():
            if found.get(what) != now:
                hint = "put them back as they were, name another study with --study, or delete the folder"
                raise Conflict(str(folder), f"holds a study of other {what}", hint=hint)

    @property
    def trials(self) -> list[FrozenTrial]:
        """All so far, by number."""
        return list(self._study.get_trials(deepcopy=False))

    @property
    def optuna(self) -> optuna.Study:
        """As Optuna has it."""
        return self._study

    @property
    def measure(self) -> str:
        """What trials are judged by; smaller is better."""
        return str(self._study.user_attrs.get(MEASURE, "validation measure"))

    @property
    def total(self) -> int:
        """Trials that there shall be, those that repeat a killed one not counted."""
        size = self.space.size if self.settings.method == "grid" else None
        wanted = self.settings.trials or (TRIES if size is None else size)
        return wanted if size is None else min(wanted, size)

    @property
    def done(self) -> bool:
        """Whether nothing is left to do, by anybody."""
        trials = self.trials
        open_ones = any(trial.state in (TrialState.WAITING, TrialState.RUNNING) for trial in trials)
        return not open_ones and _fresh(trials) >= self.total

    def claim(self) -> Claim | None:
        """The next trial, for this process alone; None where there is none left."""
        with self._alone():
            trials = self._buried(self.trials)
            number = _fresh(trials)
            if self.settings.method == "tpe":  # seeded for each, so that a study goes on as if it never was killed
                own = int(np.random.SeedSequence([self.settings.seed, number]).generate_state(1)[0])
                self._study.sampler = optuna.samplers.TPESampler(seed=own)
            if not any(trial.state is TrialState.WAITING for trial in trials):
                if number >= self.total:
                    return None
                self._plan(number)
            return self._claimed(self._study.ask())

    def _claimed(self, trial: Trial) -> Claim:
        values = self.space.suggested(trial)
        trial.set_user_attr(VALUES, values)
        folder = self.folder / TRIALS / f"{trial.number:04}"
        folder.mkdir(parents=True, exist_ok=True)
        return Claim(trial, values, folder, claim(folder))

    def take(self, values: Mapping[str, Value]) -> Claim:
        """A trial of these values, which somebody else proposed: the one that waits to try them, or a new one."""
        labels = {path: label(value) for path, value in values.items()}
        with self._alone():
            if not any(self._waits_for(trial, labels) for trial in self.trials):
                self._study.enqueue_trial(labels)
            (found, *_) = [trial for trial in self.trials if self._waits_for(trial, labels)]
            self._storage.set_trial_state_values(found._trial_id, TrialState.RUNNING)  # noqa: SLF001 - as ask does
            return self._claimed(optuna.Trial(self._study, found._trial_id))  # noqa: SLF001

    @property
    def waiting(self) -> list[dict[str, Value]]:
        """What trials that wait are to try, by number."""
        fixed = [trial.system_attrs[FIXED] for trial in self.trials if trial.state is TrialState.WAITING]
        return [self.space.suggested(optuna.trial.FixedTrial(labels)) for labels in fixed]

    @property
    def known(self) -> list[tuple[dict[str, Value], float]]:
        """What trials tried that came to their end, and their measure."""
        complete = [trial for trial in self.trials if trial.state is TrialState.COMPLETE]
        return [(trial.user_attrs[VALUES], float(trial.value)) for trial in complete]

    @property
    def begun(self) -> int:
        """Trials that repeat no other."""
        return _fresh(self.trials)

    @property
    def planned(self) -> list[dict[str, Value]]:
        """What a grid or chance has still to try, those that wait not counted."""
        seed, numbers = self.settings.seed, range(self.begun, self.total)
        if self.settings.method == "grid":
            return [self.space.combination(number) for number in numbers]
        return [self.space.drawn(seed, number) for number in numbers]

    def judge(self, measure: str) -> None:
        """Say what trials are judged by."""
        if MEASURE not in self._study.user_attrs:
            self._study.set_user_attr(MEASURE, measure)

    def complete(self, claim: Claim, error: float) -> None:
        """It went to its end; the measure of its best epoch."""
        self._study.tell(claim.trial, error)

    def prune(self, claim: Claim) -> None:
        """It was not worth going on with."""
        self._study.tell(claim.trial, state=TrialState.PRUNED)

    def fail(self, claim: Claim, reason: str) -> None:
        """It has no result."""
        claim.trial.set_user_attr(REASON, reason)
        self._study.tell(claim.trial, state=TrialState.FAIL)

    def stop(self, claim: Claim, reason: str) -> None:
        """It was cut short through no fault of its own: its settings are tried anew when the study goes on."""
        with self._alone():
            self._again(self._study.trials[claim.number], f"{STOPPED}: {reason}", kills=0)

    def lose(self, claim: Claim) -> None:
        """Whatever did it was killed."""
        with self._alone():
            self._again(self._study.trials[claim.number], "killed", kills=1)

    def bury(self) -> None:
        """Mark what was killed."""
        with self._alone():
            self._buried(self.trials)

    def _buried(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        dead = [trial for trial in trials if trial.state is TrialState.RUNNING and self._is_dead(trial)]
        if dead:  # who did one may have ended it since it was read here, and let go of it then
            trials = self.trials
            dead = [trials[trial.number] for trial in dead if trials[trial.number].state is TrialState.RUNNING]
        for trial in dead:
            self._again(trial, "killed", kills=1)
        return self.trials if dead else trials

    def _is_dead(self, trial: FrozenTrial) -> bool:
        folder = self.folder / TRIALS / f"{trial.number:04}"
        try:
            os.close(claim(folder))
        except FileNotFoundError:  # killed before it had one
            return True
        except BlockingIOError:
            return False
        return True

    def _again(self, trial: FrozenTrial, reason: str, kills: int) -> None:
        kills += int(trial.user_attrs.get(KILLS, 0))
        again = kills < MOST_KILLS
        told = reason if again else f"{reason} {kills} times: out of memory, most likely"
        identifier = self._storage.get_trial_id_from_study_id_trial_number(
            self._storage.get_study_id_from_name(self._study.study_name), trial.number
        )
        self._storage.set_trial_user_attr(identifier, REASON, told)
        if again:  # before it is marked: killed in between, it would be forgotten; now it may be tried twice
            self._study.enqueue_trial(dict(trial.params), user_attrs={ANEW: trial.number, KILLS: kills})
        self._study.tell(trial.number, state=TrialState.FAIL)

    def _waits_for(self, trial: FrozenTrial, labels: Mapping[str, Label]) -> bool:
        return trial.state is TrialState.WAITING and trial.system_attrs.get(FIXED) == labels

    def _plan(self, number: int) -> None:
        """Make the next trial, unless Optuna is to propose it."""
        seed, method = self.settings.seed, self.settings.method
        if method == "tpe":
            return
        values = self.space.combination(number) if method == "grid" else self.space.drawn(seed, number)
        self._study.enqueue_trial({path: label(value) for path, value in values.items()})

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other process takes a trial or looks for dead ones."""
        with (self.folder / LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _fresh(trials: list[FrozenTrial]) -> int:
    """Trials that repeat no other."""
    return sum(ANEW not in trial.user_attrs for trial in trials)


def _storage(path: Path) -> optuna.storages.RDBStorage:
    def connected() -> sqlite3.Connection:
        """Written ahead, which costs an epoch a tenth of what it costs otherwise, and survives a kill all the same."""
        made = sqlite3.connect(path, timeout=WAIT_SECONDS, check_same_thread=False)
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("PRAGMA synchronous=NORMAL")
        return made

    try:
        return optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"creator": connected})
    except Exception as error:  # SQLAlchemy's and Optuna's own: whatever it is, it is no study
        hint = "delete it to begin anew"
        raise CorruptData(str(path), f"is no study: {str(error).splitlines()[0]}", hint=hint) from error


def _pruner(settings: TuningSection, epochs: int) -> optuna.pruners.BasePruner:
    if settings.prune == "none":
        return optuna.pruners.NopPruner()
    if settings.prune == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(
            min_resource=max(1, round(SPARED * epochs)), reduction_factor=FACTOR
        )
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=round(SPARED * epochs))
