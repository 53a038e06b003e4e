"""Lost: lines of a CSV file that DuckDB cannot make a row of, with their places, texts and how many there are."""

from __future__ import annotations

import functools
import re
import sys
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from staytrue.table import MISSING
from training.data.collect.broken import escaped
from training.data.collect.dialect import selected
from training.data.collect.kinds import marks
from training.data.collect.origins import Part, Records, placed
from training.data.collect.reading import literal, quoted
from training.data.collect.rowlike import alike, delimiter_of, looks_of, quote_of
from training.data.collect.straight import straightened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Tall = tuple[NDArray[np.int64], NDArray[np.int64]]

    from training.data.collect.dialect import Sniffed
    from training.data.collect.kinds import Kind
    from training.data.collect.reading import Reading

_OPEN = "error_type IN ('UNQUOTED VALUE', 'LINE SIZE OVER MAXIMUM')"
_REJECTS = ", store_rejects = true, rejects_table = '__rejects', rejects_scan = '__scans'"
_BATCH = 1000
_NONE = np.empty(0, np.int64)


class Marked(Exception):
    """Columns of numbers or times hold words for missing values: the table is to be made once more."""

    def __init__(self, columns: list[str]) -> None:
        super().__init__(*columns)
        self.columns = columns


def insert(name: str, path: Path, file: str, reading: Reading, found: Sniffed, made: Mapping[str, Kind]) -> Part:
    """Add a file's good lines to the table, and set its bad ones aside.

    Raises:
        Marked: a column is to be read as text, and made numbers or times of that.
    """
    plain = path if "encoding" not in found.dialect else None  # else DuckDB counts other bytes than the file has
    before = reading.count(name)
    inserted = f"INSERT INTO {quoted(name)} BY NAME {selected(path, found, made, _REJECTS)}"
    rows = int(reading.connection.execute(inserted).fetchall()[0][0])
    if found.marks and (those := marked_columns(reading)):
        reading.connection.execute("DROP TABLE __rejects; DROP TABLE __scans")
        raise Marked(those)
    tall = functools.cache(functools.partial(taller, reading, name, before))
    records = _records(reading, found, made)
    quote = quote_of(found)
    straight = told = straightened(plain, found.before, records, reading) if plain and not len(tall()[0]) else records
    gone = _NONE
    if plain and len(records.lines) and (records.open.any() or (records.heights > 1).any() or len(tall()[0])):
        told, gone = placed(plain, found.before, tall(), straight, quote)
    _show(reading, records, told, plain)
    reading.quarantine.add_from(
        # DuckDB tells of each column that a short line lacks: the first says it all.
        "SELECT $source, $file, told, column_name, error_type, CASE WHEN lost > 1 THEN rtrim(said, '.') || "
        "'. It takes the lines after it along, to line ' || told + lost - 1 || '.' ELSE said END, "
        "coalesce(shown, trim(csv_line, chr(10) || chr(13))) "
        "FROM (SELECT *, split_part(error_message, chr(10), 1) AS said FROM __rejects) LEFT JOIN __shown USING (line) "
        "QUALIFY row_number() OVER (PARTITION BY line, error_type, "
        "CASE error_type WHEN 'MISSING COLUMNS' THEN 0 ELSE column_idx END ORDER BY column_idx) = 1",
        {"source": name, "file": file},
    )
    reading.quarantine.count(name, told.lost)
    reading.connection.execute("DROP TABLE __rejects; DROP TABLE __scans; DROP TABLE __shown")
    if len(gone) or not plain:
        return Part(file, rows, found.before, lambda: gone)
    lines = functools.partial(placed, plain, found.before, found=straight, quote=quote)
    return Part(file, rows, found.before, functools.cache(lambda: lines(tall=tall())[1]))


def marked_columns(reading: Reading) -> list[str]:
    """Columns of numbers and times that words for missing values were met in, which the reader takes for bad lines."""
    words = "|".join(re.escape(word) for word in sorted(MISSING - {""}))
    some = literal(rf'could not convert string "\s*({words})\s*"')
    asked = f"SELECT DISTINCT error_message FROM __rejects WHERE regexp_matches(lower(error_message), {some})"  # noqa: S608
    return sorted({marks(message) for (message,) in reading.connection.execute(asked).fetchall()} - {""})


def plain_part(path: Path, found: Sniffed, tall: Callable[[], Tall]) -> Part:
    """Of a file without bad lines that is read as a view, however many rows it has."""
    none = Records(_NONE, _NONE, _NONE.astype(bool), _NONE.astype(bool))

    def gone() -> NDArray[np.int64]:
        return placed(path, found.before, tall(), none, quote_of(found))[1]

    return Part(path.name, sys.maxsize, found.before, functools.cache(gone))


def taller(reading: Reading, name: str, begin: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of several lines, by their numbers from one on, and how many more than one they have."""
    texts = [quoted(column) for column, kind in reading.columns(name).items() if kind == "VARCHAR"]
    more = " + ".join(f"coalesce(length({text}) - length(replace({text}, chr(10), '')), 0)" for text in texts) or "0"
    numbered = f"SELECT {reading.row(name)} - {begin} AS place, {more} AS more FROM {quoted(name)}"  # noqa: S608 - quoted
    asked = f"SELECT * FROM ({numbered}) WHERE place >= 0 AND more > 0 ORDER BY place"  # noqa: S608 - ours
    found = reading.connection.execute(asked).fetchnumpy()
    return np.asarray(found["place"], dtype=np.int64), np.asarray(found["more"], dtype=np.int64)


def _records(reading: Reading, file: Sniffed, made: Mapping[str, Kind]) -> Records:
    """As DuckDB tells of them: lines of several as one."""
    asked = (
        "SELECT line, max(1 + length(csv_line) - length(replace(csv_line, chr(10), ''))) AS height, "  # noqa: S608 - ours
        f"bool_or({_OPEN}) AS open FROM (SELECT * REPLACE (trim(csv_line, chr(10) || chr(13)) AS csv_line) "
        "FROM __rejects) GROUP BY 1 ORDER BY 1"
    )
    found = reading.connection.execute(asked).fetchnumpy()
    lines, heights = (np.asarray(found[key], dtype=np.int64) for key in ("line", "height"))
    is_open = np.asarray(found["open"], dtype=bool)
    return Records(
        lines, heights, is_open, is_open | np.isin(lines, _taken(reading, lines[(heights > 1) & ~is_open], file, made))
    )


def _taken(reading: Reading, lines: NDArray[np.int64], file: Sniffed, made: Mapping[str, Kind]) -> list[int]:
    """Which records of several lines have such as read as rows."""
    delimiter, looks = delimiter_of(file), looks_of(file, made)
    if not len(lines) or len(delimiter) != 1:
        return []
    reading.connection.from_arrow(pa.table({"line": pa.array(lines, pa.uint64())})).create("__high")
    asked = "SELECT line, any_value(csv_line) FROM __rejects SEMI JOIN __high USING (line) GROUP BY 1"
    rows, taken = reading.connection.execute(asked), []  # by no cursor: it would not see the table of rejects
    while batch := rows.fetchmany(_BATCH):
        told = ((line, text.strip("\r\n").split("\n")) for line, text in batch)
        taken += [line for line, texts in told if alike(texts, delimiter, looks, quote_of(file)) is not False]
    reading.connection.execute("DROP TABLE __high")
    return taken


def _show(reading: Reading, found: Records, told: Records, plain: Path | None) -> None:
    """Make the table of where records are in the file, and of what those hold that are no UTF-8."""
    asked = (
        "SELECT line, line_byte_position, any_value(csv_line) FROM __rejects WHERE error_type = 'INVALID ENCODING' "
        "GROUP BY ALL ORDER BY 2"
    )
    strange = reading.connection.execute(asked).fetchall() if plain else []
    texts = escaped(plain, [(place, text) for _, place, text in strange]) if plain and strange else []
    shown = {line: text for (line, _, _), text in zip(strange, texts, strict=True)}
    table = pa.table(
        {
            "line": pa.array(found.lines, type=pa.uint64()),
            "told": told.lines,
            "lost": np.where(told.taken, told.heights, 1),
            "shown": pa.array([shown.get(line) for line in found.lines.tolist()], type=pa.string()),
        }
    )
    reading.connection.from_arrow(table).create("__shown")
