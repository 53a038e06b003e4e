"""Case: what a diagnosis looks at."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from staytrue.checkpoint import CHECKPOINT, Checkpoint
from staytrue.diagnosis import Symptom
from staytrue.errors import CorruptData, Unsupported
from staytrue.evaluation import EVALUATION, Evaluation
from staytrue.records import read
from training import checkpoint as checkpoints
from training.curve import APART
from training.diagnose.tables import Tables
from training.evaluate.bootstrap import has_interval

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from staytrue.bundle import Metric
    from staytrue.evaluation import PartEvaluation
    from staytrue.project import Project
    from training.diagnose.curve import Series
    from training.judgement.restored import Restored
    from training.rates.sweep import Sweep

LEARNT = "error of training rows, as a share of a constant answer's"
NO_SHARES = "there is no error of training and validation rows to compare, or it has no interval"
NOTHING = 0.9
"""Share of a constant answer's error above which nothing much was learnt."""


class Share(NamedTuple):
    """Error as a share of a constant answer's: 1 has learnt nothing, 0 is without error. With its 95% interval."""

    value: float
    low: float
    high: float
    note: str = ""
    """Of the interval."""

    def symptom(self, what: str, limit: str = "told beside it") -> Symptom:
        """As evidence."""
        return Symptom(what=what, value=self.value, low=self.low, high=self.high, limit=noted(limit, self.note))


class Dropped(NamedTuple):
    """A fault that curves alone would tell, as at the end of ``staytrue train``, and why it is none."""

    reason: str


def noted(limit: str, note: str) -> str:
    """A limit, with what is to be known of the interval that is held against it."""
    return f"{limit}; {note}" if note else limit


@dataclasses.dataclass(frozen=True)
class Case:
    """One finished run. Shapes: losses and errors [E], one an epoch.

    ``tables`` and ``rates`` take time, and are there where the run's rows are: of training and validation alone.
    """

    project: Project
    checkpoint: Checkpoint
    parts: Mapping[str, PartEvaluation]
    losses: Series
    errors: Series
    run: Restored | None = None

    @property
    def through(self) -> bool:
        """Whether it was trained for as long as it might be."""
        return len(self.errors) >= self.project.training.epochs

    @functools.cached_property
    def shares(self) -> tuple[Share, Share] | None:
        """Of the training and of the validation rows; none where metrics are absent, or have no interval."""
        constant = _constant(self.parts["train"])
        found = [_share(self.parts[name], constant) for name in ("train", "validation")]
        return None if found[0] is None or found[1] is None else (found[0], found[1])

    @functools.cached_property
    def gap(self) -> Share | None:
        """Validation less training; the parts have no row in common, so their errors add up as squares.

        Each end by what is towards it of the two intervals, which need not be alike to both sides. Source: Zou and
        Donner, 2008, "Construction of confidence limits about effect measures: a general approach".
        """
        if self.shares is None:
            return None
        train, held = self.shares
        value = held.value - train.value
        below = math.hypot(held.value - held.low, train.high - train.value)
        above = math.hypot(held.high - held.value, train.value - train.low)
        return Share(value, value - below, value + above, held.note)

    @functools.cached_property
    def rates(self) -> Sweep | None:
        """The range test on a fresh model."""
        if self.run is None:
            return None
        from training.rates.commands import HIGHEST, LOWEST, STEPS  # noqa: PLC0415 - only where it is asked for
        from training.rates.trial import try_rates  # noqa: PLC0415

        return try_rates(self.project, lowest=LOWEST, highest=HIGHEST, steps=STEPS)

    @functools.cached_property
    def tables(self) -> Tables | str:
        """Training and validation rows as other learners take them, or why they take none."""
        return "the run's rows were not read" if self.run is None else Tables.of(self.run)

    @property
    def whole_tables(self) -> Tables | str:
        """The same with every feature, or why not: what learners of some features miss, the others may tell."""
        tables = self.tables
        if isinstance(tables, str) or not tables.lacking:
            return tables
        return f"learners take every feature or none here, and there is {tables.lacking}"


def case(project: Project, folder: Path, run: Restored | None = None) -> Case:
    """What the folder of a finished run holds; and its rows, if it is restored.

    Raises:
        Unsupported: a generator, which has no error that training and validation could be compared by, or an ensemble,
            which was not trained.
    """
    checkpoint = read(Checkpoint, folder / CHECKPOINT)
    if checkpoint.task == "generation":
        hint = "docs/generation.md tells how made pictures are judged"
        raise Unsupported(str(folder), "generators have no error to diagnose by", hint=hint)
    if not (folder / checkpoints.METRICS).is_file():
        hint = f"diagnose its members: {', '.join(checkpoint.lineage.members)}" if checkpoint.lineage.members else ""
        raise Unsupported(str(folder), "has no epochs of its own to diagnose", hint=hint)
    losses, errors = _course(folder / checkpoints.METRICS)
    return Case(project, checkpoint, read(Evaluation, folder / EVALUATION).parts, losses, errors, run)


def _course(path: Path) -> tuple[Series, Series]:
    """Losses of training and errors of validation rows, by epoch.

    Raises:
        CorruptData: a line cannot be read, or there is none.
    """
    try:
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        measure = next(name for name in lines[0] if name not in APART and name.startswith("validation_"))
        losses, errors = (np.array([_number(line[name]) for line in lines]) for name in ("loss", measure))
    except (ValueError, KeyError, TypeError, IndexError, StopIteration) as error:
        hint = "bring the file back, or train anew"
        raise CorruptData(str(path), "does not tell the error of each epoch", hint=hint) from error
    return losses, errors


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _constant(train: PartEvaluation) -> float:
    """Log loss of the frequencies in the training rows: of the classes, or the mean of the labels'."""
    counts = np.array([one.rows for one in train.by_class.values()], dtype=np.float64)
    if "accuracy" in train.metrics:
        likely = counts[counts > 0] / counts.sum()
        return float(-(likely * np.log(likely)).sum())
    likely = np.clip(counts / max(train.rows, 1), 1e-12, 1 - 1e-12)
    return float(-(likely * np.log(likely) + (1 - likely) * np.log(1 - likely)).mean()) if len(counts) else 0.0


def _share(part: PartEvaluation, constant: float) -> Share | None:
    fitted = [metric for name, metric in part.metrics.items() if name.rpartition(".")[2] == "r2"]
    if fitted and all(map(has_interval, fitted)):
        value, low, high = (1 - float(np.mean([_of(one, end) for one in fitted])) for end in ("value", "high", "low"))
        return Share(value, low, high, fitted[0].note)
    loss = part.metrics.get("log_loss")
    if loss is None or not constant > 0 or not has_interval(loss):
        return None
    return Share(loss.value / constant, loss.low / constant, loss.high / constant, loss.note)


def _of(metric: Metric, end: str) -> float:
    return float(getattr(metric, end))
