"""The command ``evaluate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue import project as projects
from training.runs import add_one, found

if TYPE_CHECKING:
    import argparse


class Evaluate:
    """``staytrue evaluate``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        add_one(parser)
        projects.add_flag(parser)
        parser.add_argument(
            "--final",
            action="store_true",
            help="judge it by the sealed test rows instead, once and for all: it is written down who opened them, when "
            "and for which run",
        )
        parser.add_argument(
            "--force", action="store_true", help="with --final: open them although they were opened before"
        )
        parser.add_argument("--json", action="store_true", help="print all that is told, as evaluation.json holds it")

    def run(self, arguments: argparse.Namespace) -> int:
        """Judge a finished run by the rows that stopped it, or by the sealed ones."""
        from staytrue.errors import InvalidConfig
        from staytrue.evaluation import Evaluation
        from staytrue.records import to_json
        from training.commands import resolved, table
        from training.judgement.final import final
        from training.judgement.parts import judged_again
        from training.judgement.restored import restore
        from training.prepare import STEPS
        from training.progress import LONG_SECONDS, watched

        if arguments.force and not arguments.final:
            raise InvalidConfig("--force", "belongs to --final: without it no sealed row is opened")
        project = resolved(arguments.project)
        folder = found(arguments.run, project.retraining.runs, project.name)
        say = (lambda _: None) if arguments.json else (lambda text: print(text, flush=True))
        with watched(len(STEPS), say, least_seconds=LONG_SECONDS) as watch:
            run = restore(project, folder, watch=watch)
        parts = {"test": final(run, force=arguments.force, say=say)} if arguments.final else judged_again(run)
        if arguments.json:
            print(to_json(Evaluation(run=run.checkpoint.run, parts=parts)).decode(), end="")
            return 0
        print(table({name: part.metrics for name, part in parts.items()}))
        for name, part in parts.items():
            for metric, reason in part.absent.items():
                print(f"  {name:<10}  {metric}: {reason}")
        print(f"run: {run.folder}")
        return 0


evaluate = Evaluate()
