"""The command ``rate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from staytrue import project as projects
from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    import argparse

LOWEST, HIGHEST, STEPS, FEWEST = 1e-6, 10.0, 200, 20
SECTIONS = ("cleaning", "labelling", "split", "model", "training")
"""Sections that decide what is tried."""


class Rate:
    """``staytrue rate``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        projects.add_flag(parser)
        parser.add_argument(
            "--lowest", type=float, default=LOWEST, help="rate of the first step (default: %(default)g)"
        )
        parser.add_argument("--highest", type=float, default=HIGHEST, help="of the last (default: %(default)g)")
        parser.add_argument("--steps", type=int, default=STEPS, help="steps between them (default: %(default)s)")
        parser.add_argument("--seed", type=int, help="instead of training.seed")
        parser.add_argument("--output", type=Path, default=Path("rates"), help="folder to write (default: %(default)s)")

    def run(self, arguments: argparse.Namespace) -> int:
        """Try the rates; print the line to paste, or 1 where there is none to propose."""
        lowest, highest, steps = arguments.lowest, arguments.highest, arguments.steps
        if not 0 < lowest < highest < float("inf") or steps < FEWEST:
            expected = f"0 < --lowest < --highest and at least {FEWEST} --steps"
            raise InvalidConfig(
                "--lowest, --highest, --steps", expected=expected, got=f"{lowest:g}, {highest:g}, {steps}"
            )
        from staytrue.settings import resolve
        from training.rates.report import chapter, write
        from training.rates.trial import try_rates

        project = projects.load(arguments.project)
        flags = {"training": {"seed": arguments.seed}}
        told = {name: resolve(getattr(project, name), name, flags.get(name, {})) for name in SECTIONS}
        project = project.model_copy(update=told)
        found = try_rates(project, lowest=lowest, highest=highest, steps=steps)
        made = chapter(found)
        print(made.summary)
        for warning in made.warnings:
            print(f"look at this: {warning}")
        for path in write(found, arguments.output):
            print(f"wrote {path}")
        if found.proposed is None:
            return 1
        print(f"to take it, write into {arguments.project}:\n\ntraining:\n  learning_rate: {found.proposed:g}")
        return 0


rate = Rate()
