"""The command ``compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from staytrue import project as projects

if TYPE_CHECKING:
    import argparse


def _say(text: str) -> None:
    print(text, flush=True)


class Compare:
    """``staytrue compare``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        projects.add_flag(parser)
        parser.add_argument(
            "runs",
            nargs="+",
            type=Path,
            metavar="RUN",
            help="two finished runs or more, by name or folder; the first is compared with",
        )
        parser.add_argument("--output", type=Path, help="folder for comparison.html and comparison.json")
        parser.add_argument("--seed", type=int, default=0, help="of the days or groups drawn (default: %(default)s)")

    def run(self, arguments: argparse.Namespace) -> int:
        """Print what the runs differ in; write the files if asked to."""
        from staytrue.errors import InvalidConfig
        from staytrue.records import writable
        from training.compare import report
        from training.compare.comparing import compared
        from training.compare.runs import found, load
        from training.progress import LONG_SECONDS, watched

        if len(arguments.runs) < 2:
            raise InvalidConfig("RUN", expected="two runs or more", got=str(arguments.runs[0]), hint="name another one")
        if arguments.output is not None:
            writable(arguments.output, "--output")
        project = projects.load(arguments.project) if arguments.project.is_file() else None
        folder = project.retraining.runs if project else Path("runs")
        folders = [found(run, folder) for run in arguments.runs]
        if len({path.resolve() for path in folders}) < len(folders):
            raise InvalidConfig("RUN", expected="runs, each once", got=", ".join(path.name for path in folders))
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
