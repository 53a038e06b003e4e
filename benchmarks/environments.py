"""Environments of what fights our packages, peers and clients: each its own, made at first use from its pinned list."""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sys
from pathlib import Path

PLACE = Path("build/bench")
LISTS = Path(__file__).parent / "peers"
OURS = ("staytrue", "serving", "benchmarks")
"""Folders of code that is measured."""
INSTALL = ("install", "--quiet", "--disable-pip-version-check", "--no-deps")
"""The lists are whole. The pip of this Python installs, into the other: to lay a pip into each takes long."""
PATIENCE_SECONDS = 400


class NotMeasured(Exception):
    """Why there are no figures of a server."""


def python(name: str, *, lists: Path | None = None, place: Path | None = None) -> str:
    """The interpreter that has the packages of a list.

    Args:
        name: of the list and of the environment.
        lists: folder of the list ``NAME.txt``; the peers' by default. A paragraph of it lies over those before.
        place: folder for the environment.

    Raises:
        NotMeasured: they could not be installed; says why.
    """
    pins, folder = ((lists or LISTS) / f"{name}.txt").read_text(), (place or PLACE) / name
    stamp, program = folder / "installed.txt", folder / "bin" / "python"
    if stamp.exists() and stamp.read_text() == pins:
        return str(program)
    print(f"installing {name} into {folder}, once", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    _call(name, sys.executable, "-m", "venv", "--without-pip", str(folder))
    for layer in pins.split("\n\n"):
        named = [line for line in layer.splitlines() if line and not line.startswith("#")]
        if named:
            _call(name, sys.executable, "-m", "pip", "--python", str(program), *INSTALL, *named)
    stamp.write_text(pins)
    return str(program)


def compiled() -> None:
    """Compile what is ours to bytecode, as a package is that pip has installed.

    A checkout where Python may not write it, as ``PYTHONDONTWRITEBYTECODE`` says, would be compiled at each start.
    """
    for folder in OURS:
        compileall.compile_dir(folder, quiet=1)


def _call(name: str, *command: str | Path) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise NotMeasured(f"{name} was not installed within {PATIENCE_SECONDS} s") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[-1:]
        raise NotMeasured(f"{name} could not be installed: {' '.join(said)[:300]}")
