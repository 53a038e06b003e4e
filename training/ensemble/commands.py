"""The command ``ensemble``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from staytrue import project as projects

if TYPE_CHECKING:
    import argparse


def _say(text: str) -> None:
    print(text, flush=True)


class Ensemble:
    """``staytrue ensemble``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        projects.add_flag(parser)
        parser.add_argument(
            "runs",
            nargs="+",
            type=Path,
            metavar="RUN",
            help="at least two finished runs of this project's data: folders, or names in retraining.runs",
        )
        parser.add_argument(
            "--method",
            choices=["mean", "weighted", "vote"],
            default="mean",
            help="of probabilities or numbers; weighted by what does best on validation rows; or one vote each, for "
            "classes (default: mean)",
        )
        parser.add_argument("--name", help="what the model is called (default: as the project)")

    def run(self, arguments: argparse.Namespace) -> int:
        """Make the run; print how it compares with its members, and its folder."""
        from staytrue.store import Store
        from training.commands import resolved
        from training.ensemble import comparison
        from training.ensemble.combine import combine
        from training.ensemble.members import found

        project = resolved(arguments.project)
        name = arguments.name or project.name
        Store(project.store).versions(name)  # refuses what is no name
        folders = found(project.retraining.runs, arguments.runs)
        folder, told = combine(project, folders, arguments.method, name, say=_say)
        _say(comparison.table(told))
        _say(f"run: {folder}")
        return 0


ensemble = Ensemble()
