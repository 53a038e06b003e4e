"""Tables: rows as learners take them that are fitted in a second, to tell what could be learnt of them."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.signature import MISSING_INTEGER
from training.data.rows import evenly
from training.evaluate.blocks import blocks_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.bundle import Metric
    from staytrue.evaluation import PartEvaluation
    from staytrue.feature import Kind
    from training.data.rows import Rows
    from training.evaluate.blocks import Blocks
    from training.judgement.restored import Restored

MOST_ROWS = 5000
MOST_NUMBERS = 4096
"""Of a row: wider ones are no table."""
SINGLE = ("numeric", "category", "date")
"""Kinds of features of one value a row. Dates count as numbers: their Unix seconds."""
LEAST = 1e-12
TREES, LEAF = 50, 5


@dataclasses.dataclass(frozen=True)
class Tables:
    """Some training and validation rows, from all over them, and the model's answers to the latter."""

    run: Restored
    train: Rows
    held: Rows
    names: tuple[str, ...]
    """Of features that learners take: of one value a row, and pictures where these are small."""
    lacking: str
    """What learners do not take, in words; nothing where they take every feature."""
    named: bool
    """Whether the truth is the name of a class."""
    blocks: Blocks
    """Of the validation rows."""

    @classmethod
    def of(cls, run: Restored) -> Tables | str:
        """The rows of a run; why not, where they have not one truth each that is a number or a name."""
        train, held = run.training, run.validation
        if run.checkpoint.task not in ("regression", "classification") or train.target.ndim > 1:
            return "there are several targets, and learners are asked of one"
        names, lacking = _taken(train, {name: one.kind for name, one in run.project.data.features.items()})
        train, held = train.take(evenly(len(train), MOST_ROWS)), held.take(evenly(len(held), MOST_ROWS))
        named = run.checkpoint.task == "classification"
        blocks = blocks_of(held, run.project.split, run.project.training.seed)
        return cls(run, train, held, names, lacking, named, blocks)

    @functools.cached_property
    def answers(self) -> NDArray[Any]:
        """Of the model to validation rows: numbers, or names of classes. Shapes: [N]."""
        answers, _ = self.run.task.predictions(self.run.model, self.held)
        return np.array(answers, dtype=object if self.named else np.float64)

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """Those of the training rows that learners take."""
        return {name: self.train.columns[name] for name in self.names}

    def misses(self, answers: NDArray[Any]) -> NDArray[np.float64]:
        """What each answer misses its truth by, a share of what a constant one does. Shapes: [N] of the held rows."""
        base = self._constant
        if self.named:
            wrong: NDArray[np.bool_] = answers.astype(str) != self.held.target.astype(str)
            return np.asarray(wrong / base, dtype=np.float64)
        return np.asarray((answers - self.held.target) ** 2 / base, dtype=np.float64)

    def least(self, train: PartEvaluation) -> float:
        """The same of the training rows: the lower end of what the model misses them by."""
        if self.named:
            return (1 - train.metrics["accuracy"].high) / self._constant
        return 1 - train.metrics["r2"].high if "r2" in train.metrics else 0.0

    @property
    def unmeasured(self) -> str:
        """Why answers to the held rows cannot be measured; nothing where they can."""
        if self._constant <= LEAST:
            return "a constant answer misses none of the validation rows, whose truth is all the same"
        return f"validation rows are all of one block ({self.blocks.what})" if self.blocks.count < 2 else ""

    @property
    def _constant(self) -> float:
        """What the commonest class, or the mean, misses the truth of held rows by."""
        if self.named:
            names, counts = np.unique(self.train.target.astype(str), return_counts=True)
            return max(float((self.held.target.astype(str) != names[counts.argmax()]).mean()), LEAST)
        return max(float(np.var(self.held.target)), LEAST)

    def mean(self, values: NDArray[np.float64], seed: int) -> Metric:
        """Mean over the held rows with its interval over their blocks. Shapes: [N]."""
        order, draws = self.blocks.draw(seed)
        return draws.means({"mean": values[order]}).metrics["mean"]

    def forest(self, seed: int) -> NDArray[Any]:
        """Answers to the held rows of a forest that was fitted on the training rows. Shapes: [N]."""
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor  # noqa: PLC0415 - it takes seconds

        kind = ExtraTreesClassifier if self.named else ExtraTreesRegressor
        return self._answered(kind(TREES, min_samples_leaf=3, random_state=seed), list(self.names))

    def tree(self, feature: str, seed: int) -> NDArray[Any]:
        """Answers to the held rows of a tree that was fitted on one feature of the training rows. Shapes: [N]."""
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor  # noqa: PLC0415 - it takes seconds

        kind = DecisionTreeClassifier if self.named else DecisionTreeRegressor
        return self._answered(kind(min_samples_leaf=LEAF, random_state=seed), [feature])

    def _answered(self, model: Any, features: list[str]) -> NDArray[Any]:
        both = {name: np.concatenate([self.train.columns[name], self.held.columns[name]]) for name in features}
        table, split = _numbers(both), len(self.train)
        truth = self.train.target.astype(str) if self.named else self.train.target
        answers: NDArray[Any] = model.fit(table[:split], truth).predict(table[split:])
        return answers


def _taken(rows: Rows, kinds: dict[str, Kind]) -> tuple[tuple[str, ...], str]:
    """Which features learners take, and what they do not, in words."""
    sizes = {name: int(np.prod(column.shape[1:], dtype=np.int64)) for name, column in rows.columns.items()}
    names = [name for name in sizes if kinds[name] in SINGLE]
    pictures = [name for name in sizes if kinds[name] == "image"]
    large = sum(sizes[name] for name in (*names, *pictures)) > MOST_NUMBERS
    others = [f"{name} ({kinds[name]})" for name in sizes if kinds[name] not in (*SINGLE, "image")]
    lacking = [f"{', '.join(others)}, of which they take nothing"] if others else []
    lacking += [f"more than {MOST_NUMBERS} numbers a row"] if large else []
    return (*names, *([] if large else pictures)), "; and ".join(lacking)


def _numbers(columns: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Columns side by side; categories one-hot, up to a hundred, gaps a value below all others. Shapes: [N,F]."""
    made = []
    for column in columns.values():
        if column.dtype == object:
            names, places, counts = np.unique(column.astype(str), return_inverse=True, return_counts=True)
            usual = np.argsort(-counts, kind="stable")[: min(100, len(names))]
            made.append((places[:, None] == usual[None, :]).astype(np.float32))
        else:
            there = column != MISSING_INTEGER if column.dtype.kind == "i" else np.isfinite(column)
            least = float(column[there].min()) if there.any() else 0.0
            flat = np.where(there, column.astype(np.float64) - least, -1)  # of dates FP32 holds seconds then
            made.append(flat.reshape(len(flat), -1).astype(np.float32))
    return np.concatenate(made, axis=1)
