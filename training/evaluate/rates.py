"""Rates: precision, recall, F1 and ranking of classes or labels, of each by itself and over all of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from staytrue.evaluation import ClassEvaluation
from training.data.rows import evenly
from training.evaluate.bootstrap import Figures, mean_of_defined, ratio, without
from training.evaluate.ranking import ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from training.evaluate.bootstrap import Draws, Numbers

_NONE, _ALL = "no row is of it", "every row is of it"
_SHOWN = 3
MOST_RANKED, LEAST_RANKED = 5_000_000, 10_000
"""Rows times classes that are ranked; rows at the least, however many classes there are."""


class Counts(NamedTuple):
    """Of each class the rows that it was rightly answered for, that it was answered for, and that are of it.

    Shapes: [...,K] each.
    """

    right: Numbers
    predicted: Numbers
    true: Numbers

    @classmethod
    def of(cls, sums: Numbers) -> Counts:
        """Shapes: [...,3*K], one after the other."""
        return cls(*np.split(sums, 3, axis=-1))


@dataclasses.dataclass(frozen=True)
class Ranks:
    """Of each class ``auc`` and ``average_precision``, NaN where no pair can be ranked. Shapes: [K], [R,K]."""

    points: dict[str, Numbers]
    drawn: dict[str, Numbers]
    note: str = ""
    """That not all rows were ranked."""

    def overall(self, draws: Draws, names: Sequence[str]) -> Figures:
        """The means over the classes that can be ranked, each against all others."""
        left_out = [name for name, value in zip(names, self.points["auc"], strict=True) if np.isnan(value)]
        if len(left_out) == len(names):
            return Figures(absent=dict.fromkeys(self.points, "all rows are alike in their truth: nothing to rank"))
        found = {
            name: (float(mean_of_defined(point)), mean_of_defined(self.drawn[name]))
            for name, point in self.points.items()
        }
        lacking = f"without {_some(left_out)}: no row, or every one, is of it" if left_out else ""
        note = "; ".join(filter(None, [lacking, self.note]))
        return noted(draws.figures(found), dict.fromkeys(found, note))


def ranks(scores: Numbers, holds: Callable[[int], NDArray[np.bool_]], draws: Draws) -> Ranks:
    """Of all rows, or of so many from all over them that ranking them for each class does not take minutes.

    Shapes: scores [N,K]; ``holds`` gives [N] of a class.
    """
    (rows, count), resamples = scores.shape, len(draws.often)
    some = ranked_rows(rows, count)
    taken: Any = slice(None) if len(some) == rows else some
    note = f"of {len(some)} of {rows} rows" if len(some) < rows else ""
    of_some = dataclasses.replace(draws, blocks=draws.blocks[taken])
    points = {name: np.full(count, np.nan) for name in ("auc", "average_precision")}
    drawn = {name: np.full((resamples, count), np.nan) for name in points}
    for place in range(count):
        true = holds(place)[taken]
        if true.any() and not true.all():
            found = ranked(scores[taken, place], true, of_some, among=count)
            for name, value, each in zip(points, *found, strict=True):
                points[name][place], drawn[name][:, place] = value, each
    return Ranks(points, drawn, note)


def ranked_rows(rows: int, count: int) -> NDArray[np.int64]:
    """Places of the rows that are ranked for each of so many classes: all, or some from all over them."""
    return evenly(rows, max(MOST_RANKED // count, LEAST_RANKED))


def overall(counts: Counts) -> dict[str, Numbers]:
    """Micro rates, of the sums over the classes, and macro ones: means over classes that are there, true or answered.

    There a class that is never answered has precision 0, and one that no row is of has recall 0. Shapes: [...] each.
    """
    right, predicted, true = (some.sum(axis=-1) for some in counts)
    there = counts.predicted + counts.true > 0

    def macro(below: Numbers) -> Numbers:
        share = counts.right / np.maximum(below, 1e-300)
        return ratio(np.where(there, share, 0.0).sum(axis=-1), there.sum(axis=-1).astype(np.float64))

    return {
        "micro_precision": ratio(right, predicted),
        "micro_recall": ratio(right, true),
        "micro_f1": ratio(2 * right, predicted + true),
        "macro_precision": macro(counts.predicted),
        "macro_recall": macro(counts.true),
        "macro_f1": macro((counts.predicted + counts.true) / 2),
    }


def among(counts: Counts) -> dict[str, int]:
    """Of how many blocks each rate is; of a mean over the classes the fewest that one has. Shapes: [D,K] each."""
    below = _below(counts)
    found = {f"micro_{name}": int(some.any(axis=1).sum()) for name, some in below.items()}
    found |= {f"macro_{name}": _fewest(some) for name, some in below.items()}
    return found | {"balanced_accuracy": found["macro_recall"]}


def _below(counts: Counts) -> dict[str, Numbers]:
    """The rows that each rate is a share of. Shapes: [...,K] each."""
    return {"precision": counts.predicted, "recall": counts.true, "f1": counts.predicted + counts.true}


def _fewest(some: Numbers) -> int:
    held = (some > 0).sum(axis=0)
    return int(held[held > 0].min(initial=len(some)))


def counted_as_nothing(total: Counts, names: Sequence[str]) -> dict[str, str]:
    """Notes on the macro rates that a class has no say in but a 0. Shapes: [K] each."""
    there = total.predicted + total.true > 0
    lacking = {"macro_precision": ("answered", total.predicted), "macro_recall": ("true", total.true)}
    notes = {}
    for name, (what, count) in lacking.items():
        found = [names[place] for place in np.flatnonzero(there & (count == 0)).tolist()]
        notes[name] = f"never {what}, counted as 0: {_some(found)}" if found else ""
    return notes


def noted(figures: Figures, notes: dict[str, str]) -> Figures:
    """The figures with notes in front of their own."""
    metrics = dict(figures.metrics)
    for name, note in notes.items():
        if note and name in metrics:
            said = "; ".join(filter(None, [note, metrics[name].note]))
            metrics[name] = msgspec.structs.replace(metrics[name], note=said)
    return dataclasses.replace(figures, metrics=metrics)


def by_class(sums: Numbers, found: Ranks, draws: Draws, names: Sequence[str]) -> dict[str, ClassEvaluation]:
    """Each class against all others. Shapes: sums [D,3*K]."""
    total, drawn, held = Counts.of(sums.sum(axis=0)), Counts.of(draws.often @ sums), _below(Counts.of(sums))
    made = {}
    for place, name in enumerate(names):
        right, predicted, true = (float(some[place]) for some in total)
        rights, answered, trues = (some[:, place] for some in drawn)
        values = {
            "precision": (right / max(predicted, 1.0), ratio(rights, answered)),
            "recall": (right / max(true, 1.0), ratio(rights, trues)),
            "f1": (2 * right / max(predicted + true, 1.0), ratio(2 * rights, answered + trues)),
        }
        values |= {key: (float(point[place]), found.drawn[key][:, place]) for key, point in found.points.items()}
        lacking = {} if predicted else {"precision": "never answered"}
        lacking |= {} if true else {"recall": _NONE}
        lacking |= {} if predicted + true else {"f1": "neither true nor answered"}
        if np.isnan(found.points["auc"][place]):
            lacking |= dict.fromkeys(found.points, _unranked(true, found.note))
        blocks = {key: int((some[:, place] > 0).sum()) for key, some in held.items()}
        told = without(draws.figures(values, blocks), lacking)
        made[name] = ClassEvaluation(rows=int(true), predicted=int(predicted), metrics=told.metrics, absent=told.absent)
    return made


def _unranked(true: float, note: str) -> str:
    if not true:
        return _NONE
    return f"no row, or every one, {note} that are ranked is of it" if note else _ALL


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
