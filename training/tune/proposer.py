"""Proposer: Hyperopt, behind Ray's interface of searches, over the space of a study."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from hyperopt import hp
from ray.tune.search import Searcher
from ray.tune.search.hyperopt import HyperOptSearch

from training.tune.space import label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training.tune.space import Axis, Value
    from training.tune.study import Study

STARTUP = 10
"""Trials by chance before Hyperopt proposes any, as Optuna's."""


class Proposer(Searcher):  # type: ignore[misc]  # Ray has no types
    """Hyperopt's tree-structured Parzen estimator over the study's space; it knows all that the study knows.

    ``measure`` is the key of a report, ``values`` that of a trial's settings.
    """

    def __init__(self, study: Study, measure: str, values: str) -> None:
        super().__init__(metric=measure, mode="min")
        self._values = values
        self._axes = {axis.path: axis for axis in study.space.axes}
        known, waiting = study.known, study.waiting
        self._hyperopt = HyperOptSearch(
            {path: _searched(axis) for path, axis in self._axes.items()},
            metric=measure,
            mode="min",
            points_to_evaluate=[self._raw(values) for values in [*(values for values, _ in known), *waiting]] or None,
            n_initial_points=STARTUP,
            random_state_seed=int(np.random.SeedSequence([study.settings.seed, study.begun]).generate_state(1)[0]),
        )
        for place, (_, value) in enumerate(known):
            self._hyperopt.suggest(f"known-{place}")
            self._hyperopt.on_trial_complete(f"known-{place}", {measure: value})

    def set_search_properties(self, metric: str | None, mode: str | None, config: Any, **spec: Any) -> bool:
        """They are known."""
        del metric, mode, config, spec
        return True

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """Settings of the next trial."""
        raw = self._hyperopt.suggest(trial_id)
        return {self._values: {path: _value(axis, raw[path]) for path, axis in self._axes.items()}}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Learn from it."""
        self._hyperopt.on_trial_complete(trial_id, result, error=error)

    def _raw(self, values: Mapping[str, Value]) -> dict[str, Any]:
        return {path: _unvalued(axis, values[path]) for path, axis in self._axes.items()}


def _searched(axis: Axis) -> Any:
    """What Hyperopt draws of a setting: a label, the place of a step, or a number."""
    dimension = axis.dimension
    if dimension.choices is not None:
        return hp.choice(axis.path, [label(choice) for choice in dimension.choices])
    if _stepped(axis):
        return hp.randint(axis.path, len(axis.values))
    low, high = axis.ends
    return (
        hp.loguniform(axis.path, math.log(low), math.log(high)) if dimension.log else hp.uniform(axis.path, low, high)
    )


def _value(axis: Axis, raw: Any) -> Value:
    """The setting that was meant."""
    if axis.dimension.choices is not None:
        return axis.dimension.choices[[label(choice) for choice in axis.dimension.choices].index(raw)]
    if _stepped(axis):
        return axis.values[int(raw)]
    low, high = axis.ends
    number = min(max(float(raw), low), high)
    return round(number) if axis.whole else number


def _unvalued(axis: Axis, value: Value) -> Any:
    """The way back."""
    if axis.dimension.choices is not None:
        return label(value)
    return axis.values.index(value) if _stepped(axis) else float(value)


def _stepped(axis: Axis) -> bool:
    return not axis.dimension.log and (axis.whole or axis.dimension.step is not None)
