"""A reference and a window of rows, for the tests of the analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.monitoring.analysis.made import BUNDLE, profile_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from monitoring.analysis.rows import WindowRows
    from staytrue.bundle import Bundle
    from staytrue.profile import ReferenceProfile


@pytest.fixture
def make_reference() -> Callable[..., ReferenceProfile]:
    """Profiles from times, numeric columns and categories."""

    def made(
        time: NDArray[Any], numeric: Mapping[str, Any], category: Mapping[str, Any], **rest: Any
    ) -> ReferenceProfile:
        return profile_of(time, {**numeric, **category}, **rest)

    return made


@pytest.fixture
def make_window() -> Callable[..., WindowRows]:
    """Windows from times and columns."""
    return rows_of


@pytest.fixture
def bundle() -> Bundle:
    """What an analysis reads of a version."""
    return BUNDLE
