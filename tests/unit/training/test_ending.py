"""Ending: one of several processes ends with its own code, whatever would abort it in the interpreter's own end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from training.processes import is_first

ROOT = Path(__file__).parents[3]
ABORTS = """
import os
class Left:
    def __del__(self, abort=os.abort):
        abort()
left = Left()  # of a module: the interpreter's own end lets go of it
"""
ENDING = (
    ABORTS
    + """
import atexit, ctypes, os, signal, sys, threading, time
from training.ending import end_after

def slowly():
    time.sleep(0.2)
    print("waited for")

def work():
    atexit.register(print, "called")
    threading.Thread(target=slowly).start()
    print("done")
    {end}

end_after(work)
"""
)


def ended(script: str) -> tuple[int, str, str]:
    told = {**os.environ, "PYTHONPATH": str(ROOT)}  # noqa: TID251 - no settings of Staytrue's
    told.pop("PYTHONUNBUFFERED", None)  # with which nothing that was printed could be lost
    done = subprocess.run([sys.executable, "-c", script], env=told, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("return 3", 3, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(4)", 4, ""),
        ("sys.exit('no such column')", 1, "no such column"),
        ("raise KeyError('vibration')", 1, "KeyError: 'vibration'"),
    ],
)
def test_it_ends_as_the_interpreter_would_but_for_what_aborts_there(end: str, code: int, said: str) -> None:
    """It waits for threads, then calls what was registered, then writes all that was printed."""
    given, out, err = ended(ENDING.format(end=end))
    assert (given, out) == (code, "done\nwaited for\ncalled\n"), err
    assert said in err


def test_what_c_libraries_printed_is_written() -> None:
    given, out, err = ended(ENDING.format(end="return ctypes.CDLL(None).puts(b'from C') * 0"))
    assert (given, sorted(out.splitlines())) == (0, ["called", "done", "from C", "waited for"]), err


def test_an_interruption_while_it_waits_for_threads_loses_nothing_else() -> None:
    interrupt = "threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGINT]).start()"
    given, out, err = ended(ENDING.format(end=interrupt))
    assert (given, out.replace("waited for\n", "")) == (1, "done\ncalled\n"), err
    assert "KeyboardInterrupt" in err


def test_what_cannot_be_written_is_told() -> None:
    end = "sys.stdout = open('/dev/full', 'w'); print('lost')"
    given, _, err = ended(ENDING.format(end=end))
    assert given == 1
    assert "No space left on device" in err


def test_the_interpreter_itself_would_abort() -> None:
    """Or the test above could not fail."""
    assert ended(ABORTS)[0] == -signal.SIGABRT


@pytest.mark.parametrize(("launched", "code"), [(True, 2), (False, -signal.SIGABRT)])
def test_the_command_ends_so_where_torchrun_has_started_it(launched: bool, code: int, tmp_path: Path) -> None:
    """Elsewhere as any other."""
    (tmp_path / "sitecustomize.py").write_text(ABORTS, encoding="utf-8")
    told = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}  # noqa: TID251 - no settings of Staytrue's
    told |= {"TORCHELASTIC_RUN_ID": "1"} if launched else {}
    command = [sys.executable, "-m", "training", "train", "--no-such-option"]
    done = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "--no-such-option" in done.stderr


def test_one_whose_launcher_is_gone_by_then_ends() -> None:
    """It would wait for the others for ever, as nobody is left to end it."""
    other = subprocess.Popen([sys.executable, "-c", ""])
    other.wait()
    told = {**os.environ, "TORCHELASTIC_RUN_ID": "1", "STAYTRUE_LAUNCHER": str(other.pid)}  # noqa: TID251 - as above
    done = subprocess.run([sys.executable, "-m", "training", "--help"], env=told, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


@pytest.mark.parametrize(
    ("told", "first"),
    [
        ({}, True),
        ({"RANK": "0"}, True),
        ({"RANK": "1"}, False),
        ({"RANK": "0", "STAYTRUE_LAUNCHER": "7"}, False),
    ],
    ids=repr,
)
def test_what_is_said_before_they_know_each_other_is_said_once(
    told: dict[str, str], first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "STAYTRUE_LAUNCHER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert is_first() is first
