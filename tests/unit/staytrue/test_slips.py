"""Slips: a few cells that are no numbers leave a column one of numbers, and are named with their lines."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest

from staytrue import project as projects
from staytrue.errors import InvalidInput
from staytrue.starter import starter

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, odd: dict[int, tuple[int, str]], *, comma: bool = False) -> Path:
    """Columns at, x, y and kind of 400 rows; ``odd`` says by line in which column something else stands."""
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    lines = ["at;x;y;kind"]
    for row in range(400):
        at = (start + datetime.timedelta(hours=row)).strftime("%d.%m.%Y %H:%M")
        x, y = f"{row * 7919 % 1000 / 10:.1f}", f"{row * 104729 % 997 / 80:.2f}"
        cells = [at, x, y, ["yes", "NA", "no", ""][row % 4]]
        cells[1:3] = [cell.replace(".", ",") for cell in cells[1:3]] if comma else cells[1:3]
        place, value = odd.get(row + 2, (0, cells[0]))
        cells[place] = value
        lines.append(";".join(cells))
    path = folder / "plant.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("comma", [False, True])
def test_a_number_column_with_two_bad_cells_stays_one_and_they_are_named(tmp_path: Path, comma: bool) -> None:
    path = written(tmp_path, {301: (1, "1.234,5"), 311: (1, "broken"), 320: (2, "k.A.")}, comma=comma)
    text = starter(path, "y", "at", tmp_path)
    (line,) = [line for line in text.splitlines() if line.strip().startswith("x:")]
    assert line.endswith('; no numbers, and so set aside: "1.234,5" (line 301), "broken" (line 311)')
    assert 'predicted; no numbers, and so set aside: "k.A." (line 320)' in text
    assert "max_bad_rows: 0.015 # guessed: 3 of 400 rows have a cell that is no number; they go to quarantine" in text
    (tmp_path / "staytrue.yaml").write_text(text)
    project = projects.load(tmp_path / "staytrue.yaml")
    assert project.data.features["x"].kind == "numeric"
    assert project.data.query is not None
    assert project.data.query.count("replace(") == 2 * comma
    assert "AS DOUBLE" not in project.data.query  # what does not fit would be missing in silence
    assert project.serving.nan_policy == "reject"  # a slip is no missing value


def test_more_bad_cells_leave_a_column_out_with_what_and_where_they_are(tmp_path: Path) -> None:
    text = starter(written(tmp_path, dict.fromkeys(range(101, 141), (1, "broken"))), "y", "at")
    assert '# left out: x, numbers but for "broken" (line 101), "broken" (line 102)' in text
    assert "(line 105) and 35 more: mend them" in text


def test_words_among_few_numbers_are_codes(tmp_path: Path) -> None:
    path = written(tmp_path, {line: (1, "other" if line % 50 == 0 else str(line % 7)) for line in range(2, 402)})
    assert "x: {kind: category} # guessed: 8 different texts" in starter(path, "y", "at")


def test_not_available_is_a_name_among_names_and_an_empty_cell_is_missing(tmp_path: Path) -> None:
    assert "kind: {kind: category} # guessed: 3 different texts, 100 missing" in starter(
        written(tmp_path, {}), "y", "at"
    )


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        (0, "31.13.2024 00:00", r'"at": expected dates .* got "31\.13\.2024 00:00" \(line 101\), .* and 5 more; mend'),
        (2, "1.234,5", r'"y": expected numbers.* got "1\.234,5" \(line 101\), .* \(line 105\) and 35 more'),
    ],
)
def test_what_is_wrong_is_blamed_and_not_what_stands_first(tmp_path: Path, column: int, value: str, said: str) -> None:
    path = written(tmp_path, dict.fromkeys(range(101, 111 if column == 0 else 141), (column, value)), comma=True)
    with pytest.raises(InvalidInput, match=said):
        starter(path, "y", "at")
