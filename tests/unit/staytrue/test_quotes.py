"""Quotes: names that YAML reads as something else are refused with their line, wherever names are expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from staytrue.errors import InvalidConfig
from staytrue.repairs import MissingSection
from training.data.label import guideline
from training.data.schema import schema

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = "columns:\n  load: {type: number}\n  kind:\n    type: text\n    categories:\n"
CLASSES = "classes:\n  a: {definition: first}\n  b: {definition: second}\n"


@pytest.mark.parametrize(
    ("listed", "line", "got"),
    [
        (["NA", "maybe", "no"], 8, "false"),
        (["on", "b"], 6, "true"),
        (["a", "1.50"], 7, "1.5"),
        (["2024-01-31"], 6, "2024-01-31"),
        (["a", "007"], 5, "7 is a number"),
    ],
)
def test_a_category_that_yaml_takes_for_no_text_is_refused(
    tmp_path: Path, listed: list[str], line: int, got: str
) -> None:
    path = tmp_path / "schema.yaml"
    path.write_text(COLUMNS + "".join(f"    - {value}\n" for value in listed))
    with pytest.raises(InvalidConfig, match=rf"schema\.yaml:{line} .*put it in quotes") as told:
        schema.read(path)
    assert got in str(told.value)
    path.write_text(COLUMNS + "".join(f'    - "{value}"\n' for value in listed))
    assert schema.read(path).columns["kind"].categories == listed


def test_whole_numbers_may_be_the_categories_of_whole_numbers(tmp_path: Path) -> None:
    path = tmp_path / "schema.yaml"
    path.write_text(COLUMNS.replace("type: text", "type: whole number") + "    - 1\n    - 2\n")
    assert schema.read(path).columns["kind"].categories == [1, 2]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("classes:\n  yes: {definition: first}\n  no: {definition: second}\n", 2),
        (CLASSES + "rules:\n  allowed:\n    2024-01-01: [a]\n", 6),
        (CLASSES + "rules:\n  allowed:\n    ann: [a, no]\n", 6),
        (CLASSES.replace("{definition: second}", "\n    definition: on"), 4),
        (CLASSES.replace("second}", "second, examples: [17]}"), 3),
    ],
)
def test_guidelines_say_where_quotes_lack(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "guideline.yaml"
    path.write_text(text)
    with pytest.raises(InvalidConfig, match=rf"guideline\.yaml:{line}.*put it in quotes"):
        guideline.load(path)


def test_a_constant_that_yaml_takes_for_true_fills_no_number() -> None:
    with pytest.raises(ValueError, match="put it in quotes"):
        MissingSection.model_validate({"columns": {"sky": {"method": "constant", "value": False}}})
    assert MissingSection.model_validate({"method": "constant", "value": "no"}).value == "no"
