"""The flag ``--project``, which every command that reads a project has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

FILE = "staytrue.yaml"


def add_flag(parser: argparse.ArgumentParser) -> None:
    """The flag, with its usual value."""
    parser.add_argument("--project", type=Path, default=Path(FILE), help="project file (default: %(default)s)")
