"""Imputers: missing numbers of training rows from the other numbers of their row."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from training.data.clean.cleaning import is_missing
from training.data.rows import evenly, learnable
from training.progress import unwatched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from staytrue.repairs import MissingSection
    from training.data.rows import TrainingRows
    from training.progress import Watch

    Numbers = NDArray[np.float64]


CHUNK = 1000
"""Rows whose neighbours are sought together."""


class Neighbours(msgspec.Struct, frozen=True, kw_only=True):
    """Nearest neighbours: the columns that distance is measured in, each scaled to mean 0 and deviation 1."""

    columns: list[str]
    centre: list[float]
    spread: list[float]
    neighbours: int
    donors: int
    """Training rows that give their values, evenly over time; they are the training rows', so they are not kept."""


class Regression(msgspec.Struct, frozen=True, kw_only=True):
    """One column by the others, linearly. Units: columns scaled as the state says."""

    column: int
    others: list[int]
    weights: list[float]
    intercept: float


class Regressions(msgspec.Struct, frozen=True, kw_only=True):
    """Iterative imputing: each column by a regression on the others, round after round."""

    columns: list[str]
    centre: list[float]
    spread: list[float]
    start: list[float]
    """What gaps hold before the first round. Units: scaled, as of those that follow."""
    low: list[float]
    high: list[float]
    """The span of a column among the training rows: no imputed value leaves it."""
    rounds: list[Regression]
    """In the order in which they are applied."""
    settled: bool
    """Whether the last round changed next to nothing."""


def fit_neighbours(rows: TrainingRows, columns: Sequence[str], settings: MissingSection) -> Neighbours:
    """Scales of the columns. Shapes: columns are numeric, each with a value."""
    _, centre, spread = _scaled(rows, columns)
    return Neighbours(
        columns=list(columns),
        centre=centre.tolist(),
        spread=spread.tolist(),
        neighbours=settings.neighbours,
        donors=min(settings.donors, len(rows)),
    )


def by_neighbours(
    rows: TrainingRows, state: Neighbours, wanted: NDArray[np.bool_], watch: Watch = unwatched
) -> Numbers:
    """The columns of some rows, gaps filled with the mean of the nearest rows'. Shapes: wanted [N], some → [n,columns].

    Source: Troyanskaya et al., Bioinformatics 17 (2001).
    """
    from sklearn.impute import KNNImputer  # noqa: PLC0415 - it takes seconds to import, and few trainings impute so

    centre, spread = np.array(state.centre), np.array(state.spread)
    table = (_table(rows, state.columns) - centre) / spread
    donors = evenly(len(rows), state.donors)
    imputer = KNNImputer(n_neighbors=state.neighbours, keep_empty_features=True).fit(table[donors])
    places = np.flatnonzero(wanted)
    filled: Numbers = np.empty((len(places), len(centre)))
    with watch("nearest neighbours", len(places)) as advance:
        for begin in range(0, len(places), CHUNK):
            some = places[begin : begin + CHUNK]
            filled[begin : begin + CHUNK] = imputer.transform(table[some]) * spread + centre
            advance(len(some))
    return filled


def fit_regressions(
    rows: TrainingRows, columns: Sequence[str], settings: MissingSection, watch: Watch = unwatched
) -> Regressions:
    """Bayesian ridge regressions of each column with gaps on all others, as scikit-learn's IterativeImputer fits them.

    Source: van Buuren and Groothuis-Oudshoorn, Journal of Statistical Software 45 (2011), for the chained equations.
    """
    table, centre, spread = _scaled(rows, columns)
    low, high = np.nanmin(table, axis=0), np.nanmax(table, axis=0)
    with watch("iterative imputing"):
        imputer, settled = _chained(table[evenly(len(rows), settings.donors)], low, high, settings.rounds)
    chain = [
        Regression(
            column=int(step.feat_idx),
            others=[int(place) for place in step.neighbor_feat_idx],
            weights=step.estimator.coef_.tolist(),
            intercept=float(step.estimator.intercept_),
        )
        for step in imputer.imputation_sequence_
        if len(step.neighbor_feat_idx)
    ]
    return Regressions(
        columns=list(columns),
        centre=centre.tolist(),
        spread=spread.tolist(),
        start=imputer.initial_imputer_.statistics_.tolist(),
        low=low.tolist(),
        high=high.tolist(),
        rounds=chain,
        settled=settled,
    )


def _chained(donors: Numbers, low: Numbers, high: Numbers, rounds: int) -> tuple[Any, bool]:
    """scikit-learn's imputer, and whether it settled. Shapes: [N,columns], [columns] the span of each."""
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - as above
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401, PLC0415 - lets the next line import it
    from sklearn.impute import IterativeImputer  # noqa: PLC0415

    still = high <= low  # it refuses such a span
    imputer = IterativeImputer(
        max_iter=rounds,
        min_value=np.where(still, -np.inf, low),
        max_value=np.where(still, np.inf, high),
        random_state=0,
        keep_empty_features=True,
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ConvergenceWarning)
        imputer.fit(donors)
    return imputer, not any(issubclass(one.category, ConvergenceWarning) for one in said)


def by_regressions(rows: TrainingRows, state: Regressions, wanted: NDArray[np.bool_]) -> Numbers:
    """The columns of some rows, gaps filled by the regressions. Shapes: wanted [N] → [n,columns]."""
    centre, spread = np.array(state.centre), np.array(state.spread)
    table = ((_table(rows, state.columns) - centre) / spread)[wanted]
    gone = np.isnan(table)
    table = np.where(gone, np.array(state.start), table)
    for step in state.rounds:
        which = gone[:, step.column]
        told = table[np.ix_(which, step.others)] @ np.array(step.weights) + step.intercept
        table[which, step.column] = np.clip(told, state.low[step.column], state.high[step.column])
    filled: Numbers = table * spread + centre
    return filled


def _table(rows: TrainingRows, columns: Sequence[str]) -> Numbers:
    kept = learnable(rows).columns
    parts = [np.where(is_missing(kept[name]), np.nan, kept[name].astype(np.float64)) for name in columns]
    return np.column_stack(parts)


def _scaled(rows: TrainingRows, columns: Sequence[str]) -> tuple[Numbers, Numbers, Numbers]:
    table = _table(rows, columns)
    centre, spread = np.nanmean(table, axis=0), np.nanstd(table, axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    return (table - centre) / spread, centre, spread
