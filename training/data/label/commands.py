"""The command ``label``."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import TYPE_CHECKING

from staytrue import project as projects
from staytrue.errors import InvalidConfig
from staytrue.labelling import LabellingSection
from training.aligned import aligned

if TYPE_CHECKING:
    import argparse

    from training.data.chapters import Cell, Chapter

PRINTED = {"Agreement", "Classes", "Annotators", "Items to send back", "Suspected label errors", "Guideline"}
"""Tables that go to the terminal; the report has all."""
ROWS = 10


class Label:
    """``staytrue label``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments: each setting of the section is a flag."""
        parser.add_argument(
            "annotations", type=Path, nargs="?", metavar="ANNOTATIONS", help="CSV, TSV, Parquet, or Label Studio's JSON"
        )
        parser.add_argument(
            "--project",
            type=Path,
            help=f"project file whose section labelling counts (default: {projects.FILE}, where it is there)",
        )
        parser.add_argument("--output", type=Path, default=Path("labelled"), help="folder to write (%(default)s)")
        for name, field in LabellingSection.model_fields.items():
            if name != "annotations":
                several = typing.get_origin(field.annotation) is list
                shown = "" if field.default is None or several else f" (default: {field.default})"
                told = f"{field.description}{shown}".replace("%", "%%")
                parser.add_argument(f"--{name}", nargs="+" if several else None, help=told)

    def run(self, arguments: argparse.Namespace) -> int:
        """Print the figures, write the files; 1 where the labels break the guideline."""
        from staytrue.records import writable
        from staytrue.settings import resolve
        from training.data.label.chapter import chapter
        from training.data.label.files import write
        from training.data.label.settling import PARTS, settle
        from training.progress import LONG_SECONDS, watched

        flags = {name: getattr(arguments, name) for name in LabellingSection.model_fields}
        settings = resolve(_base(arguments.project), "labelling", flags)
        if settings.annotations is None:
            hint = "name it, or set labelling.annotations in the project"
            raise InvalidConfig("ANNOTATIONS", expected="a file of annotations", got="none", hint=hint)
        folder = writable(arguments.output, "--output")
        with watched(PARTS, print, least_seconds=LONG_SECONDS) as watch:
            found = settle(settings.annotations, settings, watch=watch)
        _print(chapter(found.report))
        for path in write(found, folder):
            print(f"wrote {path}")
        if found.report.breaches:
            print(f"the labels break the guideline {settings.guideline}: {len(found.report.breaches)} findings above")
            return 1
        return 0


label = Label()


def _base(project: Path | None) -> LabellingSection:
    """The section of the project, where there is one."""
    if project is None and not Path(projects.FILE).is_file():
        return LabellingSection()
    return projects.load(project or Path(projects.FILE)).labelling


def _print(told: Chapter) -> None:
    print(told.summary)
    for table in told.tables:
        if table.title not in PRINTED or not table.rows:
            continue
        lines = [table.columns, *([_shown(cell) for cell in row] for row in table.rows[:ROWS])]
        print(f"\n{table.title}")
        for line in aligned(lines, indent="  "):
            print(line)
        if len(table.rows) > ROWS:
            print(f"  … {len(table.rows) - ROWS} more in the files written below")
    for warning in told.warnings:
        print(f"\nlook at this: {warning}")
    print()


def _shown(cell: Cell) -> str:
    if cell is None:
        return "-"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
