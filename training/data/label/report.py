"""Report: what was found of annotators' labels, as a record."""

from __future__ import annotations

import msgspec

from training.data.label.agreement import Agreement
from training.data.label.breaches import Breach
from training.data.label.returns import Return
from training.data.label.suspects import Suspect

SHOWN = 20
"""Items that the record names; the files hold all."""


class Confusion(msgspec.Struct, frozen=True, kw_only=True):
    """How one annotator confuses classes, as Dawid and Skene find it."""

    accuracy: float | None
    confusion: list[list[float | None]]
    """Probability of each label (column) to an item of each class (row); None where nothing is known."""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """One label for each item."""

    method: str
    """What was done: the majority also where Dawid and Skene's method had nothing to learn from."""
    items: dict[str, int]
    """Class → items that are taken for it."""
    unlabelled: int
    tied: int
    """Items of which several classes were given as often, or are as likely."""
    alone: int = 0
    """Items with the label of one annotator, which Dawid and Skene's method leaves as it is."""
    unsure: int
    """Items with a label whose posterior is below ``sure``."""
    sure: float
    prior: dict[str, float]
    """Class → its share as Dawid and Skene find it; empty for the majority."""
    confusion: dict[str, Confusion]
    steps: int
    converged: bool
    log_likelihood: float | None
    differs_from_majority: int


class Suspicion(msgspec.Struct, frozen=True, kw_only=True):
    """Labels that a model finds unlikely."""

    learner: str
    folds: int
    judged: int
    """Items with a label and features."""
    left_out: int
    """Items with a label and without features."""
    found: int
    first: list[Suspect]


class LabelReport(msgspec.Struct, frozen=True, kw_only=True):
    """All that was found."""

    source: str
    items: int
    annotators: int
    labels: int
    classes: dict[str, int]
    """Class → labels of it."""
    seed: int
    resamples: int
    agreement: Agreement
    consensus: Settled
    returns: int
    first_returns: list[Return]
    suspicion: Suspicion | None = None
    guideline: str = ""
    unheard: list[str] = []
    """Annotators that the guideline names and that gave no label."""
    breaches: list[Breach] = []
