"""Environment: what a training runs on, asked of the machine and of git."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch

from staytrue import __version__
from staytrue.environment import Environment

if TYPE_CHECKING:
    from pathlib import Path

GIT_SECONDS = 10
"""A checkout that takes longer (a network drive) is none that a training waits for."""


def environment(folder: Path, seed: int, device: str = "cpu") -> Environment:
    """Of this process; ``folder`` is the project's. Threads are those set by now."""
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    changes = None if commit is None else _git(folder, "status", "--porcelain", "--untracked-files=no")
    return Environment(
        seed=seed,
        threads=torch.get_num_threads(),
        processor=_processor(device),
        platform=platform.platform(),
        versions={
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "staytrue": __version__,
            **_behind(device),
        },
        commit=commit,
        changed=None if changes is None else changes != "",
    )


def _behind(device: str) -> dict[str, str]:
    """Versions of what computes only where it is asked for: Accelerate, and a GPU's library."""
    found = {"accelerate": version("accelerate")} if "accelerate" in sys.modules else {}
    if device.startswith("cuda"):
        found["cuda"] = str(torch.version.cuda)
    return found


def _processor(device: str) -> str:
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says of a folder; None where it has nothing to say, or is not there."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(folder), "--no-optional-locks", *arguments]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=True, timeout=GIT_SECONDS)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return asked.stdout.strip()
