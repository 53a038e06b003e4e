"""What the cells of a column have in common, and files that are no table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from staytrue.errors import InvalidInput
from staytrue.table import Column, read_head

if TYPE_CHECKING:
    from pathlib import Path

NEW_YEAR = 1_704_067_200.0
"""2024-01-01 in Unix seconds."""


@pytest.mark.parametrize(
    ("cells", "form", "second"),
    [
        (["2024-01-01", "2024-01-02T03:04:05"], "", NEW_YEAR + 86_400 + 11_045),
        (["2024-01-01T01:00:00+01:00", "2024-01-01T00:00:00Z"], "", NEW_YEAR),
        (["01.01.2024 00:00", "31.01.2024 08:30"], "%d.%m.%Y %H:%M", NEW_YEAR + 30 * 86_400 + 30_600),
        (["1/1/2024 0:00", "1/31/2024 8:30"], "%m/%d/%Y %H:%M", NEW_YEAR + 30 * 86_400 + 30_600),
        (["01/01/2024", "31/01/2024"], "%d/%m/%Y", NEW_YEAR + 30 * 86_400),
        (["20240101", "20240131"], "%Y%m%d", NEW_YEAR + 30 * 86_400),
    ],
)
def test_times_are_read_as_people_write_them(cells: list[str], form: str, second: float) -> None:
    column = Column("t", cells)
    assert column.time_format == form
    assert column.seconds == [NEW_YEAR, second]


def test_of_day_and_month_the_one_comes_first_that_lets_time_run() -> None:
    assert Column("t", ["01/02/2024", "02/02/2024", "03/02/2024"]).time_format == "%d/%m/%Y"
    assert Column("t", ["02/01/2024", "02/02/2024", "02/03/2024"]).time_format == "%m/%d/%Y"
    assert Column("t", ["05/01/2024", "01/02/2024"]).time_format == "%d/%m/%Y"


@pytest.mark.parametrize("cells", [["1", "2"], ["1.5", "2.5"], ["123411", "123412"], ["soon", "later"], ["", ""]])
def test_what_is_no_time_is_none(cells: list[str]) -> None:
    column = Column("t", cells)
    assert (column.seconds, column.epoch, column.times) == ([], [], [])


def test_unix_times_come_in_seconds_and_milliseconds() -> None:
    assert Column("t", ["1704067200", "1704067201"]).epoch == [NEW_YEAR, NEW_YEAR + 1]
    assert Column("t", ["1704067200000", "1704067201500"]).epoch == [NEW_YEAR, NEW_YEAR + 1.5]


@pytest.mark.parametrize(
    ("cells", "commas", "decimal", "numbers"),
    [
        (["1,5", "2", "-3,25"], True, True, [1.5, 2.0, -3.25]),
        (["1,234", "22,345"], True, False, []),  # a thousand and more, or a little more than one
        (["1,234,567", "2"], True, False, []),
        (["1.5", "2"], False, False, [1.5, 2.0]),
        (["a,b", "1,5"], False, False, []),
        (["inf", "1"], False, False, [1.0]),
        (["inf", "warm"], False, False, []),
    ],
)
def test_a_comma_is_decimal_only_where_it_can_be_nothing_else(
    cells: list[str],
    commas: bool,
    decimal: bool,
    numbers: list[float],
) -> None:
    column = Column("x", cells)
    assert (column.commas, column.decimal_comma, column.numbers) == (commas, decimal, numbers)


def test_words_for_missing_are_no_values() -> None:
    column = Column("x", ["1", " NA ", "", "n/a", "2"])
    assert (column.present, column.missing, column.marked, column.distinct) == (["1", "2"], 3, True, 2)
    assert not Column("x", ["1", ""]).marked


def test_numbering_rows_is_counting_up() -> None:
    assert Column("id", ["1", "2", "7"]).counts_up
    assert not Column("x", ["1", "2", "2"]).counts_up
    assert not Column("x", ["0.5", "1.5", "2.5"]).counts_up


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2\n3,4\n", "row 1: expected names of columns, got numbers; add a header line"),
        ("a,b,A\n1,2,3\n", 'row 1: names two columns "a"'),
        ("\n\n", "is empty"),
        ("a,b\n" + '"' + "x" * 200_000 + '",1\n', "is not CSV: field larger"),
    ],
)
def test_a_file_that_is_no_table_says_why(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=said):
        read_head(path)


def test_a_folder_named_like_a_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(InvalidInput, match="cannot be read: Is a directory"):
        read_head(tmp_path / "a.csv")


def test_blank_lines_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfa|b\n\n" + b"1|2\n\n" * 60)
    a, b = read_head(path)
    assert (a.name, b.name, len(a.cells)) == ("a", "b", 60)


def test_only_the_head_of_a_long_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("staytrue.table.HEAD_ROWS", 70)
    path = tmp_path / "a.csv"
    path.write_text("a\n" + "x\n" * 100 + "1,2\n")
    assert len(read_head(path)[0].cells) == 70


def test_one_infinite_number_makes_no_texts_of_the_others() -> None:
    """Rows are cleaned of it, as of a missing one; a time it cannot be."""
    column = Column("x", ["1.5", "-Infinity", "2.5", "inf"])
    assert (column.numbers, column.infinite, column.distinct) == ([1.5, 2.5], 2, 2)
    assert Column("x", ["inf", "Infinity"]).numbers == []
    assert Column("t", ["1704067200", "inf"]).epoch == []
