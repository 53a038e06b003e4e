"""The cases of pictures: their settings are settings, and their parts are what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.training.images import IMAGES, write
from staytrue.project import Project, load
from training.models.architectures import arguments_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", IMAGES)
def test_what_a_case_changes_are_settings_that_go_together(name: str) -> None:
    case = IMAGES[name]
    project = case.changed(load(case.project))
    said = project.model_dump(mode="json", exclude_unset=True)
    assert Project.model_validate(said).fingerprint() == project.fingerprint()
    for section, settings in case.change.items():
        assert said[section].items() >= settings.items()
    asked = {key: value for key, value in case.change.get("model", {}).items() if key != "architecture"}
    assert arguments_of(project).items() >= asked.items()


def test_pictures_to_test_with_come_last_and_a_tenth_of_the_others_is_held_out(tmp_path: Path) -> None:
    pictures = np.arange(24, dtype=np.uint8).repeat(4).reshape(24, 2, 2)
    path = write(tmp_path / "d.parquet", "digit", pictures, np.arange(24), np.arange(24) % 3 == 2)
    table = pq.read_table(path).to_pydict()
    assert table["part"] == ["train"] * 14 + ["validation"] * 2 + ["test"] * 8
    assert table["digit"] == [str(picture[0]) for picture in table["image"]]
    assert sorted(table["digit"][-8:], key=int) == [str(number) for number in range(2, 24, 3)]
