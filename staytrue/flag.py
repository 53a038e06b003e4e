"""The flag ``--project``, which every command that reads a project has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

FILE = "staytrue.yaml"
_HERE = Path(FILE)


def add_flag(parser: argparse.ArgumentParser) -> None:
    """The flag, with its usual value."""
    parser.add_argument("--project", type=Path, default=_HERE, help="project file (default: %(default)s)")


def goes_without(project: Path) -> bool:
    """Whether no project was named and none lies here, for what can do without; one that is named has to be there."""
    return project is _HERE and not project.exists()
