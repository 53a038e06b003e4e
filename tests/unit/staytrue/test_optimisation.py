"""Optimisation's settings: each belongs to somebody, and is refused beside another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest
from pydantic import ValidationError

from staytrue.errors import InvalidConfig
from staytrue.optimisation import TAKEN_BY, OptimisationSection, OptimiserName, ScheduleName
from staytrue.project import load
from staytrue.sections import TrainingSection
from staytrue.settings import resolve

if TYPE_CHECKING:
    from pathlib import Path

OPTIMISERS = get_args(OptimiserName)


@pytest.mark.parametrize("name", TAKEN_BY)
def test_a_setting_goes_with_those_that_take_it_alone(name: str) -> None:
    """Beside any other it is refused, with who takes it."""
    value = 3 if name.endswith("epochs") else 0.5
    role = "optimiser" if TAKEN_BY[name][0] in OPTIMISERS else "schedule"
    for other in get_args(OptimiserName if role == "optimiser" else ScheduleName):
        given: dict[str, Any] = {role: other, "optimisation": {name: value}}
        if other in TAKEN_BY[name]:
            assert getattr(TrainingSection.model_validate(given).optimisation, name) == value
        else:
            with pytest.raises(ValidationError, match=rf"optimisation\.{name} belongs to {role} .*{TAKEN_BY[name][0]}"):
                TrainingSection.model_validate(given)


def test_every_setting_that_is_not_for_all_says_whose_it_is() -> None:
    """A new one cannot be forgotten."""
    assert {*OptimisationSection.model_fields} - {*TAKEN_BY} == {"warmup"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"optimiser": "adam", "weight_decay": 0.1}, "weight_decay with adam is adamw"),
        ({"schedule": "exponential", "optimisation": {"end": 0}}, "never reaches zero"),
        ({"optimiser": "nesterov", "optimisation": {"momentum": 0}}, "greater than 0"),
    ],
    ids=str,
)
def test_what_makes_no_sense_together_is_refused(given: Any, told: str) -> None:
    """Says why."""
    with pytest.raises(ValidationError, match=told):
        TrainingSection.model_validate(given)


def test_a_refusal_names_the_place_in_the_file(tmp_path: Path) -> None:
    """And the line."""
    text = "name: a\ndata: {source: a.csv, time: t, target: y, features: {x: {kind: numeric}}}\n"
    (tmp_path / "staytrue.yaml").write_text(text + "training:\n  optimisation: {momentum: 0.5}\n", encoding="utf-8")
    with pytest.raises(
        InvalidConfig, match=r"yaml:3 training: optimisation.momentum belongs to optimiser momentum, nesterov or"
    ):
        load(tmp_path / "staytrue.yaml")


def test_an_optimiser_from_the_environment_brings_its_own_rate() -> None:
    """The rate of the optimiser that stood in the file does not stay."""
    found = resolve(TrainingSection(), "training", {}, {"STAYTRUE_TRAINING_OPTIMISER": "adadelta"})
    assert (found.rate, found.decay) == (1.0, 0.0)
