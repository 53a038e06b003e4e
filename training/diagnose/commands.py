"""The command ``diagnose``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue import project as projects
from training.runs import add_one, found

if TYPE_CHECKING:
    import argparse


class Diagnose:
    """``staytrue diagnose``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        add_one(parser)
        projects.add_flag(parser)
        parser.add_argument(
            "--json", action="store_true", help="print what is written to diagnosis.json instead of text"
        )

    def run(self, arguments: argparse.Namespace) -> int:
        """Look for faults of a finished run; what is found is no failure of the command."""
        from staytrue.records import to_json
        from training.commands import resolved
        from training.diagnose.case import case
        from training.diagnose.diagnosis import diagnose, write
        from training.diagnose.text import said
        from training.judgement.restored import restore
        from training.prepare import STEPS
        from training.progress import LONG_SECONDS, watched

        project = resolved(arguments.project)
        folder = found(arguments.run, project.retraining.runs, project.name)
        say = (lambda _: None) if arguments.json else (lambda text: print(text, flush=True))
        with watched(len(STEPS), say, least_seconds=LONG_SECONDS) as watch:
            run = restore(project, folder, watch=watch)
        made = diagnose(case(run.project, folder, run))
        path = write(made, folder)
        if arguments.json:
            print(to_json(made).decode(), end="")
            return 0
        for line in said(made):
            print(line)
        print(f"wrote {path}")
        return 0


diagnose = Diagnose()
