"""Facts: what is known of the rows that train before any model is."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from staytrue.splitting import READERS, SplitSection
from training.data.clean.cleaning import is_missing
from training.data.columns import PARTS, lengths
from training.data.pictures import seen_size
from training.data.rows import learnable
from training.models.architectures import ARCHITECTURES

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from staytrue.project import Project
    from training.data.rows import TrainingRows


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Of training rows alone. Shares are between 0 and 1."""

    task: str
    rows: int
    kinds: list[str]
    """Of the features, in their order."""
    architectures: dict[str, list[str]]
    """Those that there are, each with the settings that it takes."""
    targets: int = 1
    quantiles: bool = False
    classes: list[float] = []
    """Share of each class."""
    counts: bool = False
    """Whether every target holds whole numbers that are never negative."""
    positive: bool = False
    """Whether every target is always above zero."""
    binary: bool = False
    """Whether there is one target, of two numbers."""
    mean: float = 0.0
    """The largest of the targets'."""
    skew: float = 0.0
    """Third moment in deviations, of the target that is skewed most; 0 where it is even, 2 of waiting times."""
    dependence: float = 0.0
    """How alike neighbours in time are: a target's correlation with the one before, 0 by chance, 1 the same."""
    missing: float = 0.0
    """Of the values of numbers and categories."""
    categories: dict[str, int] = {}
    """Different values of each category."""
    size: list[int] = []
    """Of a picture as the model sees it: channels, height, width."""
    length: int = 0
    """Median length of the sequence or text: steps, bytes."""
    method: str = "blocks"
    """Of the split, as it is set."""
    split: list[str] = []
    """Settings of the split that somebody set to another value than the default."""


def facts_of(project: Project, rows: TrainingRows, given: Collection[str] = ()) -> Facts:
    """What the training rows of a project say; ``given`` are settings of the split that its file has."""
    fields = SplitSection.model_fields
    target, features = learnable(rows).target, project.data.features
    named = target.dtype == object
    targets = [target] if target.ndim == 1 else list(target.T)
    numbers = targets if project.model.task == "regression" else [np.zeros(1)]
    flat = {name: column for name, column in rows.columns.items() if column.ndim == 1}
    gaps = [is_missing(column).mean() for column in flat.values()]
    return Facts(
        task=project.model.task,
        rows=len(rows),
        kinds=[feature.kind for feature in features.values()],
        architectures={name: _taken(made) for name, made in ARCHITECTURES.items()},
        targets=len(project.data.targets),
        quantiles=bool(project.model.quantiles),
        classes=(np.unique(target, return_counts=True)[1] / len(rows)).tolist() if named else [],
        counts=not named and all(bool((some >= 0).all() and (some == np.round(some)).all()) for some in numbers),
        positive=all(bool((some > 0).all()) for some in numbers),
        binary=len(targets) == 1 and len(np.unique(numbers[0])) == 2,
        mean=max(float(some.mean()) for some in numbers),
        skew=max((_skew(some) for some in numbers), key=abs),
        dependence=max(map(dependence, targets)),
        missing=float(np.mean(gaps)) if gaps else 0.0,
        categories={name: len(np.unique(flat[name])) for name, some in features.items() if some.kind == "category"},
        size=next((seen_size(some) for some in features.values() if some.kind == "image"), []),
        length=max(
            [int(np.median(lengths(rows.columns[name]))) for name, some in features.items() if some.kind in PARTS],
            default=0,
        ),
        method=project.split.method,
        split=[name for name in READERS if name in given or getattr(project.split, name) != fields[name].default],
    )


def dependence(target: NDArray[Any]) -> float:
    """Correlation of neighbours; of names how much oftener than by chance they are the same. Shapes: [N] in time order.

    >>> dependence(np.array(["a", "a", "a", "b", "b", "b"], dtype=object)) > 0.5
    True
    >>> dependence(np.array([1.0, -1.0, 1.0, -1.0]))
    -1.0
    """
    if len(target) < 3:
        return 0.0
    if target.dtype == object:
        shares = np.unique(target, return_counts=True)[1] / len(target)
        chance = float((shares**2).sum())
        same = float(np.mean(target[1:] == target[:-1]))
        return (same - chance) / (1 - chance) if chance < 1 else 0.0
    before, after = target[:-1], target[1:]
    if not before.std() or not after.std():
        return 0.0
    return round(float(np.corrcoef(before, after)[0, 1]), 6)


def _skew(numbers: NDArray[np.float64]) -> float:
    spread = float(numbers.std())
    return float((((numbers - numbers.mean()) / spread) ** 3).mean()) if spread else 0.0


def _taken(made: type[Any]) -> list[str]:
    named = inspect.signature(made).parameters.values()
    return [one.name for one in named if one.kind is one.KEYWORD_ONLY]
