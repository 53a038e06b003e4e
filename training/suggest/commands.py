"""The command ``suggest``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue import project as projects

if TYPE_CHECKING:
    import argparse

SECTIONS = ("cleaning", "labelling", "split", "model", "training")
"""Sections that decide which rows train, and what for."""


class Suggest:
    """``staytrue suggest``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        projects.add_flag(parser)
        parser.add_argument("--write", action="store_true", help="write the settings into the project file")

    def run(self, arguments: argparse.Namespace) -> int:
        """Propose settings with their reasons; with ``--write`` write them."""
        from staytrue.records import write_atomically
        from staytrue.settings import resolve
        from training.prepare import prepare
        from training.suggest.facts import facts_of
        from training.suggest.proposals import suggest
        from training.suggest.writing import fitting

        project, path = projects.load(arguments.project), arguments.project
        given = project.split.model_fields_set
        project = project.model_copy(
            update={name: resolve(getattr(project, name), name, {}) for name in SECTIONS},
        )
        rows = prepare(project).training.only(project.data.features)
        proposals = suggest(facts_of(project, rows, given))
        for one in proposals:
            print(f"{one.setting}{'' if one.value is None else f': {one.value}'}  # {one.reason}")
        settings = {one.setting: one.value for one in proposals if one.value is not None}
        if not arguments.write:
            print(f"--write puts {len(settings)} settings into {path}")
            return 0
        text, refused = fitting(path, settings)
        for name, why in refused.items():
            print(f"left out: {name}: {settings[name]}, since {why}")
        write_atomically(path, text.encode())
        print(f"wrote {len(settings) - len(refused)} settings into {path}")
        return 0


suggest = Suggest()
