"""The command ``compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from staytrue import project as projects
from training.runs import add_several, several

if TYPE_CHECKING:
    import argparse


def _say(text: str) -> None:
    print(text, flush=True)


class Compare:
    """``staytrue compare``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        projects.add_flag(parser)
        add_several(parser, "the first is what the others are compared with")
        parser.add_argument("--output", type=Path, help="folder for comparison.html and comparison.json")
        parser.add_argument("--seed", type=int, default=0, help="of the blocks drawn (default: %(default)s)")

    def run(self, arguments: argparse.Namespace) -> int:
        """Print what the runs differ in; write the files if asked to."""
        from staytrue.records import writable
        from training.compare import report
        from training.compare.comparing import compared
        from training.compare.runs import load
        from training.progress import LONG_SECONDS, watched

        if arguments.output is not None:
            writable(arguments.output, "--output")
        project = None if projects.goes_without(arguments.project) else projects.load(arguments.project)
        folders = several(arguments.runs, project.retraining.runs if project else Path("runs"))
        with watched(len(folders) + 1, _say, least_seconds=LONG_SECONDS) as watch:
            runs = load(folders, project, watch)
            with watch("compare"):
                made = compared(runs, arguments.seed)
        for line in report.lines(made):
            _say(line)
        for path in report.write(made, arguments.output) if arguments.output else ():
            _say(f"wrote {path}")
        return 0


compare = Compare()
