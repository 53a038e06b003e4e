"""Each check, on a reference of two columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitoring.analysis.checks import check
from monitoring.analysis.windows import unfit

if TYPE_CHECKING:
    from collections.abc import Callable

    from staytrue.windows import Check

HOURS = 100
X = np.linspace(0.0, 10.0, HOURS)
SKY = np.array(["clear", "cloud"] * (HOURS // 2), dtype=object)


def replaced(values: Any, count: int, by: object) -> Any:
    """The values with the first few exchanged."""
    changed = values.copy()
    changed[:count] = by
    return changed


CASES: dict[str, tuple[dict[str, Any], tuple[str, str, str]]] = {
    "no column": ({"x": None}, ("schema", "x", "fail")),
    "all missing": ({"x": np.full(HOURS, np.nan)}, ("missing", "x", "fail")),
    "six points more missing": ({"x": replaced(X, 6, np.nan)}, ("missing", "x", "warn")),
    "five points more missing": ({"x": replaced(X, 5, np.nan)}, ("column", "x", "ok")),
    "infinite": ({"x": replaced(X, 1, np.inf)}, ("infinite", "x", "warn")),
    "constant": ({"x": np.full(HOURS, 5.0)}, ("constant", "x", "warn")),
    "outside the range": ({"x": X + 6}, ("range", "x", "warn")),
    "half outside the range": ({"x": X + 4}, ("column", "x", "ok")),
    "category missing": ({"sky": np.full(HOURS, None, dtype=object)}, ("missing", "sky", "fail")),
    "new category": ({"sky": replaced(SKY, 2, "hail")}, ("new_category", "sky", "warn")),
    "one new value": ({"sky": replaced(SKY, 1, "hail")}, ("new_category", "sky", "ok")),
    "category constant": ({"sky": replaced(SKY, HOURS, "clear")}, ("constant", "sky", "ok")),
    "as always": ({}, ("column", "sky", "ok")),
}


def checks(make_reference: Callable[..., Any], make_window: Callable[..., Any], **columns: Any) -> list[Check]:
    """Checks of a window of these columns; None leaves one out."""
    time = np.arange(HOURS) * 3600.0
    there = {name: values for name, values in {"x": X, "sky": SKY, **columns}.items() if values is not None}
    return check(make_window(time, there), make_reference(time, {"x": X}, {"sky": SKY}))


@pytest.mark.parametrize("case", CASES)
def test_check_says_what_is_wrong_with_which_column(
    case: str, make_reference: Callable[..., Any], make_window: Callable[..., Any]
) -> None:
    columns, expected = CASES[case]
    found = checks(make_reference, make_window, **columns)
    assert expected in [(item.name, item.column, item.verdict) for item in found]


@pytest.mark.parametrize("case", CASES)
def test_every_column_has_a_verdict_and_one_column_never_costs_another(
    case: str, make_reference: Callable[..., Any], make_window: Callable[..., Any]
) -> None:
    columns, (_, named, verdict) = CASES[case]
    found = checks(make_reference, make_window, **columns)
    assert {item.column for item in found} == {"x", "sky"}
    assert unfit(found) == ({named} if verdict == "fail" else set())


def test_window_without_rows_gets_one_warning_about_volume(
    make_reference: Callable[..., Any], make_window: Callable[..., Any]
) -> None:
    profile = make_reference(np.arange(HOURS) * 3600.0, {"x": X}, {"sky": SKY})
    found = check(make_window(np.empty(0), {}), profile)
    assert [(item.name, item.verdict) for item in found] == [("volume", "warn")]
