"""Cluster: trials of a study run by Ray Tune, here or on a cluster; the one place that knows Ray.

Ray chooses the next trial, places it and ends it; what came of it is written down here, into the same study as ever, by
the process that runs the command. So nothing of Ray's is kept: whatever ends, the study goes on from what it knows.
"""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

from staytrue.errors import Unavailable
from staytrue.records import append_line
from staytrue.variables import set_for_libraries
from training.checkpoint import METRICS
from training.tune.study import FACTOR, SPARED
from training.tune.trial import reason_of, train_one
from training.tune.workers import share
from training.watch.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from staytrue.project import Project
    from training.tune.material import Material
    from training.tune.study import Claim, Study
    from training.watch.facts import Facts

MEASURE, VALUES = "measure", "values"
"""Of what a trial reports, what it is judged by; of what it is given, its settings."""
CALLED, LINE, DONE, FAILED = "called", "line", "finished", "failed"
"""Of a report, beside the best measure so far: its name, the epoch's line, and at the end what came of it, or why
nothing did: what the process that runs the command gets to see of an error is Ray's, and not the reason."""
REACH_SECONDS = 10.0
WORST = 1e300
"""The measure of what has none: a number, as Ray compares it with others."""
LEAST_STORE = 80_000_000
"""Bytes of shared memory that Ray needs at least."""
VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",  # it would tell its makers what is done here
    "RAY_AIR_NEW_OUTPUT": "0",  # which prints whatever it is asked not to
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


class Failed(Exception):
    """A trial has no result, for a reason of its own."""


class Reporter(Watcher):
    """Reports each epoch to Ray, which may end the trial then."""

    def __init__(self) -> None:
        self._measure, self._best = "", math.inf

    def began(self, facts: Facts) -> None:
        """Learn what is the measure."""
        self._measure = facts.measure

    def epoch_ended(self, line: Mapping[str, float]) -> None:
        """Report it."""
        self._best = min(self._best, line[self._measure])
        tune.report({MEASURE: self._best, CALLED: self._measure, LINE: dict(line)})


def trained(config: dict[str, Any], project: Project, material: Material) -> None:
    """One trial, wherever Ray runs it.

    Raises:
        Failed: it has no result.
    """
    with tempfile.TemporaryDirectory() as scratch:
        try:
            history = train_one(project, config[VALUES], material, Path(scratch), Reporter())
        except Exception as error:  # noqa: BLE001 - whatever these settings lead to, others may do well
            reason = reason_of(error)
            tune.report({MEASURE: WORST, FAILED: reason})
            raise Failed(reason) from None
    told = {"best_epoch": history.best_epoch, "epochs": len(history.epochs)}
    tune.report({MEASURE: history.best_error, CALLED: history.measure, DONE: told})


def work_on_ray(
    study: Study,
    project: Project,
    material: Material,
    until: float = math.inf,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> bool:
    """Do all trials that are left; whether Ctrl-C ended it. Units: ``until`` in Unix seconds.

    Raises:
        Unavailable: no Ray answers at the address.
    """
    study.bury()
    threads = project.training.threads if project.tuning.address else share(project)
    project = project.model_copy(update={"training": project.training.model_copy(update={"threads": threads})})
    with _connected(project, material):
        while not study.done and time.time() < until:  # again while trials that were killed are to be done anew
            recorder = Recorder(study, until, say)
            with tempfile.TemporaryDirectory() as scratch, _quiet():
                try:
                    _tuner(study, project, material, until, recorder, Path(scratch)).fit()
                except KeyboardInterrupt:
                    recorder.interrupted = True
            recorder.close()
            if recorder.interrupted or not recorder.begun:
                return recorder.interrupted
    return False


class Recorder(tune.Callback):  # type: ignore[misc]  # Ray has no types
    """Writes into the study what Ray tells of its trials; it is called in the process that runs the command."""

    def __init__(self, study: Study, until: float, say: Callable[[str], None]) -> None:
        self._study, self._until, self._say = study, until, say
        self._claims: dict[str, Claim] = {}
        self._began: dict[str, float] = {}
        self._reasons: dict[str, str] = {}
        self.begun, self.interrupted = 0, False

    def on_trial_start(self, *, trial: Any, **_: Any) -> None:
        """It is the study's from now on."""
        self.begun += 1
        self._claims[trial.trial_id] = self._study.take(trial.config[VALUES])
        self._began[trial.trial_id] = time.monotonic()

    def on_trial_result(self, *, trial: Any, result: dict[str, Any], **_: Any) -> None:
        """An epoch's line, or what came of it."""
        claim = self._claims[trial.trial_id]
        if FAILED in result:
            self._reasons[trial.trial_id] = result[FAILED]
            return
        self._study.judge(result[CALLED])
        if LINE in result:
            line = result[LINE]
            append_line(claim.folder / METRICS, line)
            claim.trial.report(line[result[CALLED]], int(line["epoch"]))

    def on_trial_complete(self, *, trial: Any, **_: Any) -> None:
        """To its end, or as far as it was worth."""
        last = trial.last_result or {}
        if FAILED in last:
            self.on_trial_error(trial=trial)
        elif DONE in last:
            for name, value in last[DONE].items():
                self._claims[trial.trial_id].trial.set_user_attr(name, value)
            self._ended(trial, f"{last[CALLED]} {last[MEASURE]:.5g}", self._study.complete, float(last[MEASURE]))
        elif time.time() < self._until:
            self._ended(trial, "pruned", self._study.prune)
        else:
            self._ended(trial, "", self._study.stop, "time was up")

    def on_trial_error(self, *, trial: Any, **_: Any) -> None:
        """By a reason of its own, or because what ran it is gone."""
        reason = self._reasons.pop(trial.trial_id, None)
        if reason is not None:
            self._ended(trial, f"failed: {reason}", self._study.fail, reason)
        else:
            self._ended(trial, "killed", self._study.lose)

    def close(self) -> None:
        """Give back what was begun and did not end."""
        self.interrupted |= bool(self._claims) and time.time() < self._until
        for claim in self._claims.values():
            self._study.stop(claim, "interrupted" if self.interrupted else "time was up")
            claim.free()
        self._claims.clear()

    def _ended(self, trial: Any, said: str, end: Callable[..., None], *given: Any) -> None:
        claim = self._claims.pop(trial.trial_id)
        claim.trial.set_user_attr("seconds", round(time.monotonic() - self._began[trial.trial_id], 2))
        end(claim, *given)
        claim.free()
        if said:
            settings = ", ".join(f"{path}={value}" for path, value in claim.values.items())
            self._say(f"trial {claim.number}: {said}  ({settings})")


def _tuner(
    study: Study, project: Project, material: Material, until: float, recorder: Recorder, scratch: Path
) -> tune.Tuner:
    """What Ray needs to know."""
    settings, resources = project.tuning, {"cpu": project.training.threads}
    if project.training.device == "cuda":
        resources["gpu"] = 1
    waiting, config = study.waiting, {}
    search, count = None, 1
    if settings.method == "tpe":
        from training.tune.proposer import Proposer  # noqa: PLC0415 - one method needs it, and it takes long

        search, count = Proposer(study, MEASURE, VALUES), study.total - study.begun + len(waiting)
    else:
        config = {VALUES: tune.grid_search([*waiting, *study.planned])}
    runs = tune.with_parameters(trained, project=project, material=material)
    return tune.Tuner(
        tune.with_resources(runs, resources),
        param_space=config,
        tune_config=tune.TuneConfig(
            metric=MEASURE,
            mode="min",
            search_alg=search,
            scheduler=_scheduler(project),
            num_samples=count,
            max_concurrent_trials=settings.workers,
            reuse_actors=True,  # to start a process takes longer than many a trial
            time_budget_s=None if math.isinf(until) else max(until - time.time(), 1.0),
        ),
        run_config=tune.RunConfig(storage_path=str(scratch), verbose=0, callbacks=[recorder]),
    )


def _scheduler(project: Project) -> Any:
    """What ends trials that are not worth going on with."""
    tried = project.tuning.space.get("training.epochs")
    epochs = max([project.training.epochs, *(tried.ends if tried else [])])
    spared = max(1, round(SPARED * epochs))
    if project.tuning.prune == "asha":
        longest = epochs + 2  # the last report comes after the last epoch, and is no reason to end it
        return tune.schedulers.ASHAScheduler(max_t=longest, grace_period=spared, reduction_factor=FACTOR)
    if project.tuning.prune == "median":
        return tune.schedulers.MedianStoppingRule(
            time_attr="training_iteration", grace_period=spared, min_samples_required=5
        )
    return tune.schedulers.FIFOScheduler()


@contextlib.contextmanager
def _connected(project: Project, material: Material) -> Iterator[None]:
    """While Ray runs: that of the address, one that this process has already, or our own, which ends with us."""
    set_for_libraries(VARIABLES)
    settings, quiet = project.tuning, {"log_to_driver": False, "logging_level": "error"}
    own = not ray.is_initialized()
    with _quiet():
        try:
            if own and settings.address is not None:
                _reach(settings.address)
                ray.init(address=settings.address, **quiet)
            elif own:
                cpus = settings.workers * project.training.threads
                store = max(LEAST_STORE, 3 * _bytes(material))
                ray.init("local", num_cpus=cpus, include_dashboard=False, object_store_memory=store, **quiet)
        except (OSError, RuntimeError, ValueError) as error:
            where = settings.address or "on this machine"
            told = (str(error).splitlines() or [type(error).__name__])[0]
            hint = "`ray status --address ADDRESS` tells whether it runs; this Ray and Python must be of its versions"
            raise Unavailable(f"Ray {where}", f"does not answer: {told}", hint=hint) from error
    try:
        yield
    finally:
        if own:
            ray.shutdown()


def _reach(address: str) -> None:
    """Look whether anybody listens there: Ray itself would ask for minutes, and then end the process.

    Raises:
        OSError: nobody does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():  # "auto" names none
        socket.create_connection((host, int(port)), timeout=REACH_SECONDS).close()


def _bytes(material: Material) -> int:
    rows = material.rows
    return sum(array.nbytes for array in (rows.time, rows.target, *rows.columns.values(), *rows.marks.values()))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what Ray warns itself of, and the traces of trials that failed, which the study has the reasons of."""
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
