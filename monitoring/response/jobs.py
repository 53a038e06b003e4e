"""Retraining jobs: at most one at a time and one per cooldown, however many alerts there are."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import psutil

from staytrue.errors import CorruptData, StaytrueError
from staytrue.records import DAY_SECONDS, read, to_json, utc, write_atomically
from staytrue.verdicts import RetrainJob, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from monitoring.state import State
    from staytrue.alerts import Alert
    from staytrue.bundle import Bundle
    from staytrue.sections import RetrainingSection
    from staytrue.store import Store

log = logging.getLogger(__name__)
LOOKBACK_DAYS = 60.0
JOB, VERDICT, LOG = "job.json", "verdict.json", "log.txt"


class Jobs:
    """Starts jobs as processes of their own and follows them to their verdict, also over the sidecar's own death.

    Args:
        folder: each job has a folder in it.
        project: the file that the retraining command is given.
        command: what is run with ``--project`` and ``--job``.
    """

    def __init__(
        self,
        state: State,
        folder: Path,
        project: Path,
        policy: RetrainingSection,
        store: Store,
        clock: Callable[[], float] = time.time,
        command: tuple[str, ...] = (sys.executable, "-m", "staytrue", "retrain"),
    ) -> None:
        self._state, self._folder, self._project, self._policy = state, folder.resolve(), project, policy
        self._store, self._clock, self._command = store, clock, command
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def lookback_days(self) -> float:
        """How far back newly labelled rows matter."""
        return max(LOOKBACK_DAYS, self._policy.gate.recent_days + 1.0)

    def active(self) -> RetrainJob | None:
        """The job that is queued or running."""
        return next((job for job, _ in self._state.jobs() if job.state in ("queued", "running")), None)

    def consider(
        self,
        model: str,
        champion: Bundle,
        firing: list[Alert],
        event_time: float,
        labelled: Callable[[], NDArray[np.float64]],
    ) -> bool:
        """Create a job if an alert calls for one and nothing speaks against it; whether one was created.

        Args:
            labelled: times of the labelled rows that the champion has not seen; asked last, as it reads the lake.
        """
        if not self._policy.enabled or not firing or self.active():
            return False
        before = [job.event_time for job, _ in self._state.jobs() if job.model == model]
        if before and event_time - max(before) < self._policy.cooldown_days * DAY_SECONDS:
            return False
        lacks = lacking(labelled(), champion.lineage.trained_until, max(before, default=0.0), self._policy)
        if lacks:
            log.info("retraining of %s waits: %s", model, lacks)
            return False
        job = RetrainJob(
            id=f"{model}-{utc(event_time)[:10]}-{len(before) + 1}",
            model=model,
            trigger="; ".join(alert.annotations.get("summary", "") for alert in firing)[:500],
            fingerprints=[alert.fingerprint for alert in firing],
            champion=champion.version,
            event_time=event_time,
            created=self._clock(),
            log=LOG,
        )
        self._state.save_job(job)
        return True

    def follow(self) -> None:
        """Start what is queued; take note of what has ended."""
        job = self.active()
        if job is None:
            return
        if job.state == "queued":
            self._start(job)
        elif not self._runs(job):
            self._finish(job)

    def _start(self, job: RetrainJob) -> None:
        folder = self._folder / job.id
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / VERDICT).exists():  # it ran, and the sidecar was killed before it noted that
            self._finish(job)
            return
        write_atomically(folder / JOB, to_json(job))
        pid = _process_with(["--job", str(folder / JOB)])
        if pid is None:
            pid = self._spawn([*self._command, "--project", str(self._project), "--job", str(folder / JOB)], folder)
        running = msgspec.structs.replace(job, state="running", pid=pid, started=_started(pid) or self._clock())
        self._state.save_job(running)
        log.info("retraining %s started: %s", job.id, job.trigger)

    def _spawn(self, command: list[str], folder: Path) -> int:
        """Run a job in a session of its own, so that it outlives the sidecar."""
        with (folder / LOG).open("ab") as output:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        return self._child.pid

    def _runs(self, job: RetrainJob) -> bool:
        """Whether the job's own process lives: a number alone may have been given to another since."""
        if self._child is not None and self._child.pid == job.pid:
            return self._child.poll() is None
        started = _started(job.pid)
        return started is not None and abs(started - job.started) < 2.0

    def _finish(self, job: RetrainJob) -> None:
        path = self._folder / job.id / VERDICT
        self._child = None
        try:
            verdict = read(Verdict, path) if path.exists() else None
        except CorruptData as error:
            log.error("retraining %s: %s", job.id, error)  # noqa: TRY400 - the text says it all
            verdict = None
        if verdict is not None and verdict.promote:
            verdict = self._carried_out(job, verdict)
        fault = "" if verdict else f"ended without a verdict: {self._last_words(job)}"
        state = "succeeded" if verdict else "failed"
        ended = msgspec.structs.replace(job, state=state, finished=self._clock(), error=fault)
        self._state.save_job(ended, verdict)
        log.info("retraining %s %s: %s", job.id, state, verdict.reason if verdict else fault)

    def _carried_out(self, job: RetrainJob, verdict: Verdict) -> Verdict:
        """The verdict as it was acted upon: a job may end between deciding to promote and doing it."""
        if any(change.champion == verdict.challenger for change in self._store.journal(job.model)):
            return verdict
        why = f"retraining {job.id}: {verdict.reason}"
        try:
            self._store.promote(
                job.model, verdict.challenger, reason=why, figures=verdict.figures(), expected=job.champion
            )
        except StaytrueError as error:
            return msgspec.structs.replace(verdict, promote=False, reason=f"{verdict.reason}; but {error}")
        log.info("retraining %s had decided and not promoted: done now", job.id)
        return verdict

    def _last_words(self, job: RetrainJob) -> str:
        path = self._folder / job.id / LOG
        lines = path.read_text(errors="replace").split("\n") if path.exists() else []
        return next((line.strip()[-300:] for line in reversed(lines) if line.strip()), "it printed nothing")


def lacking(times: NDArray[np.float64], trained_until: float, last: float, policy: RetrainingSection) -> str:
    """What is missing before a challenger could be trained and judged; empty where nothing is.

    A job that finds too little to judge by would use up the cooldown for nothing. Fresh are the days that training's
    ``divide`` deals from: not seen by the champion, and recent.

    Args:
        times: of labelled rows; Unix seconds of event time.
        trained_until: the newest row that the champion was trained or chosen on.
        last: event time of the last job.
        policy: what a job needs.
    """
    gate, new = policy.gate, int((times > last).sum())
    if new < policy.minimum_labels:
        return f"{new} of {policy.minimum_labels} newly labelled rows"
    days = np.floor(times / DAY_SECONDS)
    fresh = days[(days > trained_until // DAY_SECONDS) & (days > days.max(initial=0.0) - gate.recent_days)]
    distinct = len(np.unique(fresh))
    if distinct < gate.labelled_days:
        return f"{distinct} of {gate.labelled_days} labelled days, of which {gate.minimum_days} would judge"
    if len(fresh) * gate.holdout_share < gate.minimum_rows:
        return f"{len(fresh)} labelled rows, too few to judge by {gate.minimum_rows}"
    return ""


def _process_with(words: list[str]) -> int | None:
    """A process whose command ends with these words: a job that a sidecar started and was killed before it noted it."""
    for process in psutil.process_iter(["cmdline", "status"]):
        if (process.info["cmdline"] or [])[-len(words) :] == words and process.info["status"] != psutil.STATUS_ZOMBIE:
            return int(process.pid)
    return None


def _started(pid: int) -> float | None:
    """When a process began, Unix seconds; None when there is none, or only its shell of a zombie."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None
