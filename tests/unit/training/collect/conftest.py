"""The bikes' file in a project's data section, for the tests of collecting."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from staytrue.preparation import DataSection
from staytrue.project import load

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLE = Path(__file__).parents[4] / "examples" / "bikeshare" / "staytrue.yaml"


@pytest.fixture
def bikes() -> Path:
    """Their CSV file."""
    return EXAMPLE.with_name("hourly.csv")


@pytest.fixture
def section(tmp_path: Path) -> Callable[..., DataSection]:
    """The example's data section with other sources; bad rows go to a file of the test's own."""

    def made(**changes: Any) -> DataSection:
        values = load(EXAMPLE).data.model_dump(exclude={"source"} if "sources" in changes else set())
        return DataSection.model_validate(values | {"quarantine": tmp_path / "quarantine.csv"} | changes)

    return made
