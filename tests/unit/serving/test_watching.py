"""Workers that cannot start end the server, those that hang are killed, and none outlives who watches them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from examples.bikeshare.demo.processes import staytrue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from staytrue.store import Store

ROOT = Path(__file__).parents[3]
PROJECT = """\
name: tiny
store: store
data: {source: none.csv, time: t, target: total, features: {number: {kind: numeric}}}
serving: {log: events, port: 0, grpc_port: null}
"""
SCRIPT = """\
import logging, os, sys, time
from pathlib import Path
from serving import workers
from serving.ports import Ports, reserve
from staytrue.server import ServingSection

logging.basicConfig(level=logging.INFO)
workers.FIRST_PAUSE_SECONDS, workers.SILENT_SECONDS = 0.05, 1.0
folder = Path(sys.argv[1])

def listens(own, seconds=60.0):
    until = time.monotonic() + seconds
    (folder / str(os.getpid())).touch()
    while time.monotonic() < until:
        os.write(own.pulse, b".")
        time.sleep(0.05)
    return 0

def fails(own):
    raise RuntimeError("cannot load")

def fails_but_one(own):
    return listens(own) if own.tells else fails(own)

def crashes(own):
    listens(own, 0.2)
    return 3

settings = ServingSection(workers=2, port=0, grpc_port=None)
sys.exit(workers.Workers(2, reserve(settings), globals()[sys.argv[2]], 5.0).run())
"""


class Watched:
    """A server of two workers that do what a function of the script does."""

    def __init__(self, folder: Path, what: str) -> None:
        self.folder, self.log = folder, folder.with_suffix(".log")
        folder.mkdir()
        with self.log.open("wb") as log:
            command = [sys.executable, "-c", SCRIPT, str(folder), what]
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log, start_new_session=True)

    def listening(self) -> set[int]:
        """Workers that listen, or did."""
        return {int(path.name) for path in self.folder.iterdir()}

    def text(self) -> str:
        """What was logged so far."""
        return self.log.read_text()

    def end(self) -> None:
        """Also where a test fails."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[[str], Watched]]:
    """Start such servers."""
    made: list[Watched] = []

    def watcher(what: str) -> Watched:
        made.append(Watched(tmp_path / what, what))
        return made[-1]

    yield watcher
    for watched in made:
        watched.end()


def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something that other processes do."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def gone(process: int) -> bool:
    """Whether a process has ended, whoever reaps it."""
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_server_whose_workers_never_listen_gives_up_after_three_tries(watch: Callable[[str], Watched]) -> None:
    watched = watch("fails")
    assert watched.process.wait(30) == 1
    assert "no other does: the server ends" in watched.text()
    assert 5 <= watched.text().count("RuntimeError: cannot load") <= 6


def test_a_worker_that_never_listens_does_not_end_the_one_that_does(watch: Callable[[str], Watched]) -> None:
    watched = watch("fails_but_one")
    until(lambda: watched.text().count("RuntimeError: cannot load") >= 5)
    (worker,) = watched.listening()
    assert not gone(worker)
    assert watched.process.poll() is None


def test_pauses_between_short_lives_grow(watch: Callable[[str], Watched]) -> None:
    watched = watch("crashes")
    said = [f"worker 1 ended with 3 and is started again in {pause} seconds" for pause in ("0.05", "0.1", "0.2")]
    until(lambda: all(line in watched.text() for line in said))


def test_no_worker_outlives_who_watches_it(watch: Callable[[str], Watched]) -> None:
    watched = watch("listens")
    until(lambda: len(watched.listening()) == 2)
    watched.process.kill()
    watched.process.wait(10)
    until(lambda: all(map(gone, watched.listening())), 10)


def test_a_worker_that_hangs_is_killed_and_started_again(watch: Callable[[str], Watched]) -> None:
    watched = watch("listens")
    until(lambda: len(watched.listening()) == 2)
    before = watched.listening()
    hung = min(before)
    os.kill(hung, signal.SIGSTOP)
    until(lambda: len(watched.listening()) == 3)
    assert "has not moved for 1 seconds and is killed" in watched.text()
    assert gone(hung)
    assert not gone(max(before))
    watched.process.send_signal(signal.SIGTERM)
    assert watched.process.wait(30) == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [(["--keys", "keys.yaml"], "keys.yaml: expected one key `keys`"), (["--provider", "openvino"], "openvino")],
)
def test_settings_that_are_wrong_end_all_of_it_at_once(
    store: Store, tmp_path: Path, flags: list[str], said: str
) -> None:
    assert store.models() == ["tiny"]
    (tmp_path / "staytrue.yaml").write_text(PROJECT)
    (tmp_path / "keys.yaml").write_text("none: 1\n")
    command = staytrue("serve", "--project", tmp_path / "staytrue.yaml", "--workers", "2", *flags)
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "listening" not in ended.stdout
