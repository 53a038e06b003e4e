"""Retraining jobs: exactly one, however many alerts and deaths; followed to its verdict."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.response.jobs import JOB, lacking
from staytrue.errors import InvalidConfig
from staytrue.records import read, to_json
from staytrue.sections import GateSection, RetrainingSection
from staytrue.settings import resolve
from staytrue.store import Aliases, Store
from staytrue.verdicts import RetrainJob, Verdict
from training.data.divide import divide
from training.data.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

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
    promote=False,
    reason="no better",
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
    say(rig, VERDICT)
    return rig


def say(rig: Rig, verdict: Verdict) -> None:
    """What the next job decides."""
    (rig.folder / "jobs" / "say.json").write_bytes(to_json(verdict))


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
    if (child := rig.parts.jobs._child) is not None:
        child.wait(30)
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

    monkeypatch.chdir(tmp_path)
    state = State(tmp_path / "state.sqlite")
    store = Store(tmp_path / "store")
    assert Jobs(state, Folder("jobs"), tmp_path, RetrainingSection(), store)._folder == tmp_path / "jobs"
    state.close()


def decide(rig: Rig, verdict: Verdict) -> Verdict:
    """Let an alarm start a job that decides so and does not act; the verdict that the sidecar kept."""
    say(rig, verdict)
    rig.script.drift = dict.fromkeys(range(1, 5), 2.0)
    rig.live(0, 4)
    assert finish(rig).state == "succeeded"
    kept = rig.parts.state.jobs()[-1][1]
    assert kept
    return kept


BETTER = msgspec.structs.replace(VERDICT, promote=True, reason="better")


def unpromoted(rig: Rig) -> None:
    """Publish version 2 and leave version 1 the champion, with a journal that never heard of version 2."""
    rig.publish()
    folder = rig.store.root / "toy"
    journal = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "journal.jsonl").write_bytes(journal[0])
    (folder / "aliases.json").write_bytes(to_json(Aliases(revision=1, champion="1")))


def test_a_job_that_died_between_deciding_and_promoting_is_carried_out(deciding: Rig) -> None:
    unpromoted(deciding)
    assert decide(deciding, BETTER) == BETTER
    assert deciding.store.aliases("toy").champion == "2"
    change = deciding.store.journal("toy")[-1]
    assert (change.action, change.before, change.figures) == ("promote", "1", BETTER.figures())
    assert change.reason == "retraining toy-2011-03-17-1: better"


def test_a_promotion_that_somebody_took_back_since_is_not_done_again(deciding: Rig) -> None:
    deciding.publish()
    deciding.store.roll_back("toy", reason="a person knows better")
    assert decide(deciding, BETTER) == BETTER
    assert deciding.store.aliases("toy").champion == "1"
    assert len(deciding.store.journal("toy")) == 3


def test_a_promotion_that_cannot_be_carried_out_is_not_claimed(deciding: Rig) -> None:
    kept = decide(deciding, BETTER)  # there is no version 2
    assert not kept.promote
    assert kept.reason.startswith('better; but model "toy": has no version "2"')
    assert deciding.store.aliases("toy").champion == "1"


def test_a_verdict_against_a_champion_that_is_one_no_more_promotes_nothing(
    deciding: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpromoted(deciding)
    jobs = deciding.parts.jobs
    monkeypatch.setattr(jobs, "_carried_out", lambda job, v: type(jobs)._carried_out(jobs, replaced(job), v))
    kept = decide(deciding, BETTER)
    assert not kept.promote
    assert "expected 0, got 1" in kept.reason
    assert deciding.store.aliases("toy").champion == "1"


def replaced(job: RetrainJob) -> RetrainJob:
    """The job, made against a champion before."""
    return msgspec.structs.replace(job, champion="0")


def hours(days: float, first: float = 0.0) -> NDArray[np.float64]:
    """A row an hour."""
    return (first + np.arange(0, days, 1 / 24)) * DAY


POLICY = RetrainingSection()


@pytest.mark.parametrize(
    ("times", "trained", "last", "said"),
    [
        (hours(4), -DAY, 0.0, "95 of 100 newly labelled rows"),
        (hours(17), -DAY, 15 * DAY, "47 of 100 newly labelled rows"),
        (hours(16), -DAY, 0.0, "16 of 17 labelled days, of which 5 would judge"),
        (hours(17), 1.0, 0.0, "16 of 17 labelled days, of which 5 would judge"),  # the first day was seen in part
        (hours(17), -DAY, 0.0, ""),
        (hours(60), 45.5 * DAY, 0.0, "14 of 17 labelled days, of which 5 would judge"),
        (np.concatenate([hours(9), hours(9, 30)]), -DAY, 0.0, "9 of 17 labelled days, of which 5 would judge"),
        (np.repeat(hours(21)[::24], 5), -DAY, 0.0, "105 labelled rows"),
        (hours(0), -DAY, 0.0, "0 of 100 newly labelled rows"),
    ],
)
def test_a_job_starts_only_when_there_is_enough_to_judge_by(
    times: NDArray[np.float64], trained: float, last: float, said: str
) -> None:
    policy = POLICY if "105" not in said else RetrainingSection(gate=GateSection(minimum_rows=32))
    assert lacking(times, trained, last, policy).startswith(said)
    assert bool(lacking(times, trained, last, policy)) == bool(said)


@settings(max_examples=60, deadline=None)
@given(
    share=st.integers(10, 90),
    minimum=st.integers(1, 12),
    validation=st.sampled_from([0.1, 0.2, 0.4]),
    gaps=st.lists(st.integers(1, 4), min_size=1, max_size=80),
    trained=st.integers(-1, 30),
)
def test_what_is_enough_to_start_is_enough_for_training_to_judge_by(
    share: int, minimum: int, validation: float, gaps: list[int], trained: int
) -> None:
    gate = GateSection(holdout_share=share / 100, minimum_days=minimum, minimum_rows=1, recent_days=120)
    policy = RetrainingSection(minimum_labels=1, gate=gate)
    times = np.cumsum(gaps) * DAY
    if lacking(times, trained * DAY, 0.0, policy):
        return
    rows = Rows(time=times, columns={}, target=np.zeros(len(times)))
    dealt = divide(rows, trained * DAY, validation, policy)
    assert len(np.unique(dealt.gate.time // DAY)) >= minimum


def test_a_gate_that_no_challenger_could_ever_reach_is_refused() -> None:
    with pytest.raises(InvalidConfig, match=r"minimum_days 5 at a holdout_share of 0\.1 needs 50 days, .* leaves 21"):
        resolve(POLICY, "retraining", {"gate": {"holdout_share": 0.1}}, {})
