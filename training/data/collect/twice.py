"""Twice: columns of one name, of which nobody can say which is meant; upper and lower case are alike, as in SQL."""

from __future__ import annotations

import csv
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from staytrue.errors import InvalidInput
from training.data.collect.dialect import names_line
from training.data.collect.rowlike import delimiter_of, quote_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from training.data.collect.dialect import Sniffed
    from training.data.collect.reading import Reading

RENAME = "rename one of them, or take it out"
ALIAS = "name one of them otherwise in the query (AS), or leave it out"


def twice(names: Iterable[object]) -> list[str]:
    """Names that come more than once, as they are first written. None is no name.

    >>> twice(["x", "y", "X", None, None]), twice(["x", "y"])
    (['x'], [])
    """
    written: dict[str, list[str]] = {}
    for name in names:
        if name is not None and str(name):
            written.setdefault(str(name).casefold(), []).append(str(name))
    return [same[0] for same in written.values() if len(same) > 1]


def refuse_twice(where: str, names: Sequence[object], hint: str) -> None:
    """Refuse columns of one name.

    Raises:
        InvalidInput: says which, and where they stand.
    """
    for name in twice(names):
        places = [place for place, other in enumerate(names, 1) if str(other).casefold() == name.casefold()]
        got = f'"{name}" for columns {", ".join(map(str, places[:-1]))} and {places[-1]}'
        if any(names[place - 1] != name for place in places):
            got += ", but for upper and lower case"
        raise InvalidInput(where, expected="each column by a name of its own", got=got, hint=hint)


def refuse_twice_named(path: Path, file: str, found: Sniffed, reading: Reading) -> None:
    """Refuse a CSV file whose line of names has one twice: DuckDB would call the second ``x_1``, or lose count.

    Raises:
        InvalidInput: names the file and its line.
    """
    header, comment = (found.dialect.get(key, "").strip("'") for key in ("header", "comment"))
    delimiter = delimiter_of(found)
    line = names_line(path, found.dialect, reading) if header.lower() == "true" and len(delimiter) == 1 else ""
    if comment and line.startswith(comment):
        return
    names = next(csv.reader([line], delimiter=delimiter, quotechar=quote_of(found) or '"'), [])
    hint = (
        f"{RENAME}; or read the file without names by options: {{header: false, skip: {found.before}}} of a source of "
        f"data.sources, and give column0, column1, … names in data.query"
    )
    refuse_twice(f"{file}:{found.before}", [name.strip() for name in names], hint)  # as DuckDB does


def refuse_twice_parquet(files: Sequence[Path]) -> None:
    """Refuse a Parquet file with two columns of a name; one that cannot be read says so to its reader.

    Raises:
        InvalidInput: names the file.
    """
    for path in files:
        try:
            names = pq.read_schema(path).names
        except (OSError, pa.ArrowException):
            continue
        refuse_twice(path.name, names, RENAME)


def key_twice(content: bytes) -> str:
    """A key that an object of JSON has twice, however deep; empty where none is.

    >>> key_twice(b'{"a": 1, "b": {"c": 1, "c": 2}}'), key_twice(b'[{"a": 1}, {"a": 2}]')
    ('c', '')
    """
    found: list[str] = []

    def paired(pairs: list[tuple[str, Any]]) -> None:
        counts = Counter(key for key, _ in pairs)
        found.extend(key for key, count in counts.items() if count > 1)

    json.loads(content, object_pairs_hook=paired)
    return found[0] if found else ""
