"""Retraining jobs: exactly one, however many alerts and deaths; followed to its verdict."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import msgspec
import psutil
import pytest

from monitoring.response.jobs import JOB
from staytrue.records import read, to_json
from staytrue.verdicts import RetrainJob, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.monitoring.conftest import Rig

DAY = 86400.0
VERDICT = Verdict(
    job="j",
    model="toy",
    champion="1",
    challenger="2",
    metric="mae",
    rows=9,
    blocks=3,
    champion_error=2,
    challenger_error=1,
    difference=-1,
    low=-2,
    high=-0.5,
    confidence=0.95,
    promote=True,
    reason="better",
    decided=0,
)
DECIDING = (
    "import sys, pathlib; job = pathlib.Path(sys.argv[-1]); print('working'); "
    "print(job.parent, file=(job.parent.parent / 'runs.txt').open('a')); "
    "(job.parent / 'verdict.json').write_bytes((job.parent.parent / 'say.json').read_bytes())"
)
DECIDES = (sys.executable, "-c", DECIDING)
FAILS = (sys.executable, "-c", "import sys; print('it broke'); print(); sys.exit(3)")
WAITS = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
def deciding(make_rig: Callable[..., Rig]) -> Rig:
    """A sidecar whose jobs end with a verdict at once."""
    rig = make_rig(retrain=True, command=DECIDES)
    (rig.folder / "jobs").mkdir()
    (rig.folder / "jobs" / "say.json").write_bytes(to_json(VERDICT))
    return rig


def finish(rig: Rig) -> RetrainJob:
    """Follow the newest job to its end."""
    for _ in range(200):
        rig.parts.jobs.follow()
        if rig.parts.jobs.active() is None:
            return rig.parts.state.jobs()[-1][0]
        time.sleep(0.05)
    raise AssertionError("the job does not end")


def jobs(rig: Rig) -> list[RetrainJob]:
    """All jobs."""
    return [job for job, _ in rig.parts.state.jobs()]


def test_many_alerts_make_exactly_one_job(deciding: Rig) -> None:
    for day in range(2, 6):
        deciding.script.drift[day] = deciding.script.quality[day] = 2.0
    deciding.live(0, 5)
    (job,) = jobs(deciding)
    ended = finish(deciding)
    assert (ended.state, ended.id) == ("succeeded", "toy-2011-03-17-1")
    assert (ended.champion, ended.event_time) == ("1", deciding.start + 3 * DAY)
    assert len(job.fingerprints) == 2
    assert "drift in x" in job.trigger
    assert "mae" in job.trigger
    assert deciding.parts.state.jobs()[0][1] == VERDICT
    assert len((deciding.folder / "jobs" / "runs.txt").read_text().splitlines()) == 1
    assert "working" in (deciding.folder / "jobs" / job.id / "log.txt").read_text()
    assert read(RetrainJob, deciding.folder / "jobs" / job.id / JOB).id == job.id


def test_the_next_job_waits_for_its_cooldown_in_event_time(deciding: Rig) -> None:
    deciding.script.drift = dict.fromkeys(range(1, 20), 2.0)
    for day in range(16):
        deciding.live(day, day)
        if deciding.parts.jobs.active():
            finish(deciding)
    days = [(job.event_time - deciding.start) / DAY for job in jobs(deciding)]
    assert days == [4, 9, 14]  # fires on day 2; four newly labelled rows are there on day 4; then every 5 days


def test_too_few_new_labels_make_no_job(deciding: Rig) -> None:
    deciding.script.drift = dict.fromkeys(range(1, 20), 2.0)
    deciding.log(deciding.event(deciding.start), deciding.event(deciding.start + 8 * DAY))
    deciding.analyst.tick()
    assert deciding.parts.state.active()
    assert jobs(deciding) == []


def test_data_alerts_and_switched_off_retraining_make_no_job(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(retrain=False)
    rig.script.drift = dict.fromkeys(range(1, 20), 2.0)
    rig.live(0, 8)
    assert rig.parts.state.active()
    assert jobs(rig) == []


def test_a_job_that_fails_says_its_last_words(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(retrain=True, command=FAILS)
    rig.script.drift = dict.fromkeys(range(1, 5), 2.0)
    rig.live(0, 4)
    job = finish(rig)
    assert (job.state, job.error) == ("failed", "ended without a verdict: it broke")


def test_a_verdict_that_cannot_be_read_fails_the_job(deciding: Rig) -> None:
    (deciding.folder / "jobs" / "say.json").write_bytes(b"{}")
    deciding.script.drift = dict.fromkeys(range(1, 5), 2.0)
    deciding.live(0, 4)
    assert finish(deciding).state == "failed"


def test_a_running_job_outlives_the_sidecar_and_is_adopted(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(retrain=True, command=WAITS)
    rig.script.drift = dict.fromkeys(range(1, 9), 2.0)
    rig.live(0, 4)
    running = rig.parts.jobs.active()
    assert running
    assert os.getsid(running.pid) == running.pid  # a session of its own: signals to the sidecar's do not reach it
    mine = rig.parts.jobs._child
    rig.again()
    rig.live(5, 6)
    assert rig.parts.jobs.active() == running
    os.kill(running.pid, signal.SIGKILL)
    assert mine
    mine.wait(10)
    assert finish(rig).state == "failed"
    assert len(jobs(rig)) == 1


def test_a_job_whose_number_another_process_has_now_is_not_taken_for_running(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(retrain=True, command=FAILS)
    rig.script.drift = dict.fromkeys(range(1, 5), 2.0)
    rig.live(0, 4)
    (job,) = jobs(rig)
    mine = psutil.Process()
    rig.again()
    rig.parts.state.save_job(msgspec.structs.replace(job, state="running", pid=mine.pid, started=1.0))
    rig.parts.jobs.follow()
    assert jobs(rig)[0].state == "failed"


class Death(BaseException):
    """What a kill is to the code that it ends."""


def die_before_noting_the_start(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> subprocess.Popen[bytes]:
    """Raise the alarm that starts a job, and die before the start is noted; the job's process."""
    rig.script.drift = dict.fromkeys(range(1, 5), 2.0)
    save, children = rig.parts.state.save_job, list[subprocess.Popen[bytes]]()

    def die(job: RetrainJob, verdict: Verdict | None = None) -> None:
        if job.state == "running":
            children.append(rig.parts.jobs._child)  # type: ignore[arg-type]
            raise Death
        save(job, verdict)

    monkeypatch.setattr(rig.parts.state, "save_job", die)
    with pytest.raises(Death):
        rig.live(0, 4)
    return children[0]


def test_a_sidecar_killed_between_starting_a_job_and_noting_it_starts_no_second(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig(retrain=True, command=WAITS)
    child = die_before_noting_the_start(rig, monkeypatch)
    rig.again()
    rig.parts.jobs.follow()
    (job,) = jobs(rig)
    assert (job.state, job.pid) == ("running", child.pid)
    child.kill()
    child.wait(10)
    assert finish(rig).state == "failed"


def test_a_job_that_ended_before_anybody_noted_its_start_is_not_done_again(
    deciding: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_before_noting_the_start(deciding, monkeypatch).wait(10)
    deciding.again()
    assert finish(deciding).state == "succeeded"
    assert len((deciding.folder / "jobs" / "runs.txt").read_text().splitlines()) == 1


def test_a_queued_job_is_started_by_the_next_sidecar(deciding: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding.parts.jobs, "follow", lambda: None)
    deciding.script.drift = dict.fromkeys(range(1, 5), 2.0)
    deciding.live(0, 4)
    assert [job.state for job in jobs(deciding)] == ["queued"]
    deciding.again()
    assert finish(deciding).state == "succeeded"


def test_the_folder_of_jobs_is_named_absolutely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path as Folder

    from monitoring.response.jobs import Jobs
    from monitoring.state import State
    from staytrue.sections import RetrainingSection

    monkeypatch.chdir(tmp_path)
    state = State(tmp_path / "state.sqlite")
    assert Jobs(state, Folder("jobs"), tmp_path, RetrainingSection())._folder == tmp_path / "jobs"
    state.close()
