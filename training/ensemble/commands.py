"""The command ``ensemble``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue import project as projects
from training.runs import add_several, several

if TYPE_CHECKING:
    import argparse


def _say(text: str) -> None:
    print(text, flush=True)


class Ensemble:
    """``staytrue ensemble``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        projects.add_flag(parser)
        add_several(parser, "of this project's data")
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

        project = resolved(arguments.project)
        name = arguments.name or project.name
        Store(project.store).versions(name)  # refuses what is no name
        folders = several(arguments.runs, project.retraining.runs)
        folder, told = combine(project, folders, arguments.method, name, say=_say)
        _say(comparison.table(told))
        _say(f"run: {folder}")
        return 0


ensemble = Ensemble()
