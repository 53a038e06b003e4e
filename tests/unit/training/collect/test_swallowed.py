"""Lines within a quote that nobody closed and that ends at a later one: never lost in silence; legal texts are kept."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest

from staytrue.errors import InvalidInput
from training.data.collect import swallowed
from training.data.collect.lost import taller
from training.data.collect.rowlike import NUMBER, TIME, alike
from training.data.collect.source import collected
from training.data.collect.swallowed import has_tall

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.preparation import DataSection

    Make = Callable[..., DataSection]

ROWS = 28


def lines_of(**changes: str) -> str:
    """A file's content; ``line_7`` replaces that line."""
    lines = ["at,x,y,note", *(f"2024-01-01,{number},{number},sun" for number in range(2, ROWS + 2))]
    for key, content in changes.items():
        lines[int(key.removeprefix("line_")) - 1] = content
    return "\n".join(lines) + "\n"


@pytest.fixture
def over(section: Make, tmp_path: Path) -> Callable[..., DataSection]:
    """A section over a file: read strictly, or with bad rows set aside by the two ways to name a file."""

    def made(way: str, content: str, **options: Any) -> DataSection:
        path = tmp_path / "s.csv"
        path.write_text(content)
        source = {"sources": {"s": {"path": path, "options": options}}} if way == "named" else {"source": path}
        values = {"query": "SELECT * FROM source", "time": "at", "target": "y", "features": {"x": {"kind": "numeric"}}}
        return section(**source, **values, max_bad_rows=0.0 if way == "strict" else 0.9)

    return made


OPEN = {
    "in the last column": {"line_10": '2024-01-01,10,10,"sun', "line_14": '2024-01-01,14,14,sun"'},
    "of two lines": {"line_10": '2024-01-01,10,10,"sun', "line_11": '2024-01-01,11,11,sun"'},
    "with a blank and a broken line": {
        "line_10": '2024-01-01,10,10,"sun',
        "line_12": "",
        "line_13": "what",
        "line_16": '2024-01-01,16,16,sun"',
    },
    "fractions without a whole part": {
        "line_10": '2024-01-01,.10,10,"sun',
        "line_11": "2024-01-01,.11,11,sun",
        "line_12": "2024-01-01,-.12,12,sun",
        "line_13": "2024-01-01,inf,13,sun",
        "line_14": '2024-01-01,.14,14,sun"',
    },
    "closed as inches": {"line_10": '2024-01-01,10,10,"sun', "line_12": '2024-01-01,12,12,24"'},
}
"""Lines that read as one whole row."""
BROKEN = {
    "too short": {"line_10": '2024-01-01,10,"10,sun', "line_14": '2024-01-01,14,14,sun"'},
    "no number": {"line_10": '2024-01-01,10,"10,sun', "line_14": '2024-01-01,14,14",sun'},
    "too long": {"line_10": '2024-01-01,10,"10,sun', "line_14": '2024-01-01,14",14,sun'},
}
"""Lines that read as one row which is set aside anyway."""


def last(lines: dict[str, str]) -> int:
    """The line in which the quote ends."""
    return int(list(lines)[-1].removeprefix("line_"))


@pytest.mark.parametrize("lines", OPEN.values(), ids=OPEN)
@pytest.mark.parametrize("way", ["named", "plain"])
def test_a_quote_that_ends_by_chance_takes_no_line_along_in_silence(
    way: str, lines: dict[str, str], over: Callable[..., DataSection]
) -> None:
    """Each line counts, the reason names the first and the last, and rows below keep their lines."""
    data = over(way, lines_of(**lines, line_20="2024-01-01,many,20,sun"))
    found = collected(data)
    taken = last(lines) - 10 + 1
    assert (len(found.rows), found.report.bad.rows) == (ROWS - taken - 1, taken + 1)
    first, second = found.report.bad.examples
    assert (first.line, first.column, second.line) == (10, "note", 20)
    assert f"a quote that opens in this line ends in line {last(lines)}" in first.reason
    assert "options: {quoted_lines: true}" in first.reason
    with data.quarantine.open(encoding="utf-8", newline="") as stream:
        text = next(csv.DictReader(stream))["text"]
    assert text.splitlines()[1].startswith(("2024-01-01,11,11,sun", "2024-01-01,.11,11,sun"))


@pytest.mark.parametrize("lines", [*OPEN.values(), *BROKEN.values()], ids=[*OPEN, *BROKEN])
def test_a_file_with_such_a_quote_is_refused_with_its_lines(
    lines: dict[str, str], over: Callable[..., DataSection]
) -> None:
    with pytest.raises(InvalidInput, match=rf"s\.csv:10, .* line {last(lines)}\b.* got {last(lines) - 9} of 28"):
        collected(over("strict", lines_of(**lines)))


def test_a_column_that_nobody_asks_for_hides_none(over: Callable[..., DataSection]) -> None:
    """DuckDB does not even look at the number within it."""
    content = lines_of(**BROKEN["no number"])
    data = over("strict", content).model_copy(update={"query": "SELECT at, x, x AS y FROM source"})
    with pytest.raises(InvalidInput, match=r"s\.csv:10, .* line 14\b"):
        collected(data)


@pytest.mark.parametrize("lines", BROKEN.values(), ids=BROKEN)
def test_each_line_counts_of_a_row_that_is_broken_too(lines: dict[str, str], over: Callable[..., DataSection]) -> None:
    found = collected(over("named", lines_of(**lines)))
    assert (len(found.rows), found.report.bad.rows) == (23, 5)
    assert found.report.bad.examples[0].reason.endswith("It takes the lines after it along, to line 14.")


TEXTS = [
    "sun\nand rain",
    "sun\nthen, as said, it was 3, or 4",
    "12, Main Street\nSpringfield",
    "a,b\nc,d\ne,f",
    "Villa Rosa\n2024-01-02, 3, 4, rue Haute",
    "a\n\nb\n",
    'he said ""no""\nand left',
]


@pytest.mark.parametrize("way", ["strict", "named", "plain"])
def test_texts_of_several_lines_are_read_as_ever(way: str, over: Callable[..., DataSection]) -> None:
    changes = {f"line_{place}": f'2024-01-01,{place},{place},"{text}"' for place, text in enumerate(TEXTS, 5)}
    data = over(way, lines_of(**changes)).model_copy(update={"query": "SELECT * FROM source ORDER BY x"})
    found = collected(data)
    assert (len(found.rows), found.report.bad.rows, found.report.notes) == (ROWS, 0, [])


def test_an_option_says_that_lines_within_quotes_are_text(over: Callable[..., DataSection]) -> None:
    found = collected(over("named", lines_of(**OPEN["in the last column"]), quoted_lines=True))
    assert (len(found.rows), found.report.bad.rows, found.report.notes) == (ROWS - 4, 0, [])


@pytest.mark.parametrize("way", ["strict", "named"])
def test_where_all_columns_are_text_it_is_noted(
    way: str, over: Callable[..., DataSection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing tells a name from a text: whoever reads the report judges. Long lists are cut."""
    monkeypatch.setattr(swallowed, "_MOST", 1)
    lines = ["at,y,note", *(f"d{number},k{number % 2},n{number}" for number in range(2, 20))]
    lines[4], lines[6] = 'd5,k1,"n5', 'd7,k1,n7"'
    lines[10] = 'd11,k1,"n\nx,y,z\nx,y,z"'
    data = over(way, "\n".join(lines) + "\n")
    query = "SELECT TIMESTAMP '2024-01-01' + to_days(row_number() OVER ()::INT) AS at, y, 1 AS x FROM source"
    found = collected(data.model_copy(update={"query": query}), "classification")
    assert len(found.rows) == 16
    (note,) = found.report.notes
    assert "2 rows of" in note
    assert "lines 5 to 7, …; close the quote there" in note


def test_lines_are_counted_in_each_of_several_files(section: Make, tmp_path: Path) -> None:
    """Also where the columns of one stand in another order, and where lines end by two bytes."""
    (tmp_path / "a.csv").write_text(lines_of(line_3='2024-01-01,3,3,"two\nlines"', **OPEN["of two lines"]))
    other = ["note,y,x,at", *(f"sun,{number},{number},2024-01-02" for number in range(2, 20))]
    other[7], other[9] = 'sun,8,8,"2024-01-02', 'sun,10,10,2024-01-02"'
    other[4], other[5] = '"sun', 'sun",6,6,2024-01-02'
    (tmp_path / "b.csv").write_bytes("\r\n".join(other).encode() + b"\r\n")
    values = {"query": "SELECT * FROM source", "time": "at", "target": "y", "features": {"x": {"kind": "numeric"}}}
    found = collected(section(sources={"s": {"path": tmp_path / "?.csv"}}, **values, max_bad_rows=0.9))
    assert {(bad.file, bad.line) for bad in found.report.bad.examples} == {("a.csv", 11), ("b.csv", 8)}
    assert found.report.bad.rows == 2 + 3


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['1,2024-01-01,"a', '2,2024-01-02,a"'], True),
        (['1,2024-01-01,"a', '2,soon,a"'], False),
        (['1,2024-01-01,"a', 'two,2024-01-02,a"'], False),
        (['1,2024-01-01,"a', '2, 2024-01-02, a"'], False),
        (['1, 2024-01-01, "a', '2, 2024-01-02, a"'], True),
        (['1,2024-01-01,"a', "2,2024-01-02,a", "3", '4"'], False),
        (['1,2024-01-01,"a', ""], False),
        (['"1', '2,2024-01-02,a"'], False),
        (['1,2024-01-01,"a', '2,2024-01-02,""b,c"""'], False),
        (['1,2024-01-01,"a', ',,"'], None),
    ],
)
def test_lines_are_rows_by_their_columns_numbers_and_times(lines: list[str], expected: bool | None) -> None:
    assert alike(lines, ",", [NUMBER, TIME, None]) is expected


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b'a,"b"\n"1","say ""no"""\n', b'a\n"1"'])
def test_files_without_lines_in_quotes_are_not_looked_at_again(content: bytes, tmp_path: Path) -> None:
    """Nor where a quote stands at the end of what is read at once."""
    path = tmp_path / "s.csv"
    path.write_bytes(content)
    assert not has_tall(path)
    path.write_bytes(content + b'"1\n2"\n')
    assert has_tall(path)


def test_quotes_are_counted_across_what_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(b'a,"bc\ndefgh"\n')
    for step in range(1, 13):
        monkeypatch.setattr(swallowed, "_STEP", step)
        assert has_tall(path)


@pytest.mark.parametrize("way", ["named", "strict"])
def test_quotes_are_those_of_the_file(way: str, over: Callable[..., DataSection]) -> None:
    """As an option says, or as DuckDB finds them; a quote of another sign is a letter."""
    said = {f"line_{line}": f"2024-01-01,{line},{line},'he said, \"no'" for line in (4, 5)}
    lines = said | {"line_10": "2024-01-01,10,10,'sun", "line_14": "2024-01-01,14,14,sun'"}
    data = over(way, lines_of(**lines), **({"quote": "'"} if way == "named" else {}))
    if way == "strict":
        with pytest.raises(InvalidInput, match=r"s\.csv:10, .*a quote that opens in this line ends in line 14"):
            collected(data)
        return
    found = collected(data)
    assert (len(found.rows), found.report.bad.rows) == (ROWS - 5, 5)
    assert "ends in line 14" in found.report.bad.examples[0].reason


def test_a_quote_that_does_not_end_is_that_of_the_file(over: Callable[..., DataSection]) -> None:
    """It takes all lines after it along, whatever stands there in quotes of another sign."""
    content = lines_of(line_10="2024-01-01,10,10,'sun", line_12='2024-01-01,12,12,"rain"')
    found = collected(over("named", content, quote="'"))
    assert (len(found.rows), found.report.bad.rows) == (8, ROWS - 8)
    assert f"to line {ROWS + 1}." in found.report.bad.examples[0].reason


def test_the_file_is_read_once_for_all_columns_of_texts_and_once_for_lines(
    over: Callable[..., DataSection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a view it is read from its beginning by whatever asks for it."""
    asked = list[str]()

    def counted(*given: Any) -> Any:
        asked.append("tall")
        return taller(*given)

    def suspected(*given: Any) -> Any:
        asked.append("suspects")
        return suspects(*given)

    suspects = swallowed._suspects
    monkeypatch.setattr(swallowed, "taller", counted)
    monkeypatch.setattr(swallowed, "_suspects", suspected)
    changes = {f"line_{place}": f'd,k,k,"n{place}\nd,k,k,n"' for place in (5, 9, 13)}
    head, _, rest = lines_of(**changes).partition("\n")
    content = f"{head}\n" + rest.replace("2024-01-01", "d").replace(",", ",k", 2)
    query = "SELECT TIMESTAMP '2024-01-01' + to_days(row_number() OVER ()::INT) AS at, 1 AS y, 1 AS x FROM source"
    found = collected(over("strict", content).model_copy(update={"query": query}))
    assert len(found.report.notes) == 1
    assert asked == ["suspects", "tall"]
