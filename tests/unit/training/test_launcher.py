"""Launcher: what one of several processes refuses is told once, and its exit code is the command's."""

from __future__ import annotations

import argparse
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from staytrue.errors import InvalidConfig
from tests.needs import linux
from training import commands, launcher, processes
from training.ending import LAUNCHER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staytrue.project import Project

MEETING = ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1", "--nproc-per-node=2"]
KILLED = "one of the processes was ended by SIGKILL; `staytrue train --resume` goes on"
WORKER = """
import os, signal, sys, time
if os.environ["RANK"] == "{rank}":
    print("the column is not there", file=sys.stderr, flush=True)
    {end}
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _undone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The launcher has a process of its own, and takes its signals, log and environment; here they are given back."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv(LAUNCHER, "0")
    monkeypatch.setenv("TORCHELASTIC_SIGNALS_TO_HANDLE", "")
    taken = {number: signal.getsignal(number) for number in (1, 2, 3, 15)}
    yield
    logging.disable(logging.NOTSET)
    for number, handler in taken.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("rank", "end", "code", "told"),
    [
        (0, "sys.exit(2)", 2, "the column is not there\n"),
        (1, "sys.exit(1)", 1, "the column is not there\n"),
        (
            1,
            "os.kill(os.getpid(), signal.SIGKILL)",
            1,
            f"the column is not there\nstaytrue train: {KILLED}\n",
        ),
    ],
    ids=["refused by the main one", "refused by another", "killed"],
)
def test_a_process_that_fails_ends_the_others_with_its_own_code_and_words(
    rank: int, end: str, code: int, told: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing of torchrun's own: no traceback, no table of processes."""
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER.format(rank=rank, end=end), encoding="utf-8")
    began = time.monotonic()
    assert launcher.main([*MEETING, str(worker)]) == code
    assert time.monotonic() - began < 50
    assert capfd.readouterr().err == told


@pytest.mark.parametrize("main", [True, False])
def test_what_all_processes_refuse_is_left_to_the_main_one(
    main: bool, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another waits to be ended by its end, and tells only what nobody else has found."""
    waited: list[float] = []

    def refuse(*_: object, **__: object) -> None:
        raise InvalidConfig("data.features.x", "no column")

    monkeypatch.setattr("training.run.train", refuse)
    monkeypatch.setattr(processes, "is_main", lambda: main)
    monkeypatch.setattr(time, "sleep", waited.append)
    given = argparse.Namespace(project=project.folder / "staytrue.yaml", seed=None, resume=None, test="skip")
    with pytest.raises(InvalidConfig, match="no column"):
        commands.Train().run(given)
    assert waited == ([] if main else [processes.TELLING_SECONDS])


def test_processes_know_their_launcher(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import os, sys\nsys.exit(os.environ['STAYTRUE_LAUNCHER'] != str(os.getppid()))\n")
    command = [sys.executable, "-m", "training.launcher", *MEETING, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@linux
def test_who_ends_it_while_it_begins_gets_no_traceback(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("")
    command = [sys.executable, "-m", "training.launcher", *MEETING, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        maps = Path(f"/proc/{process.pid}/maps")
        while process.poll() is None and "libtorch" not in maps.read_text():  # whose import takes seconds from here on
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate()
    assert (process.returncode, said) == (-signal.SIGINT, b"")
