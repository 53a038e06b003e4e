"""Targets: texts where numbers are to be learnt are told at the setting, with the first of them and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest
import yaml

from staytrue.command import main
from tests.unit.training.conftest import write_project

if TYPE_CHECKING:
    from pathlib import Path

    Captured = pytest.CaptureFixture[str]


def told(folder: Path, target: str | list[str], capsys: Captured, **data: str) -> tuple[str, str]:
    """What ``prepare`` says of a target, and the place of its setting."""
    write_project(folder)
    file = folder / "staytrue.yaml"
    values = yaml.safe_load(file.read_text())
    del values["data"]["features"]["sky"]
    values["data"] |= {"target": target, **data}
    file.write_text(yaml.safe_dump(values))
    assert main(["prepare", "--project", str(file), "--output", str(folder / "out")]) == 1
    lines = file.read_text().splitlines()
    return (
        capsys.readouterr().err,
        f"{file}:{lines.index(next(one for one in lines if 'target:' in one)) + 1} data.target",
    )


@pytest.mark.parametrize("target", ["sky", ["y", "sky"]])
def test_a_target_of_texts_in_a_csv_file_is_told_with_its_first_line(
    target: str | list[str], tmp_path: Path, capsys: Captured
) -> None:
    said, place = told(tmp_path, target, capsys)
    first = (tmp_path / "toy.csv").read_text().splitlines()[1].split(",")[3]
    expected = (
        f"{place}, column \"sky\" of toy.csv:2: expected numbers, got '{first}', and 960 of 960 are none; "
        "say model.task: classification if it names classes, or cast it in data.query\n"
    )
    assert said.endswith(expected)


def test_a_target_of_texts_in_a_parquet_file_is_told_alike(tmp_path: Path, capsys: Captured) -> None:
    write_project(tmp_path)
    duckdb.sql(f"COPY (FROM '{tmp_path / 'toy.csv'}') TO '{tmp_path / 'toy.parquet'}'")
    said, place = told(tmp_path, "sky", capsys, source="toy.parquet")
    assert f'{place}, column "sky" of toy.parquet, row 1: expected numbers, got \'' in said
    assert "; say model.task: classification if" in said


def test_a_few_texts_among_the_numbers_of_a_target_are_bad_rows_as_before(tmp_path: Path, capsys: Captured) -> None:
    """They are slips: mend them, or set them aside."""
    write_project(tmp_path)
    lines = (tmp_path / "toy.csv").read_text().splitlines()
    lines[5] = ",".join([*lines[5].split(",")[:4], "broken"])
    file = tmp_path / "staytrue.yaml"
    (tmp_path / "toy.csv").write_text("\n".join(lines))
    assert main(["prepare", "--project", str(file), "--output", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert 'toy.csv:6, column "y": ' in said
    assert "or set them aside by data.max_bad_rows" in said
