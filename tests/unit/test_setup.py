"""``setup.sh`` explains what a machine lacks; no test here installs anything."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_setup(folder: Path, path: str, python: str = "") -> subprocess.CompletedProcess[str]:
    """Run a copy of setup.sh that finds only what is on ``path``."""
    (folder / "setup.sh").write_text((ROOT / "setup.sh").read_text(encoding="utf-8"), encoding="utf-8")
    surroundings = {"PATH": path} | ({"PYTHON": python} if python else {})
    command = ["/bin/sh", str(folder / "setup.sh")]
    return subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)


def bin_with(folder: Path, **programs: str) -> str:
    """A folder of little shell programs, besides the few that setup.sh itself uses; its path."""
    place = folder / "bin"
    place.mkdir()
    for name in ("dirname", "rm", "touch"):
        (place / name).symlink_to(next(p for p in (Path("/usr/bin") / name, Path("/bin") / name) if p.exists()))
    for name, script in programs.items():
        (place / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (place / name).chmod(0o755)
    return os.fspath(place)


def test_setup_without_python_says_what_to_install(tmp_path: Path) -> None:
    told = run_setup(tmp_path, bin_with(tmp_path))
    assert told.returncode == 1
    assert "no Python 3.11 or newer was found" in told.stderr
    assert "apt-get install python3 python3-venv" in told.stderr


def test_setup_with_an_old_python_says_what_to_install(tmp_path: Path) -> None:
    told = run_setup(tmp_path, bin_with(tmp_path, python3="exit 1"))
    assert told.returncode == 1
    assert "no Python 3.11 or newer was found" in told.stderr


def test_setup_without_the_venv_module_says_what_to_install(tmp_path: Path) -> None:
    lacking = 'case "$2" in *ensurepip*) exit 1 ;; esac'
    told = run_setup(tmp_path, bin_with(tmp_path, python3=lacking))
    assert told.returncode == 1
    assert "its venv module, or pip for it, is missing" in told.stderr
    assert "Traceback" not in told.stderr


def test_setup_without_make_names_the_plain_commands(tmp_path: Path) -> None:
    # A pretended Python whose environment is one more pretended Python.
    make_venv = 'case "$2" in venv) mkdir -p .venv/bin; cp "$0" .venv/bin/python ;; esac'
    place = bin_with(tmp_path, python3=make_venv)
    for name in ("mkdir", "cp"):
        (Path(place) / name).symlink_to(next(p for p in (Path("/usr/bin") / name, Path("/bin") / name) if p.exists()))
    told = run_setup(tmp_path, place)
    assert told.returncode == 0, told.stderr
    assert "make is not installed" in told.stderr
    assert "python -m examples.bikeshare.demo" in told.stderr
    assert (tmp_path / ".venv" / ".installed").exists()


@pytest.mark.parametrize("compiled", [True, False])
def test_setup_without_a_compiler_goes_on_and_says_what_is_slower(tmp_path: Path, *, compiled: bool) -> None:
    lacking = "" if compiled else "*staytrue.native*) exit 1 ;;"
    pretended = f'case "$2" in venv) mkdir -p .venv/bin; cp "$0" .venv/bin/python ;; {lacking} esac'
    place = bin_with(tmp_path, python3=pretended)
    for name in ("mkdir", "cp"):
        (Path(place) / name).symlink_to(next(p for p in (Path("/usr/bin") / name, Path("/bin") / name) if p.exists()))
    told = run_setup(tmp_path, place)
    assert told.returncode == 0, told.stderr
    assert ("apt-get install gcc python3-dev" in told.stderr) != compiled
    assert (tmp_path / ".venv/.installed").exists()
