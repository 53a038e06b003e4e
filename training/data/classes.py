"""Classes: the names that a classifier may answer, and what else may not bear their outputs' names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import InvalidConfig, InvalidInput
from staytrue.pictures import SUMMARIES

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from staytrue.project import Project
    from training.data.rows import Rows

PROBABILITIES = "probabilities"
"""Name of a classifier's second output."""
CONFIDENCE = "confidence"
"""Name of the largest of them, as monitoring watches it."""
MOST = 1000


def classes_of(target: NDArray[Any], train: NDArray[Any]) -> tuple[str, ...]:
    """All names that the rows hold, sorted; none where the target is a number.

    Raises:
        InvalidInput: fewer than two or very many of them, or one that no row to train on bears.
    """
    if target.dtype != object:
        return ()
    names = sorted(set(target.tolist()))
    if not 2 <= len(names) <= MOST:
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        expected = f"2 to {MOST} classes in the target"
        raise InvalidInput("data.target", expected=expected, got=f"{len(names)}: {shown}"[:200])
    unlearnt = sorted(set(names) - set(train.tolist()))
    if unlearnt:
        got = ", ".join(unlearnt)[:200]
        hint = "leave its rows out in data.query, or lower split.block_days"
        raise InvalidInput("data.target", "no row to train on is of class", expected="some of each", got=got, hint=hint)
    return tuple(names)


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
    data, named = project.data, project.model.task == "classification"
    if named and data.target == PROBABILITIES:
        hint = "rename the column in data.query"
        raise InvalidConfig("data.target", f'cannot be "{PROBABILITIES}", the second output of a classifier', hint=hint)
    taken = {PROBABILITIES, CONFIDENCE} if named else set()
    taken |= {
        f"{name}.{what}" for name, feature in data.features.items() if feature.kind == "image" for what in SUMMARIES
    }
    for name in data.features:
        if name in taken:
            hint = "rename the column in data.query"
            raise InvalidConfig("data.features", f'"{name}" is the name of what is watched of the model', hint=hint)
    task = project.model.task
    if task != "regression" and project.model.output == "positive":
        raise InvalidConfig("model.output", expected=f"linear for {task}", got="positive", hint="leave it out")
