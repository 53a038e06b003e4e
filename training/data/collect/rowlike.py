"""Rowlike: whether the lines of one record of a CSV file are rows themselves, as where a quote was not closed."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

from training.data.collect.kinds import is_whole
from training.data.collect.reading import unquoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training.data.collect.dialect import Sniffed
    from training.data.collect.kinds import Kind

_MISSING = r"\s*(|na|n/a|nan|null|none|\?|-)\s*"
NUMBER = re.compile(rf"{_MISSING}|\s*[+-]?(\d[\d.,']*|\.\d+|inf)(e[+-]?\d+)?\s*", re.IGNORECASE)
"""What a number looks like, however points and thousands are written."""
TIME = re.compile(rf"{_MISSING}|(?=.*\d.*\d).{{2,40}}", re.IGNORECASE)
"""What a time may look like."""


def looks_of(found: Sniffed, made: Mapping[str, Kind]) -> list[re.Pattern[str] | None]:
    """What the values of each column of a file look like."""
    return [_look(made[name].made) for name in found.types]


def delimiter_of(found: Sniffed) -> str:
    """What stands between the columns of a file."""
    given = next((found.dialect[key] for key in ("delim", "sep", "delimiter") if key in found.dialect), "','")
    return unquoted(given)


def quote_of(found: Sniffed) -> str:
    """What values of a file are quoted by; empty where nothing is."""
    return unquoted(found.dialect.get("quote", "'\"'"))


def _look(kind: str) -> re.Pattern[str] | None:
    """What values of one of DuckDB's types look like in a file; None of texts, which look like anything.

    >>> _look("BIGINT") is NUMBER, _look("DATE") is TIME, _look("VARCHAR")
    (True, True, None)
    """
    if kind.upper().startswith(("DATE", "TIME")):
        return TIME
    return NUMBER if is_whole(kind) or kind.upper().startswith(("DOUBLE", "DECIMAL", "FLOAT", "REAL")) else None


def alike(
    lines: Sequence[str], delimiter: str, looks: Sequence[re.Pattern[str] | None], quote: str = '"'
) -> bool | None:
    """Whether lines of one record are rows themselves: True, None where only the number of columns says so, or False.

    ``looks`` says of each column what its values look like. The first line must be a row, and so must most of others.

    >>> alike(['1,"sun', "2,sun", '3,sun"'], ",", [NUMBER, None]), alike(['1,"sun', '2 suns"'], ",", [NUMBER, None])
    (True, False)
    """
    rows = [_fields(line.rstrip("\r"), delimiter, quote) for line in lines if line.strip()]
    if not rows or not _fits(rows[0], looks):
        return False
    spaced = any(field.startswith(" ") for field in rows[0])
    like = [row for row in rows[1:] if _fits(row, looks) and (spaced or not any(f.startswith(" ") for f in row))]
    if 2 * len(like) <= len(rows) - 1:
        return False
    if any(look and field.strip() for row in like for field, look in zip(row, looks, strict=True)):
        return True
    return None if len(rows) > 2 or len(looks) > 2 else False


def _fields(line: str, delimiter: str, quote: str) -> list[str]:
    """Of a line, in which a quote may be open."""
    if not quote or line.count(quote) % 2:
        return [field.strip(quote or None) for field in line.split(delimiter)]
    found = csv.reader([line], delimiter=delimiter, quotechar=quote)
    return [field.strip(quote) for field in next(found, [])]


def _fits(row: Sequence[str], looks: Sequence[re.Pattern[str] | None]) -> bool:
    return len(row) == len(looks) and all(
        look is None or look.fullmatch(field) for field, look in zip(row, looks, strict=True)
    )
