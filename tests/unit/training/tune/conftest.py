"""The small project with a study of two epochs a trial, prepared once for all tests of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from staytrue.project import Project, load
from tests.unit.training.conftest import write_project
from training.prepare import prepare
from training.tune.material import Material

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SPACE = "space: {model.width: [4, 8], training.learning_rate: [0.01, 0.1]}, method: grid"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Rows of the small project."""
    return Material.of(prepare(write_project(tmp_path_factory.mktemp("prepared"))))


@pytest.fixture
def tuned(tmp_path: Path) -> Callable[..., Project]:
    """Write the small project with a section of tuning; ``epochs`` of each trial."""

    def make(tuning: str = SPACE, epochs: int = 2) -> Project:
        write_project(tmp_path)
        path = tmp_path / "staytrue.yaml"
        text = path.read_text(encoding="utf-8").replace(
            "epochs: 30, patience: 10", f"epochs: {epochs}, patience: {epochs}"
        )
        path.write_text(f"{text}tuning: {{{tuning}}}\n", encoding="utf-8")
        return load(path)

    return make
