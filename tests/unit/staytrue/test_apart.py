"""Work in a process of its own: what it gives comes back, what it took does not stay, and nothing ends unheard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from staytrue.apart import apart
from staytrue.errors import InternalError, Overloaded, StaytrueError
from staytrue.orphans import hear_of_ends

VALUES: dict[str, Any] = {
    "path": Path("/srv/with space"),
    "nothing": None,
    "bytes": 10**30,
    "seconds": 75.0,
    "never": float("inf"),
    "on": True,
    "within": {"java": "java", "folder": Path("a")},
    "names": ["a", "ü\n"],
    "undecodable": Path(os.fsdecode(b"/srv/\xff")),
}


def test_what_the_work_gives_comes_back_as_it_was() -> None:
    assert apart(lambda: VALUES, "it") == VALUES


def test_what_it_imported_and_changed_does_not_stay() -> None:
    seen: list[int] = []

    def work() -> int:
        import this

        seen.append(1)
        return len([this, *seen])

    assert apart(work, "it") == 2
    assert "this" not in sys.modules
    assert seen == []


def test_its_error_is_raised_here_with_all_that_it_says() -> None:
    def work() -> None:
        raise Overloaded("queue", "is full", expected="4", got="5", hint="wait", retry_seconds=3.5)

    with pytest.raises(Overloaded) as caught:
        apart(work, "it")
    assert str(caught.value) == "queue: is full, expected 4, got 5; wait"
    assert caught.value.retry_seconds == 3.5


def test_an_error_that_nobody_explained_is_printed_where_it_happened(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InternalError, match="taking it apart: the process that does it ended with 1"):
        apart(lambda: 1 // 0, "taking it apart")
    assert "ZeroDivisionError" in capfd.readouterr().err
    with pytest.raises(InternalError, match="ended with 1"):
        apart(object, "it")
    assert "object cannot be told to another process" in capfd.readouterr().err


def test_a_process_that_is_killed_is_told_of() -> None:
    with pytest.raises(StaytrueError, match="it: the process that does it ended with -9"):
        apart(lambda: os.kill(os.getpid(), signal.SIGKILL), "it")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no kernel tells of a parent's end")
def test_it_does_not_outlive_who_asked_for_it(tmp_path: Path) -> None:
    note = tmp_path / "process"
    code = (
        "import os, pathlib, sys, time\nfrom staytrue.apart import apart\n"
        "def work():\n"
        "    half = pathlib.Path(sys.argv[1] + '.half'); half.write_text(str(os.getpid())); half.rename(sys.argv[1])\n"
        "    time.sleep(60)\n"
        "apart(work, 'it')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(note)]) as asked:
        try:
            _until(note.exists)
            process = int(note.read_text())
        finally:
            asked.kill()
    _until(lambda: not _runs(process))


def _runs(process: int) -> bool:
    """Whether it does; one that has ended and that nobody has looked after does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _until(there: Any) -> None:
    until = time.monotonic() + 20
    while not there():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_package_that_is_missing_is_told_as_such() -> None:
    with pytest.raises(ModuleNotFoundError, match="No module named 'nowhere'") as caught:
        apart(lambda: __import__("nowhere"), "it")
    assert caught.value.name == "nowhere"


def test_values_may_be_called_as_what_stands_for_others_is() -> None:
    values = {"a path": 1, "an error": "x", "a missing module": [{"an error": None}]}
    assert apart(lambda: values, "it") == values


def test_it_comes_back_also_where_nobody_is_told_how_processes_end() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert apart(lambda: 5, "it") == 5
        with pytest.raises(InternalError, match="ended without a word"):
            apart(lambda: os._exit(3), "it")
        hear_of_ends()
        assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
        with pytest.raises(InternalError, match="ended with 3"):
            apart(lambda: os._exit(3), "it")
    finally:
        signal.signal(signal.SIGCHLD, before)
