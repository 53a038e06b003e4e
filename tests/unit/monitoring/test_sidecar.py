"""The sidecar as a whole, run as people run it, in a process of its own."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from monitoring.sidecar import _alone, _event_clock, _ticks
from staytrue.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.unit.monitoring.conftest import Rig

PROJECT = """
name: toy
data:
  source: none.csv
  time: at
  target: y
  features: {x: {kind: numeric}, hour: {kind: category, datatype: INT64}, sky: {kind: category}}
serving: {log: events, event_time: request}
store: store
monitoring: {port: 0, data: ., poll_seconds: 0.02, evidently: false}
retraining: {enabled: false}
"""


class Sidecar:
    """``staytrue monitor`` on a free port."""

    def __init__(self, folder: Path) -> None:
        (folder / "staytrue.yaml").write_text(PROJECT, encoding="utf-8")
        command = [sys.executable, "-m", "staytrue", "monitor", "--project", str(folder / "staytrue.yaml")]
        with (folder / "sidecar.log").open("ab") as errors:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line.startswith("staytrue monitor: listening on http://127.0.0.1:"), (folder / "sidecar.log").read_text()
        self.address = line.split()[-1]

    def call(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        answer = httpx.request("GET" if body is None else "POST", self.address + path, json=body, timeout=10)
        return answer.status_code, answer.json()

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The status, once something holds of it."""
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            status: dict[str, Any] = self.call("/v1/status")[1]
            if holds(status):
                return status
            time.sleep(0.02)
        raise AssertionError(status)

    def end(self, number: signal.Signals) -> int:
        """End it by a signal; the exit code."""
        self.process.send_signal(number)
        assert self.process.stdout
        self.process.stdout.close()
        return self.process.wait(15)


@pytest.fixture
def start(rig: Rig) -> Iterator[Callable[[], Sidecar]]:
    """Start sidecars over the rig's folder; whatever still runs at the end is killed."""
    rig.labels.close()
    started: list[Sidecar] = []

    def starter() -> Sidecar:
        started.append(Sidecar(rig.folder))
        return started[-1]

    yield starter
    for sidecar in started:
        if sidecar.process.poll() is None:
            sidecar.end(signal.SIGKILL)


def test_it_collects_looks_survives_a_kill_and_ends_cleanly(rig: Rig, start: Callable[[], Sidecar]) -> None:
    first = [rig.event(rig.start + hour * 3600, name=f"e{hour:03}") for hour in range(60)]
    rig.log(*first)
    sidecar = start()
    labels = [{"event_id": item.id, "truth": 1.0, "known": item.time} for item in first]
    assert sidecar.call("/v1/labels", {"labels": labels}) == (200, {"accepted": 60})
    sidecar.until(lambda status: status["counts"]["events"] == 60)
    assert sidecar.end(signal.SIGKILL) == -9
    rig.log(*[rig.event(rig.start + hour * 3600, name=f"e{hour:03}") for hour in range(60, 97)])
    again = start()
    status = again.until(lambda status: status["looked_until"] == rig.start + 4 * 86400)
    assert (status["counts"]["events"], status["counts"]["labels"]) == (97, 60)
    assert rig.stored() == [f"e{hour:03}" for hour in range(97)]
    windows = again.call("/v1/windows?model=toy")[1]
    assert [(item["end"] - rig.start) / 86400 for item in windows] == [1, 2, 3, 4]
    assert [item["rows"] for item in windows] == [24, 48, 72, 96]
    assert again.call("/healthz")[0] == 200
    assert again.end(signal.SIGTERM) == 0
    assert start().end(signal.SIGHUP) == 0
    assert "Traceback" not in (rig.folder / "sidecar.log").read_text()


def test_a_second_sidecar_in_the_same_folder_is_refused(rig: Rig, start: Callable[[], Sidecar]) -> None:
    sidecar = start()
    command = [sys.executable, "-m", "staytrue", "monitor", "--project", str(rig.folder / "staytrue.yaml")]
    second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 1
    assert "another sidecar is at work here" in second.stderr
    assert sidecar.end(signal.SIGINT) == 0


def test_the_folder_is_free_again_after_its_sidecar(tmp_path: Path) -> None:
    with _alone(tmp_path / "new"), pytest.raises(Conflict), _alone(tmp_path / "new"):
        pass
    with _alone(tmp_path / "new"):
        pass


def test_a_tick_that_fails_is_told_tried_again_and_forgotten(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each failure is counted; the log tells when they begin and end."""
    import asyncio

    caplog.set_level("INFO")
    monkeypatch.setattr("monitoring.sidecar.AFTER_FAILURE_SECONDS", 0.01)
    seen: list[str] = []
    ending = asyncio.Event()

    def tick() -> int:
        seen.append(rig.parts.vitals.failing)
        if len(seen) < 3:
            raise OSError("disk")
        if len(seen) == 4:
            ending.set()
        return 0

    def broken() -> None:
        raise OSError("still")

    monkeypatch.setattr(rig.analyst, "tick", tick)
    monkeypatch.setattr(rig.analyst, "recover", broken)
    asyncio.run(_ticks(rig.analyst, rig.parts.vitals, 0.001, ending))
    assert seen == ["", "OSError: disk", "OSError: disk", ""]
    assert rig.parts.vitals.failed_ticks == 2
    told = [line for line in caplog.messages if line.startswith("a tick ")]
    assert told == [
        "a tick fails: OSError('disk'); it is tried again",
        "a tick works again: it failed for 0 s, 2 times",
    ]


def test_labels_of_a_replay_are_dated_by_event_time(rig: Rig) -> None:
    from staytrue.project import load

    (rig.folder / "staytrue.yaml").write_text(PROJECT, encoding="utf-8")
    project = load(rig.folder / "staytrue.yaml")
    clock = _event_clock(project, rig.parts)
    assert abs(clock() - time.time()) < 60
    rig.log(rig.event(rig.start))
    rig.analyst.tick()
    assert clock() == rig.start
    live = project.model_copy(update={"serving": project.serving.model_copy(update={"event_time": "arrival"})})
    assert _event_clock(live, rig.parts) is time.time


@pytest.mark.parametrize("flags", [["--port", "70000"], ["--host", "0.0.0.0"]], ids=["port", "host"])  # noqa: S104
def test_settings_that_cannot_be_are_refused(tmp_path: Path, flags: list[str]) -> None:
    from staytrue.command import main

    (tmp_path / "staytrue.yaml").write_text(PROJECT, encoding="utf-8")
    with contextlib.redirect_stderr(None):
        assert main(["monitor", "--project", str(tmp_path / "staytrue.yaml"), *flags]) == 2


def test_python_m_monitoring_is_the_same_command() -> None:
    ran = subprocess.run([sys.executable, "-m", "monitoring", "--help"], capture_output=True, text=True, check=False)
    assert (ran.returncode, "usage: staytrue monitor" in ran.stdout) == (0, True)
