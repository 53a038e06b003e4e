"""Space: what may be tried is found fit when the project is read, and numbered or drawn the same each time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from staytrue.errors import InvalidConfig
from training.tune.space import Space, applied

if TYPE_CHECKING:
    from collections.abc import Callable

    from staytrue.project import Project

Make = "Callable[..., Project]"


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ("model.widht: [8]", r"staytrue\.yaml:1[0-9] tuning\.space\.model\.widht: no setting is called.*mean 'width'"),
        ("model.width: []", r"tuning\.space\.model\.width\.choices: expected .*at least 1"),
        ("model.width: [8, wide]", r"tuning\.space\.model\.width: cannot be wide, expected a whole number ≥ 1"),
        ("model.width: {low: 9, high: 8}", r"tuning\.space\.model\.width: low is 9 and high 8"),
        ("model.width: {low: 9}", r"tuning\.space\.model\.width: low, high, log and step belong to a range"),
        ("model.width: {low: 1.5, high: 8}", r"cannot be 1\.5, expected a whole number"),
        ("model.width: {low: 1, high: 8, step: 0.5}", "expected a whole step for a whole number, got 0.5"),
        ("model.width: {low: 1, hihg: 8}", r"tuning\.space\.model\.width\.hihg: unknown key; did you mean 'high'"),
        ("model.width: {low: 1, high: 8, choices: [1]}", "one of them"),
        ("training.learning_rate: {low: 0, high: 1}", r"training\.learning_rate: cannot be 0, expected a number > 0"),
        ("training.averaging: {low: 0, high: 0.9, log: true}", "a range with log has low above 0"),
        ("training.averaging: {low: 0, high: 0.9, step: 0}", "averaging"),
        ("model.output: {low: 0, high: 1}", "expected a list of choices, got a range"),
        ("training.schedule: [cosin]", "did you mean 'cosine'"),
        ("training.augmentation.mixup.shar: [0.1]", r"no setting is called training\.augmentation\.mixup\.shar"),
        ("split.seed: [1]", r"split\.seed; the rows are prepared once"),
        ("data.features.hr.encoding: [embedding]", "no feature is called hr"),
        ("data.features.hour.kind: [category]", "the rows are prepared once"),
        ("training.seed: [1, 2]", "is not tuned; a seed that was chosen is luck"),
        ("model: [1]", "expected the path of a setting"),
        ("training.optimisation: [{}], training.optimisation.beta1: [0.5]", "is a part of training.optimisation"),
    ],
)
def test_what_cannot_be_tried_is_refused_by_its_path_when_the_project_is_read(
    tuned: Callable[..., Project], space: str, said: str
) -> None:
    """Before anything is prepared."""
    with pytest.raises(InvalidConfig, match=said):
        tuned(f"space: {{{space}}}")


def test_a_grid_of_a_range_needs_a_step(tuned: Callable[..., Project]) -> None:
    """Any other method does not."""
    space = "space: {training.averaging: {low: 0, high: 0.9}}"
    tuned(f"{space}, method: random")
    with pytest.raises(InvalidConfig, match="a grid is finite"):
        tuned(f"{space}, method: grid")


def test_a_grid_is_numbered_with_the_last_setting_turning_fastest(tuned: Callable[..., Project]) -> None:
    """Ranges by their steps; rates are rounded to what was meant."""
    space = Space.of(
        tuned("space: {model.width: {low: 2, high: 7, step: 2}, training.averaging: {low: 0.1, high: 0.3, step: 0.1}}")
    )
    assert space.size == 9
    made = [tuple(space.combination(number).values()) for number in range(9)]
    assert made == [(width, rate) for width in (2, 4, 6) for rate in (0.1, 0.2, 0.3)]


def test_draws_depend_on_seed_and_number_alone_and_keep_to_their_ranges(tuned: Callable[..., Project]) -> None:
    """Evenly, by logarithm where that is asked for, whole numbers with both ends."""
    space = Space.of(
        tuned(
            "space: {model.width: {low: 2, high: 5}, training.learning_rate: {low: 1e-4, high: 1, log: true}, "
            "training.averaging: {low: 0, high: 0.4, step: 0.2}, training.loss: [mse, mae]}"
        )
    )
    drawn = [space.drawn(3, number) for number in range(4000)]
    assert drawn[17] == space.drawn(3, 17) != space.drawn(4, 17)
    widths = np.bincount([values["model.width"] for values in drawn])
    assert widths[:2].tolist() == [0, 0]
    assert np.abs(widths[2:] / 1000 - 1).max() < 0.15
    assert {values["training.averaging"] for values in drawn} == {0.0, 0.2, 0.4}
    logs = np.log10([values["training.learning_rate"] for values in drawn])
    assert -4 <= logs.min() < -3.9
    assert logs.mean() == pytest.approx(-2, abs=4 * 4 / math.sqrt(12 * 4000))


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"model.width": 5}, "model.width"),
        ({"training.optimisation.warmup": 0.5}, "training.optimisation.warmup"),
        ({"data.features.hour.encoding": "embedding"}, "data.features.hour.encoding"),
    ],
)
def test_values_reach_the_settings_that_they_are_of(
    tuned: Callable[..., Project], values: dict[str, Any], found: str
) -> None:
    """And no other setting changes."""
    project = tuned()
    made = applied(project, values).model_dump()
    before = project.model_dump()
    *outer, last = found.split(".")
    inside, inside_before = made, before
    for key in outer:
        inside, inside_before = inside[key], inside_before[key]
    assert inside[last] == values[found]
    inside[last] = inside_before[last]
    assert made == before


def test_settings_that_do_not_go_together_say_so(tuned: Callable[..., Project]) -> None:
    """A trial with them fails with these words."""
    with pytest.raises(InvalidConfig, match=r"optimisation\.momentum belongs to optimiser"):
        applied(tuned(), {"training.optimisation.momentum": 0.5})
