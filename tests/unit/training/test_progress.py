"""Progress: what takes long says what it does; a fake watch and a fake clock stand in for a person and time."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rich.console import Console

from staytrue.feature import Feature
from staytrue.preparation import CleaningSection
from staytrue.splitting import SplitSection
from training.data.clean import steps
from training.data.rows import Rows, TrainingRows
from training.data.split.partition import partition
from training.progress import watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.progress import Advance

NUMBERS = {"x": Feature(kind="numeric"), "z": Feature(kind="numeric")}


class Seen:
    """A watch that writes down what it saw: begun and ended, and how far it came of how many units."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.units: dict[str, tuple[int, int]] = {}

    @contextlib.contextmanager
    def __call__(self, name: str, units: int | None = None, /) -> Iterator[Advance]:
        """Begin."""
        self.lines.append(name)
        done = [0]

        def advance(count: int) -> None:
            done[0] += count

        yield advance
        self.lines.append(f"{name}, done")
        if units is not None:
            self.units[name] = (done[0], units)


def rows(count: int = 80) -> TrainingRows:
    """Two columns of numbers, one with gaps."""
    draw = np.random.default_rng(0)
    x, z = draw.normal(size=(2, count)).astype(np.float32)
    x[::4] = np.nan
    return TrainingRows(np.arange(float(count)) * 86400, {"x": x, "z": z}, z.astype(np.float64))


@pytest.mark.parametrize(
    ("cleaning", "within", "units"),
    [
        ({"missing": {"method": "knn"}}, ["missing values", "nearest neighbours"], {"nearest neighbours": (20, 20)}),
        ({"missing": {"method": "iterative"}}, ["missing values", "iterative imputing"], {}),
        ({"outliers": {"method": "isolation_forest", "trees": 5}}, ["outliers", "isolation forest"], {}),
        ({"noise": {"method": "hampel", "columns": ["z"]}}, ["noise", "hampel of z"], {}),
    ],
)
def test_each_step_that_takes_long_is_watched_within_its_own(
    cleaning: dict[str, Any], within: list[str], units: dict[str, tuple[int, int]]
) -> None:
    seen = Seen()
    steps.apply(rows(), NUMBERS, CleaningSection.model_validate(cleaning), seen)
    outer, inner = within
    begin = seen.lines.index(outer)
    assert seen.lines[begin : begin + 4] == [outer, inner, f"{inner}, done", f"{outer}, done"]
    assert seen.units == units


def test_looking_for_leakage_is_watched_pair_of_parts_by_pair() -> None:
    seen, some = Seen(), rows()
    partition(Rows(some.time, some.columns, some.target), SplitSection(method="random"), NUMBERS, seen)
    names = ("duplicates", "near duplicates", "likeness")
    assert seen.lines == [line for name in names for line in (name, f"{name}, done")]
    assert seen.units == {"near duplicates": (3, 3)}


def test_a_person_sees_which_part_of_a_step_goes_on_and_how_far_it_is() -> None:
    page = io.StringIO()
    terminal = Console(file=page, force_terminal=True, width=80, force_interactive=True)
    with watched(1, lambda _: None, console=terminal) as watch, watch("repair"), watch("neighbours", 4) as advance:
        advance(2)
    assert "repair" in page.getvalue()
    assert "neighbours" in page.getvalue()


def test_steps_are_told_of_and_their_parts_where_they_take_two_seconds() -> None:
    """The clock goes on by what each part is said to take."""
    now, told = [0.0], list[str]()
    with watched(2, told.append, clock=lambda: now[0]) as watch:
        with watch("split"):
            with watch("duplicates"):
                now[0] += 1.9
            with watch("near duplicates", 3) as advance:
                advance(3)
                now[0] += 2.0
        with watch("encode"):
            pass
    assert told == ["split: near duplicates: 2.0 s", "split: 3.9 s", "encode: 0.0 s"]


def test_a_training_tells_only_of_what_takes_long() -> None:
    now, told = [0.0], list[str]()
    with watched(2, told.append, least_seconds=2.0, clock=lambda: now[0]) as watch:
        with watch("clean"):
            now[0] += 1.0
        with watch("split"):
            now[0] += 7.0
    assert told == ["split: 7.0 s"]
