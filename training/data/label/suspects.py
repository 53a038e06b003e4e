"""Suspects: labels that a model which never saw them finds unlikely.

The model is fitted on the other folds alone and thrown away; no statistic of it reaches what is trained later.

Source: Northcutt, Jiang and Chuang, 2021, "Confident learning: estimating uncertainty in dataset labels", Journal of
Artificial Intelligence Research 70; cleanlab.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from cleanlab.filter import find_label_issues
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from staytrue.errors import InvalidInput
from staytrue.signature import MISSING_INTEGER
from training.progress import unwatched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from training.progress import Advance, Watch

Learner = Literal["forest", "logistic"]
COMPONENTS = 64
"""Principal components that stand for wide rows, such as pictures, before a logistic regression."""


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """One label that is likely wrong."""

    item: str
    given: str
    suggested: str
    given_probability: float
    """Out of fold, of the label that was given."""
    suggested_probability: float


def suspects(
    items: Sequence[str],
    labels: NDArray[Any],
    features: Mapping[str, NDArray[Any]],
    *,
    learner: Learner = "forest",
    folds: int = 5,
    seed: int = 0,
    watch: Watch = unwatched,
) -> list[Suspect]:
    """Labels that confident learning finds wrong, the least likely first.

    Shapes: items, labels [N]; each feature [N] of numbers (NaN is missing) or texts, or [N,...] of pictures.

    Raises:
        InvalidInput: fewer than two classes, or one with fewer rows than folds; names it.
    """
    classes, given = np.unique(labels.astype(str), return_inverse=True)
    _check(classes, given, folds)
    with watch("suspects", folds + 1) as advance:
        likely = out_of_fold(given, features, learner=learner, folds=folds, seed=seed, advance=advance)
        ranked = find_label_issues(
            given, likely, return_indices_ranked_by="self_confidence", filter_by="both", n_jobs=1
        )
        advance(1)
    best = likely.argmax(axis=1)
    return [
        Suspect(
            item=items[row],
            given=str(classes[given[row]]),
            suggested=str(classes[best[row]]),
            given_probability=float(likely[row, given[row]]),
            suggested_probability=float(likely[row, best[row]]),
        )
        for row in ranked.tolist()
    ]


def out_of_fold(
    given: NDArray[np.int64],
    features: Mapping[str, NDArray[Any]],
    *,
    learner: Learner,
    folds: int,
    seed: int,
    advance: Advance = lambda _: None,
) -> NDArray[np.float64]:
    """Probability of each class to each row, by a model fitted without the row's fold. Shapes: [N] → [N,K]."""
    table, named = _matrix(features)
    parts = StratifiedKFold(folds, shuffle=True, random_state=seed)
    rows = len(table) - -(-len(table) // folds)
    model = make_pipeline(_encoder(named), *_learner(learner, min(rows, table.shape[1]), seed))
    likely = np.zeros((len(table), int(given.max()) + 1))

    def judge(part: tuple[NDArray[np.int64], NDArray[np.int64]]) -> None:
        others, judged = part
        likely[judged] = clone(model).fit(table[others], given[others]).predict_proba(table[judged])

    # Folds side by side, each in one thread: trees that share threads add up in another order each time.
    with ThreadPoolExecutor(min(folds, os.cpu_count() or 1)) as pool:
        for _ in pool.map(judge, parts.split(table, given)):
            advance(1)
    return likely


def _check(classes: NDArray[Any], given: NDArray[np.int64], folds: int) -> None:
    if len(classes) < 2:
        raise InvalidInput("suspects", expected="labels of two classes or more", got=f"{len(classes)}")
    counts = np.bincount(given)
    if counts.min() < folds:
        rare = classes[int(counts.argmin())]
        hint = "fewer folds (at least 2), or leave this class out"
        raise InvalidInput(f'suspects, class "{rare}"', expected=f"{folds} rows", got=str(counts.min()), hint=hint)


def _matrix(features: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.float32], list[int]]:
    """All features side by side, texts as numbers of their names; and which columns are such. Shapes: [N,F]."""
    parts: list[NDArray[np.float32]] = []
    named: list[int] = []
    width = 0
    for column in features.values():
        if column.dtype.kind in "OUS":
            named.append(width)
            numbers = np.unique(column.astype(str), return_inverse=True)[1].astype(np.float32)
        else:
            missing = column == MISSING_INTEGER if column.dtype.kind == "i" else ~np.isfinite(column)
            numbers = np.where(missing, np.nan, column).astype(np.float32)
        flat = numbers.reshape(len(numbers), -1)
        width += flat.shape[1]
        parts.append(flat)
    if not width:
        raise InvalidInput("suspects", expected="at least one feature", got="none")
    return np.concatenate(parts, axis=1), named


def _encoder(named: list[int]) -> Any:
    """Gaps filled with the median and marked, names one-hot; learnt in each fold from its own rows."""
    filled = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    one_hot = OneHotEncoder(handle_unknown="ignore", max_categories=100, sparse_output=False)
    return ColumnTransformer([("names", one_hot, named)], remainder=filled)


def _learner(learner: Learner, most: int, seed: int) -> list[Any]:
    """The steps behind the encoder. ``most``: components that rows and columns allow."""
    if learner == "forest":  # leaves of three rows: a wrong label is outvoted by its neighbours
        return [ExtraTreesClassifier(100, min_samples_leaf=3, random_state=seed)]
    wide = [StandardScaler(), PCA(COMPONENTS, whiten=True, random_state=seed)] if most > COMPONENTS else []
    return [*(wide or [StandardScaler()]), LogisticRegression(C=0.1, max_iter=1000)]
