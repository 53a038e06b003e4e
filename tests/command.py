"""Staytrue's commands run in this process: to start Python with all that training needs takes seconds each time."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

from staytrue.command import main

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path, *arguments: str | Path) -> str:
    """What a command says that runs in a folder; it must succeed."""
    said, told = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
        code = main([str(argument) for argument in arguments])
    assert code == 0, f"{arguments}: {told.getvalue()[-2000:]}"
    return said.getvalue()
