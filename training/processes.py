"""Processes: the same command, started several times on this machine, each a part of one training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import torch

from staytrue.orphans import end_with
from training.ending import is_one_of_several, launcher, rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staytrue.sections import TrainingSection

TELLING_SECONDS = 10.0
"""In which the main process comes to what another has refused, and so to its end."""


def waits_for_more(settings: TrainingSection) -> bool:
    """Whether this process is to start those that train; one of those, or of torchrun's on many hosts, is not."""
    return settings.processes > 1 and not is_one_of_several()


def launch(settings: TrainingSection, arguments: Sequence[str]) -> int:
    """Run ``python -m training ARGUMENTS`` as processes that find each other on the loopback address; the exit code.

    When one of them fails, torchrun ends the others; when this process ends, the kernel ends torchrun, and so them.
    """
    meeting = ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"]
    command = [sys.executable, "-m", "training.launcher", f"--nproc-per-node={settings.processes}", *meeting]
    parent = os.getpid()
    return subprocess.run(
        [*command, "-m", "training", *arguments],
        check=False,
        preexec_fn=lambda: end_with(parent, signal.SIGTERM),
    ).returncode


def is_main() -> bool:
    """Whether this process is the one that writes and speaks."""
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0


def is_first() -> bool:
    """Whether this process is the one that speaks before they know each other: ours that started them has spoken."""
    return launcher() is None and rank() == 0


def leave_telling_to_main() -> None:
    """Where something is refused that all find, let the main process say so: with its end this one is ended.

    What this one found alone it says itself, after :data:`TELLING_SECONDS`.
    """
    if not is_main():
        time.sleep(TELLING_SECONDS)
