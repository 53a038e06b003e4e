"""Retraining jobs: at most one at a time and one per cooldown, however many alerts there are."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import msgspec
import psutil

from staytrue.errors import CorruptData
from staytrue.records import DAY_SECONDS, read, to_json, utc, write_atomically
from staytrue.verdicts import RetrainJob, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from monitoring.state import State
    from staytrue.alerts import Alert
    from staytrue.sections import RetrainingSection

log = logging.getLogger(__name__)
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
        clock: Callable[[], float] = time.time,
        command: tuple[str, ...] = (sys.executable, "-m", "staytrue", "retrain"),
    ) -> None:
        self._state, self._folder, self._project, self._policy = state, folder.resolve(), project, policy
        self._clock, self._command = clock, command
        self._child: subprocess.Popen[bytes] | None = None

    def active(self) -> RetrainJob | None:
        """The job that is queued or running."""
        return next((job for job, _ in self._state.jobs() if job.state in ("queued", "running")), None)

    def consider(
        self, model: str, champion: str, firing: list[Alert], event_time: float, labels: Callable[[], int]
    ) -> None:
        """Create a job if an alert calls for one and nothing speaks against it.

        Args:
            labels: counts the labelled rows that are new since the last job; asked last, as it reads the lake.
        """
        if not self._policy.enabled or not firing or self.active():
            return
        before = [job.event_time for job, _ in self._state.jobs() if job.model == model]
        if before and event_time - max(before) < self._policy.cooldown_days * DAY_SECONDS:
            return
        if labels() < self._policy.minimum_labels:
            return
        job = RetrainJob(
            id=f"{model}-{utc(event_time)[:10]}-{len(before) + 1}",
            model=model,
            trigger="; ".join(alert.annotations.get("summary", "") for alert in firing)[:500],
            fingerprints=[alert.fingerprint for alert in firing],
            champion=champion,
            event_time=event_time,
            created=self._clock(),
            log=LOG,
        )
        self._state.save_job(job)

    def follow(self) -> None:
        """Start what is queued; take note of what has ended."""
        job = self.active()
        if job is None:
            return
        if job.state == "queued":
            self._start(job)
        elif not self._runs(job):
            self._finish(job)

    def last_event_time(self, model: str) -> float:
        """Event time of the last job's trigger; 0 without one."""
        return max((job.event_time for job, _ in self._state.jobs() if job.model == model), default=0.0)

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
        fault = "" if verdict else f"ended without a verdict: {self._last_words(job)}"
        state = "succeeded" if verdict else "failed"
        ended = msgspec.structs.replace(job, state=state, finished=self._clock(), error=fault)
        self._state.save_job(ended, verdict)
        log.info("retraining %s %s: %s", job.id, state, verdict.reason if verdict else fault)

    def _last_words(self, job: RetrainJob) -> str:
        path = self._folder / job.id / LOG
        lines = path.read_text(errors="replace").split("\n") if path.exists() else []
        return next((line.strip()[-300:] for line in reversed(lines) if line.strip()), "it printed nothing")


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
