"""The ``staytrue`` command itself: what it finds, what it explains, what it lets through."""

from __future__ import annotations

import os
import runpy
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from staytrue import __version__, command, document
from staytrue import project as projects
from staytrue.errors import InvalidConfig, InvalidInput
from staytrue.listening import address, ended_by, listen
from staytrue.store import Store
from tests.unit.serving.conftest import publish

if TYPE_CHECKING:
    import argparse


@pytest.mark.parametrize("name", command.COMMANDS)
def test_every_command_is_there_and_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main([name, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: staytrue {name}")


def test_as_a_module_it_is_the_same_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["staytrue", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("staytrue", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"staytrue {__version__}\n"


@pytest.mark.parametrize("argv", ["schema", "models --store ."])
def test_a_command_whose_reader_has_gone_ends_quietly(argv: str, tmp_path: Path) -> None:
    """A long text, and a short one that is written at the end."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        called = [sys.executable, "-m", "staytrue", *argv.split()]
        ended = subprocess.run(called, stdout=writing, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (command.UNREAD, "")


@pytest.mark.parametrize("read", [False, True])
def test_a_broken_connection_is_no_reader_that_has_gone(read: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Train:
        """Loses a connection, such as to a database."""

        def configure(self, _: object) -> None:
            """No arguments."""

        def run(self, _: object) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(command, "_find", lambda _: Train())
    reading, writing = os.pipe()
    kept = os.dup(1)
    os.dup2(writing, 1)
    os.close(writing)
    try:
        if read:
            with pytest.raises(BrokenPipeError):
                command.main(["train"])
            os.close(reading)
        else:
            os.close(reading)
            assert command.main(["train"]) == command.UNREAD
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def test_a_module_of_ours_that_is_missing_is_no_matter_of_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise ModuleNotFoundError("No module named 'training.gone'", name="training.gone")

    monkeypatch.setattr(command, "_find", missing)
    with pytest.raises(ModuleNotFoundError, match="gone"):
        command.main(["train"])


@pytest.mark.parametrize("name", ["train", "diff", "import"])
def test_a_package_missing_while_it_runs_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Train:
        """Imports torch only when it runs."""

        def configure(self, _: object) -> None:
            """No arguments."""

        def run(self, _: object) -> int:
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(command, "_find", lambda _: Train())
    assert command.main([name]) == 2
    assert "needs the package 'torch'; pip install -e '.[training]'" in capsys.readouterr().err


def test_what_fails_for_a_setting_of_the_project_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Train:
        """Finds fault with a setting."""

        def configure(self, parser: argparse.ArgumentParser) -> None:
            """As every command that reads a project."""
            projects.add_flag(parser)

        def run(self, _: object) -> int:
            raise InvalidInput("data.join.0.key", "is wrong")

    monkeypatch.setattr(command, "_find", lambda _: Train())
    path = tmp_path / "staytrue.yaml"
    path.write_text("data:\n  join:\n    - {left: a, right: b, key: [k]}\n")
    assert command.main(["train", "--project", str(path)]) == 1
    assert capsys.readouterr().err == f"staytrue train: {path}:3 data.join.0.key: is wrong\n"


def test_control_c_ends_it_quietly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("staytrue.commands.Schema.run", interrupt)
    assert command.main(["schema"]) == 130
    assert capsys.readouterr().err == ""


def test_verify_checks_versions_that_nobody_promoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish(Store(tmp_path), 1.0)
    assert command.main(["verify", "tiny", "--store", str(tmp_path)]) == 0
    assert "tiny 1: " in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:'staytrue.document' found in sys.modules:RuntimeWarning")
def test_the_settings_page_is_written_where_it_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "settings.md"
    monkeypatch.setattr(sys, "argv", ["staytrue.document", str(page)])
    runpy.run_module("staytrue.document", run_name="__main__")
    assert page.read_text(encoding="utf-8") == document.page()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_what_it_is_told_to_and_is_itself_again(number: signal.Signals) -> None:
    heard: list[int] = []
    before = signal.getsignal(number)
    with ended_by(lambda number, _: heard.append(number)):
        os.kill(os.getpid(), number)
    assert heard == [number]
    assert signal.getsignal(number) is before


def test_what_was_started_to_outlive_its_terminal_does() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by(lambda number, _: heard.append(number)):
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert heard == [signal.SIGTERM]


def test_a_name_that_is_no_address_is_not_loopback() -> None:
    with pytest.raises(InvalidConfig, match="expected a loopback address"):
        listen("example", 0, insecure=False)
    with listen("localhost", 0, insecure=False) as bound:
        assert address(bound).startswith("http://127.0.0.1:")


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")
def test_an_address_of_six_stands_in_brackets() -> None:
    try:
        bound = listen("::1", 0, insecure=False)
    except InvalidConfig:  # pragma: no cover - IPv6 without a loopback
        pytest.skip("no IPv6 loopback here")
    with bound:
        assert bound.family == socket.AF_INET6
        assert address(bound).startswith("http://[::1]:")
