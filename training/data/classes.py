"""Classes: the names that a classifier may answer, and what else may not bear their outputs' names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import InvalidConfig, InvalidInput
from staytrue.pictures import SUMMARIES
from training.data.rows import by_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from staytrue.project import Project
    from training.data.rows import Rows

PROBABILITIES = "probabilities"
"""Name of a classifier's second output."""
DECISIONS = "decisions"
"""Name of a multi-label model's first output."""
QUANTILES = "quantiles"
"""Name of the second output of a model of quantiles."""
CONFIDENCE = "confidence"
"""Name of the largest of them, as monitoring watches it."""
MOST = 1000
MANY = 100
"""Numbers that nobody means as names, where they are more than a tenth of the rows too."""

_HINTS = {
    "blocks": "lower split.block_days, or take split.method: stratified",
    "random": "take split.method: stratified",
    "grouped": "lower split.validation and split.test: its rows are of groups that do not train",
    "time": "lower split.validation and split.test: its rows are newer than those that train",
    "given": "mend the column that split.column names",
}
"""What to do, by the method of the split, where a class does not train."""


def classes_of(target: NDArray[Any], train: NDArray[Any], method: str = "blocks") -> tuple[str, ...]:
    """All names that the rows hold, sorted; none where the target is a number.

    Raises:
        InvalidInput: fewer than two or very many of them, a number for nearly each row, or a name that does not train.
    """
    if target.dtype != object:
        return ()
    names = sorted(set(target.tolist()))
    if len(names) > max(MANY, len(target) // 10) and all(map(_is_number, names)):
        got, hint = f"{len(names):,} different numbers", "model.task: regression predicts numbers"
        raise InvalidInput("data.target", expected="names of classes for classification", got=got, hint=hint)
    if not 2 <= len(names) <= MOST:
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        expected = f"2 to {MOST} classes in the target"
        raise InvalidInput("data.target", expected=expected, got=f"{len(names)}: {shown}"[:200])
    unlearnt = sorted(set(names) - set(train.tolist()))
    if unlearnt:
        got = ", ".join(unlearnt)[:200]
        hint = "leave its rows out in data.query"
        hint += f", or {_HINTS[method]}" if method in _HINTS else ""
        raise InvalidInput("data.target", "no row to train on is of class", expected="some of each", got=got, hint=hint)
    return tuple(names)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def check_varies(target: NDArray[Any], names: Sequence[str], parts: Mapping[str, int]) -> None:
    """Refuse a target that is the same in all rows to train on. ``parts``: how many rows each part has.

    Shapes: target [N] or [N,K], of which each column has to vary.

    Raises:
        InvalidInput: names the column and its value.
    """
    for name, column in by_name(target, names).items():
        if len(column) and (column == column[0]).all():
            value = f'"{column[0]}"' if column.dtype == object else f"{column[0]:g}"
            others = ", ".join(f"{count:,} to {part}" for part, count in parts.items())
            hint = (
                "nothing can be learnt of it: see what data.query leaves of the column and how it is read, or collect "
                f"rows of other values; where there are some, split.method: random deals them to all parts ({others})"
            )
            expected = f'"{name}" of two values or more in the rows to train on'
            raise InvalidInput("data.target", expected=expected, got=f"{value} in all {len(column):,}", hint=hint)


def check_sign(target: NDArray[np.float64], names: Sequence[str]) -> None:
    """Refuse targets below zero of a model that cannot predict them. Shapes: [N] or [N,K].

    Raises:
        InvalidConfig: names the column, how many there are, and the least.
    """
    for name, column in by_name(target, names).items():
        if count := int((column < 0).sum()):
            least = f'{count:,} of {len(column):,} values of "{name}" below zero, the least {column.min():g}'
            hint = "leave it out, with training.loss: poisson where that stands; or leave such rows out in data.query"
            raise InvalidConfig("model.output", expected="no target below zero with positive", got=least, hint=hint)


def of_classes(rows: Rows, classes: Collection[str]) -> tuple[Rows, int]:
    """The rows whose truth is one of the classes, and how many others there were; all where the target is a number."""
    if not classes:
        return rows, 0
    known = np.array([name in classes for name in rows.target], dtype=np.bool_)
    return rows.take(known), int((~known).sum())


def check_names(project: Project) -> None:
    """Refuse columns that bear a name which the model or its profile needs.

    Raises:
        InvalidConfig: names the column.
    """
    data, model = project.data, project.model
    named = model.task == "classification"
    _check_targets(project)
    taken = {PROBABILITIES, CONFIDENCE} if named else set()
    taken |= {
        f"{name}.{what}" for name, feature in data.features.items() if feature.kind == "image" for what in SUMMARIES
    }
    for name in data.features:
        if name in taken:
            hint = "rename the column in data.query"
            raise InvalidConfig("data.features", f'"{name}" is the name of what is watched of the model', hint=hint)
    if model.task != "regression" and model.output == "positive":
        raise InvalidConfig("model.output", expected=f"linear for {model.task}", got="positive", hint="leave it out")


def _check_targets(project: Project) -> None:
    """Refuse as many targets as the task does not take, and one that bears the name of another output."""
    targets, model = project.data.targets, project.model
    alone = model.task == "classification" or bool(model.quantiles)
    if alone and len(targets) > 1:
        what = "model.quantiles" if model.quantiles else "task classification"
        hint = "task multilabel takes a column a label" if not model.quantiles else "train a model for each"
        raise InvalidConfig("data.target", expected=f"one column for {what}", got=project.data.goal[:200], hint=hint)
    if model.task == "multilabel" and len(targets) < 2:
        hint = "model.task: classification is of one column"
        raise InvalidConfig("data.target", expected="a list of columns, one a label", got=targets[0], hint=hint)
    other = {"classification": PROBABILITIES}.get(model.task, QUANTILES if model.quantiles else "")
    if other in targets:
        hint = "rename the column in data.query"
        raise InvalidConfig("data.target", f'cannot be "{other}", the second output of the model', hint=hint)
