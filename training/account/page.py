"""The page of a run, ``runs/ID/report.html``: what it learnt, how good it is, and what it was made of.

Of the sealed test split nothing is on it, opened or not: who works on a model looks at this page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from staytrue.checkpoint import CONFIGURATION
from staytrue.evaluation import headline
from staytrue.records import write_atomically
from staytrue.yamlfile import flat
from training import checkpoint as checkpoints
from training.account import examples, part
from training.data.chapters import Chapter, Picture, Table, many
from training.data.columns import png
from training.report import PAGE, page, report
from training.sheet import SHEET

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from staytrue.checkpoint import Checkpoint
    from staytrue.evaluation import PartEvaluation
    from staytrue.project import Project
    from training.data.chapters import Cell
    from training.data.rows import Rows

PARTS = ("validation", "train")
"""What is told of, what the run was judged by first."""
SETTINGS = ("data", "cleaning", "split", "model", "training", "evaluation")
"""Sections that say what the run is."""


def write(
    project: Project,
    checkpoint: Checkpoint,
    evaluation: Mapping[str, PartEvaluation],
    rows: Mapping[str, Rows],
    folder: Path,
) -> Path:
    """Write the page of a run from its record, its evaluation, the rows of its parts and what its folder holds."""
    parts = {name: evaluation[name] for name in PARTS if name in evaluation}
    worst = examples.chapter({name: (told, rows[name]) for name, told in parts.items()}, project.data.features)
    chapters = [
        _figures(parts),
        _course(checkpoint, folder),
        *(part.chapter(name, told) for name, told in parts.items()),
        *([worst] if worst else []),
        _data(checkpoint, folder),
        _settings(project),
        _environment(checkpoint),
    ]
    write_atomically(folder / PAGE, page(report(f"{project.name}, run {checkpoint.run}", chapters)).encode())
    return folder / PAGE


def _figures(parts: Mapping[str, PartEvaluation]) -> Chapter:
    rows: list[list[Cell]] = [
        [name, *line] for name, told in parts.items() for line in part.figures(headline(told.metrics))
    ]
    table = Table(title="Headline metrics", columns=["part", *part.FIGURES], rows=rows, note="With 95% intervals.")
    said = ", ".join(f"{many(told.rows, 'row')} of {name}" for name, told in parts.items())
    sealed = "The test split is not on this page; its figures, where it was opened, are in evaluation.json."
    return Chapter(title="Figures", summary=f"Of {said}. {sealed}", tables=[table])


def _course(checkpoint: Checkpoint, folder: Path) -> Chapter:
    shown = {checkpoints.CURVE: "Loss and measures by epoch", SHEET: "Real pictures, and made ones below them"}
    pictures = [
        Picture(caption=caption, source=png((folder / name).read_bytes()), large=True)
        for name, caption in shown.items()
        if (folder / name).is_file()
    ]
    kept = f"Epoch {checkpoint.best_epoch} of {checkpoint.epochs} was kept."
    return Chapter(title="Course of the training", summary=kept, pictures=pictures)


def _data(checkpoint: Checkpoint, folder: Path) -> Chapter:
    """The fingerprint of all that was read; of a retraining, whose rows are served ones too, only the digest."""
    lineage, path = checkpoint.lineage, folder / checkpoints.DATA
    found: dict[str, Any] = msgspec.json.decode(path.read_bytes())["fingerprint"] if path.is_file() else {}
    said = f"SHA-256 {lineage.data_fingerprint}; {many(lineage.trained_rows, 'row')} trained on."
    if not found:
        return Chapter(title="Data", summary=said)
    rows: list[list[Cell]] = [[name, kind] for name, kind in found["columns"].items()]
    table = Table(title="Columns as they were read", columns=["column", "type"], rows=rows)
    return Chapter(title="Data", summary=f"{many(found['rows'], 'row')} of {found['source']}, {said}", tables=[table])


def _settings(project: Project) -> Chapter:
    told = project.model_dump(mode="json", include=set(SETTINGS))
    rows: list[list[Cell]] = [
        [name, value] for section in SETTINGS for name, value in flat({section: told[section]}).items()
    ]
    table = Table(title="As resolved, defaults included", columns=["setting", "value"], rows=rows)
    return Chapter(title="Settings", summary=f"All of them are in {CONFIGURATION}.", tables=[table])


def _environment(checkpoint: Checkpoint) -> Chapter:
    environment = checkpoint.environment
    told = {} if environment is None else flat(msgspec.to_builtins(environment))
    rows: list[list[Cell]] = [[name, value] for name, value in told.items()]
    table = Table(title="What it was trained on", columns=["what", "which"], rows=rows)
    weights = f"The weights have SHA-256 {checkpoint.weights_sha256}."
    return Chapter(title="Environment", summary=weights, tables=[table] if rows else [])
