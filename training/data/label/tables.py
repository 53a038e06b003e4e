"""Tables of annotations, CSV or Parquet: a row for each label (long), or a column for each annotator (wide)."""

from __future__ import annotations

import csv
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from staytrue.addresses import shown
from staytrue.errors import InvalidConfig, InvalidInput, NotFound, Unsupported
from staytrue.nearest import meant
from training.data.label.annotations import annotated
from training.data.typed import text_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from training.data.label.annotations import Annotations

_NAMED = "name the right one: --item, --annotator, --label, or --annotators of a wide table"
DELIMITERS = {".csv": ",;\t|", ".tsv": "\t", ".txt": "\t,;|"}


@dataclasses.dataclass(frozen=True)
class Names:
    """What the columns of a table are called, and which texts beside the empty one stand for no label."""

    item: str = "item"
    annotator: str = "annotator"
    label: str = "label"
    missing: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Coded:
    """A column as places in its distinct texts. Shapes: ``place`` [N]; -1 where nothing stands."""

    texts: list[str]
    place: NDArray[np.int64]


def columns_of(path: Path) -> list[str]:
    """Names of a table's columns.

    Raises:
        NotFound, Unsupported, InvalidInput: no such file, no table, or a name that stands there twice.
    """
    return _header(path)[0]


def read_long(path: Path, names: Names, *, repeats: str = "fail") -> Annotations:
    """A table with a row for each label.

    A row without a label says that the annotator saw the item and gave none. Equal repetitions count once.

    Raises:
        InvalidConfig: a column that is not there; says which are.
        InvalidInput: a row without item or annotator, or, unless ``repeats`` is ``last``, one that says something else
            than an earlier one of the same annotator and item; names the row.
    """
    table = _read(path, [names.item, names.annotator, names.label])
    item, annotator = (_coded(table, name) for name in (names.item, names.annotator))
    for name, column in ((names.item, item), (names.annotator, annotator)):
        if (column.place < 0).any():
            first = int(np.argmax(column.place < 0))
            raise InvalidInput(_row(path, first), f'column "{name}"', expected="a name", got="nothing")
    label = _coded(table, names.label, names.missing)
    given = np.flatnonzero(label.place >= 0)
    pair = item.place[given] * max(len(annotator.texts), 1) + annotator.place[given]
    kept = given[_last_of_each(pair, label.place[given], path, given, repeats)]
    texts = np.array([*label.texts, ""])[label.place[kept]]
    return annotated(item.texts, annotator.texts, item.place[kept], annotator.place[kept], texts)


def read_wide(path: Path, names: Names, annotators: Sequence[str] = ()) -> Annotations:
    """A table with a row for each item and a column for each annotator, by default all columns but the item's.

    Raises:
        InvalidConfig: a column that is not there, or none but the item's.
        InvalidInput: a row without an item, or an item with two rows; names the row.
    """
    raters = list(annotators) or [name for name in columns_of(path) if name != names.item]
    if not raters:
        raise InvalidConfig(shown(path), expected=f'columns of annotators beside "{names.item}"', got="none")
    table = _read(path, [names.item, *raters])
    item = _coded(table, names.item)
    if (item.place < 0).any():
        first = int(np.argmax(item.place < 0))
        raise InvalidInput(_row(path, first), f'column "{names.item}"', expected="a name", got="nothing")
    if len(item.texts) < len(item.place):
        _, firsts = np.unique(item.place, return_index=True)
        again = int(np.setdiff1d(np.arange(len(item.place)), firsts)[0])
        hint = "one row for each item; a table with a row for each label is long"
        raise InvalidInput(_row(path, again), f"has item {item.texts[item.place[again]]!r} a second time", hint=hint)
    rows, who, texts = [], [], []
    for number, rater in enumerate(raters):
        column = _coded(table, rater, names.missing)
        given = np.flatnonzero(column.place >= 0)
        rows.append(item.place[given])
        who.append(np.full(len(given), number, dtype=np.int64))
        texts.append(np.array([*column.texts, ""])[column.place[given]])
    together = (np.concatenate(rows), np.concatenate(who), np.concatenate(texts))
    return annotated(item.texts, raters, *together)


def _last_of_each(
    pair: NDArray[np.int64], label: NDArray[np.int64], path: Path, given: NDArray[np.int64], repeats: str
) -> NDArray[np.int64]:
    """Places of the rows that count: the last of each annotator and item."""
    order = np.argsort(pair, kind="stable")
    same = pair[order][1:] == pair[order][:-1]
    differs = same & (label[order][1:] != label[order][:-1])
    if differs.any() and repeats == "fail":
        at = int(np.argmax(differs))
        earlier, later = (int(given[order[place]]) for place in (at, at + 1))
        problem = f"says something else than {_place(path, earlier)} of the same annotator and item"
        raise InvalidInput(_row(path, later), problem, hint="correct one, or take the last with --repeats last")
    last = np.append(~same, np.ones(min(len(order), 1), dtype=np.bool_))
    return np.asarray(order[last], dtype=np.int64)


def _read(path: Path, wanted: list[str]) -> pa.Table:
    known, delimiter = _header(path, wanted)
    for name in wanted:
        if name not in known:
            hint = meant(name, known) or f"there are {', '.join(map(repr, known))[:300]}; {_NAMED}"
            raise InvalidConfig(shown(path), f'no column "{name}"', hint=hint)
    if path.suffix.lower() == ".parquet":
        try:
            return pq.read_table(path, columns=wanted)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            text = str(error).splitlines()[0][:200]
            raise InvalidInput(shown(path), f"cannot be read: {text}", hint="write it anew") from error
    convert = arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted, strings_can_be_null=False
    )
    parse = arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    try:
        return arrow_csv.read_csv(path, parse_options=parse, convert_options=convert)
    except pa.ArrowException as error:
        text = str(error).removeprefix("CSV parse error: ").replace("\n", " ")[:200]
        raise InvalidInput(_fault_place(path, delimiter), f"cannot be read: {text}") from error


def _header(path: Path, wanted: Collection[str] = ()) -> tuple[list[str], str]:
    """Names of the columns, and the delimiter under which most of the wanted ones are there."""
    suffix = path.suffix.lower()
    if not path.is_file():
        raise NotFound(shown(path), "is no file")
    if suffix == ".parquet":
        try:
            return list(pq.read_schema(path).names), ""
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InvalidInput(shown(path), expected="a Parquet file", got="something else") from error
    if suffix not in DELIMITERS:
        expected = f"{', '.join(DELIMITERS)}, .parquet, or .json of Label Studio"
        raise Unsupported(shown(path), expected=expected, got=suffix or "no ending")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            line = next(iter(file), "")
    except UnicodeDecodeError as error:
        raise InvalidInput(shown(path), expected="text in UTF-8", got=f"byte {error.start} that is none") from error
    try:
        choices = [(next(csv.reader([line], delimiter=mark), []), mark) for mark in DELIMITERS[suffix]]
    except csv.Error as error:
        raise InvalidInput(f"{shown(path)}:1", expected="names of columns", got=str(error)) from error
    names, delimiter = max(choices, key=lambda choice: (len(set(wanted) & set(choice[0])), len(choice[0])))
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None or not names:
        problem = f'has two columns "{twice}"' if names else "has no header line"
        raise InvalidInput(f"{shown(path)}:1", problem, hint="name each column once, in the first line")
    return names, delimiter


def _coded(table: pa.Table, name: str, missing: Collection[str] = ()) -> _Coded:
    """A column's distinct texts in the order in which they come first."""
    column = table.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        encoded = pa.chunked_array(column).combine_chunks().dictionary_encode()
    except pa.ArrowNotImplementedError as error:
        where, expected = f'column "{name}"', "one value in each cell"
        raise InvalidInput(where, expected=expected, got=str(column.type), hint="take it apart first") from error
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    none = {"", *missing}
    said = [_text(value) for value in encoded.dictionary.to_pylist()]
    texts = list(dict.fromkeys(text for text in said if text not in none))
    place = {text: index for index, text in enumerate(texts)}
    renamed = np.array([*(place.get(text, -1) for text in said), -1], dtype=np.int64)
    indices = encoded.indices.fill_null(len(said)).to_numpy(zero_copy_only=False)
    return _Coded(texts, renamed[indices.astype(np.int64)])


def _text(value: Any) -> str:
    """How a cell is written; nothing for a number that is none."""
    return "" if value is None or value != value else text_of(value)  # noqa: PLR0124 - NaN differs from itself


def _place(path: Path, row: int) -> str:
    """How a row is called: a line where a line is a row, as in nearly all CSV files."""
    return f"row {row + 1}" if path.suffix.lower() == ".parquet" else f"line {row + 2}"


def _row(path: Path, row: int) -> str:
    return f"{shown(path)}, {_place(path, row)}"


def _fault_place(path: Path, delimiter: str) -> str:
    """The line on which a CSV file first has another number of cells than its header."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter)
            width = len(next(reader, []))
            line = next((reader.line_num for cells in reader if cells and len(cells) != width), 0)
    except (UnicodeDecodeError, csv.Error):
        line = 0
    return f"{shown(path)}, line {line}" if line else shown(path)
