"""Final: the sealed test rows judge a finished run, once; the ledger knows of it before anybody sees a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from staytrue.checkpoint import CHECKPOINT, Checkpoint
from staytrue.evaluation import EVALUATION, Evaluation
from staytrue.records import read, to_json, write_atomically
from training.checkpoint import SEALED
from training.data.split.identity import kept
from training.data.split.ledger import Ledger, Opener, told_of
from training.judgement.parts import judged
from training.judgement.restored import sealing_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.evaluation import PartEvaluation
    from staytrue.project import Project
    from training.data.split.ledger import Known
    from training.judgement.restored import Restored


def final(run: Restored, *, force: bool = False, say: Callable[[str], None] = lambda _: None) -> PartEvaluation:
    """Open the test rows for a run, judge it, and write down what was seen: in the ledger, then in the run's records.

    A run that had opened them tells what it saw then, and one that was killed at it goes on: neither opens them again.
    Figures of its evaluation that are not the ledger's are none that it saw: it is judged once more.

    Raises:
        Conflict: some of the rows were opened before, for another run, and it is not forced.
        CorruptData: the rows do not hold what was sealed, or the ledger cannot be read.
    """
    ledger, sealed = Ledger(run.project.retraining.runs), run.prepared.sealed
    opener = Opener(run.checkpoint.name, run.checkpoint.run, run.checkpoint.weights_sha256)
    seal, features = sealing_of(run.folder).seal, run.project.data.features
    seen = None if force else ledger.figures(opener, sealed.keys, seal)
    kept = read(Evaluation, run.folder / EVALUATION).parts.get("test")
    if seen is not None:
        before = [line for line in ledger.openings(sealed.keys.all, seal) if opener.made(line)][-1]
        by = f" by {before.by}" if before.by else ""
        say(f"test split: was opened for this run on {before.time}{by}; it is not opened again, these are its figures")
    if seen is not None and kept is not None and kept.metrics == seen.evaluation:
        _write(run.folder, kept, ledger.known(sealed.keys.all, seal, opener.model))
        return kept
    rows = sealed.open(ledger, opener, seal, features, known=run.checkpoint.lineage.test_opened, force=force)
    train = run.prepared.training.only(features)
    part = judged(run.project, run.task, run.model, train, {"test": rows})["test"]
    ledger.judged(opener, sealed.keys, seal, part.metrics)
    _write(run.folder, part, ledger.known(sealed.keys.all, seal, opener.model))
    return part


def _write(folder: Path, part: PartEvaluation, known: Known) -> None:
    """Put the figures into the run's records; ``checkpoint.json`` last, as export reads it."""
    told = read(Evaluation, folder / EVALUATION)
    write_atomically(folder / EVALUATION, to_json(msgspec.structs.replace(told, parts={**told.parts, "test": part})))
    record = read(Checkpoint, folder / CHECKPOINT)
    evaluation = {**record.evaluation, "test": part.metrics}
    record = msgspec.structs.replace(record, evaluation=evaluation)
    write_atomically(folder / CHECKPOINT, to_json(with_openings(record, known)))


def with_openings(record: Checkpoint, known: Known) -> Checkpoint:
    """The record of a run that knows how often its test rows were opened, when, and for which runs."""
    return msgspec.structs.replace(record, lineage=told_of(record.lineage, known))


def up_to_date(record: Checkpoint, folder: Path, project: Project) -> Checkpoint:
    """The record with the openings that the ledger knows by now: other runs may have opened the rows since."""
    sealing = sealing_of(folder)
    if not sealing.seal:
        return record
    keys = kept(folder / SEALED, sealing.lineage) if sealing.lineage else np.zeros(0, dtype=np.uint64)
    found = Ledger(project.retraining.runs).known(keys, sealing.seal, record.name)
    return with_openings(record, found)
