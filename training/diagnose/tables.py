"""Tables: rows as learners take them that are fitted in a second, to tell what could be learnt of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from training.data.rows import evenly
from training.evaluate.blocks import blocks_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.bundle import Metric
    from staytrue.evaluation import PartEvaluation
    from training.data.rows import Rows
    from training.evaluate.blocks import Blocks
    from training.judgement.restored import Restored

MOST_ROWS = 5000
MOST_NUMBERS = 4096
"""Of a row: wider ones are no table."""
LEAST = 1e-12
TREES, LEAF = 50, 5


@dataclasses.dataclass(frozen=True)
class Tables:
    """Some training and validation rows, from all over them, and the model's answers to the latter."""

    train: Rows
    held: Rows
    answers: NDArray[Any]
    """Of the model to validation rows: numbers, or names of classes. Shapes: [N]."""
    named: bool
    """Whether the truth is the name of a class."""
    blocks: Blocks
    """Of the validation rows."""

    @classmethod
    def of(cls, run: Restored) -> Tables | None:
        """None where rows are no tables: texts, sequences, large pictures, several targets."""
        train, held = run.training, run.validation
        plain = {
            name for name, one in run.project.data.features.items() if one.kind in ("numeric", "category", "image")
        }
        wide = sum(int(np.prod(column.shape[1:], dtype=np.int64)) for column in train.columns.values())
        if run.checkpoint.task not in ("regression", "classification") or train.target.ndim > 1:
            return None
        if set(train.columns) - plain or wide > MOST_NUMBERS:
            return None
        train, held = train.take(evenly(len(train), MOST_ROWS)), held.take(evenly(len(held), MOST_ROWS))
        answers, _ = run.task.predictions(run.model, held)
        named = run.checkpoint.task == "classification"
        blocks = blocks_of(held, run.project.split, run.project.training.seed)
        return cls(train, held, np.array(answers, dtype=object if named else np.float64), named, blocks)

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
    def tells(self) -> bool:
        """Whether a constant answer misses any of the held rows, to measure by it, and there is more than one block."""
        return self._constant > LEAST and self.blocks.count > 1

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
        return self._answered(kind(TREES, min_samples_leaf=3, random_state=seed), list(self.train.columns))

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


def _numbers(columns: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Columns side by side; categories one-hot, up to a hundred, gaps a value below all others. Shapes: [N,F]."""
    made = []
    for column in columns.values():
        if column.dtype == object:
            names, places, counts = np.unique(column.astype(str), return_inverse=True, return_counts=True)
            usual = np.argsort(-counts, kind="stable")[: min(100, len(names))]
            made.append((places[:, None] == usual[None, :]).astype(np.float32))
        else:
            flat = column.reshape(len(column), -1).astype(np.float64)
            least = np.nanmin(np.where(np.isfinite(flat), flat, np.nan), initial=0.0)
            made.append(np.where(np.isfinite(flat), flat, least - 1).astype(np.float32))
    return np.concatenate(made, axis=1)
