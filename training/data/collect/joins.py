"""Joins: two tables become one by key, with what did not match, stood there twice or contradicted itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import msgspec

from staytrue.errors import InvalidConfig
from training.data.collect.matching import check, same, told, value, values
from training.data.collect.reading import first_line, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staytrue.collection import JoinSection
    from training.data.collect.matching import Types
    from training.data.collect.reading import Reading

_EXAMPLES = 5
_PLACE = "__place"
_REPEATED = "__repeated"


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """How many keys or rows, and some of them as text."""

    count: int
    examples: list[str]


class JoinReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a join found. Unmatched are counted in rows, duplicated and ambiguous in keys, conflicting in pairs of rows.

    A row whose key is missing, or in part, is unmatched; missing keys are never duplicated, missing values never
    conflicting.
    """

    left: str
    right: str
    how: str
    on: list[str]
    rows_left: int
    rows_right: int
    rows: int
    unmatched_left: Keys
    unmatched_right: Keys
    duplicated_left: Keys
    duplicated_right: Keys
    conflicting: dict[str, Keys]
    """By column that both have beside the key: the same key, two values."""
    ambiguous: dict[str, Keys] = {}
    """By column of what is joined to the left: keys that stand there several times, with unlike values."""
    repeated: int = 0
    """Rows more than the left's that found a match, as their keys stand several times on the right."""
    only_left: list[str] = []
    only_right: list[str] = []
    """Of what is appended: columns that the other lacks, missing in its rows."""


def join_all(joins: Sequence[JoinSection], reading: Reading, tables: Sequence[str]) -> list[JoinReport]:
    """Do the joins in order; the last result is the view ``source``.

    Raises:
        InvalidConfig: a source or a column that is not there.
    """
    reports, result = [], ""
    for place, section in enumerate(joins):
        left = section.left if section.left and not (section.left == "source" and result) else result
        for name in (left, section.right):
            if name not in {*tables, result} or not name:
                hint = f"there are {', '.join(tables)}"
                raise InvalidConfig(f"data.join.{place}", f'no source "{name}"' if name else "no left", hint=hint)
        made = f"__joined_{place}"
        try:
            reports.append(_join(section, left, made, reading, f"data.join.{place}.key"))
        except duckdb.Error as error:
            raise InvalidConfig(f"data.join.{place}", first_line(error)) from error
        result = made
    reading.connection.execute(f"CREATE VIEW source AS SELECT * FROM {quoted(result)}")  # noqa: S608 - quoted
    return reports


def _join(section: JoinSection, left: str, made: str, reading: Reading, where: str) -> JoinReport:
    names = (left, section.right)
    types = reading.columns(left), reading.columns(section.right)
    lacking = [
        (name, found, key) for name, found in zip(names, types, strict=True) for key in section.key if key not in found
    ]
    if lacking:
        name, found, key = lacking[0]
        raise InvalidConfig(where, f'no column "{key}" in {told(name)}', hint=f"there are {', '.join(found)}")
    check(section.key, names, types, reading, where)
    query = _appended if section.how == "append" else _matched
    reading.connection.execute(f"CREATE TABLE {quoted(made)} AS {query(section, left, types)}")
    return _report(section, left, made, reading, types)


def _shared(on: Sequence[str], types: Types) -> list[str]:
    """Columns that both have beside the key."""
    return [name for name in types[0] if name in types[1] and name not in on]


def _appended(section: JoinSection, left: str, _types: Types) -> str:
    return f"SELECT * FROM {quoted(left)} UNION ALL BY NAME SELECT * FROM {quoted(section.right)}"  # noqa: S608


def _matched(section: JoinSection, left: str, types: Types) -> str:
    """Rows in the order of the left: a join keeps none by itself. A name that both have is the left's."""
    shared = _shared(section.key, types)
    taken = [
        f"r.{quoted(name)}" + (f" AS {quoted(f'{name}_{section.right}')}" if name in shared else "")
        for name in types[1]
        if name not in section.key
    ]
    selected = ", ".join([f"l.* EXCLUDE ({_PLACE})", *taken])
    numbered = "(SELECT row_number() OVER () AS {place}, * FROM {table})"
    one, other = (numbered.format(place=_PLACE, table=quoted(name)) for name in (left, section.right))
    return (
        f"SELECT {selected} FROM {one} l {section.how.upper()} JOIN {other} r "  # noqa: S608 - quoted
        f"ON {same(section.key, types)} ORDER BY l.{_PLACE}, r.{_PLACE}"
    )


def _report(section: JoinSection, left: str, made: str, reading: Reading, types: Types) -> JoinReport:
    right, on, back = section.right, section.key, (types[1], types[0])
    appended = section.how == "append"
    nothing = Keys(count=0, examples=[])
    counts = reading.count(left), reading.count(right), reading.count(made)
    lost = _unmatched(left, right, on, reading, types) if on else nothing
    twice = _duplicated(right, on, reading, back) if on else nothing
    kept = counts[0] - (lost.count if section.how == "inner" else 0)
    return JoinReport(
        left="source" if left.startswith("__joined_") else left,
        right=right,
        how=section.how,
        on=on,
        rows_left=counts[0],
        rows_right=counts[1],
        rows=counts[2],
        unmatched_left=lost,
        unmatched_right=_unmatched(right, left, on, reading, back) if on else nothing,
        duplicated_left=_duplicated(left, on, reading, types) if on else nothing,
        duplicated_right=twice,
        conflicting=_conflicts(left, right, on, reading, types) if on else {},
        ambiguous={} if appended or not twice.count else _ambiguous(right, on, reading, back),
        repeated=0 if appended else counts[2] - kept,
        only_left=[name for name in types[0] if name not in types[1]] if appended else [],
        only_right=[name for name in types[1] if name not in types[0]] if appended else [],
    )


def _unmatched(table: str, other: str, on: list[str], reading: Reading, types: Types) -> Keys:
    rows = f"FROM {quoted(table)} l ANTI JOIN {quoted(other)} r ON {same(on, types)}"
    return _keys(f"SELECT count(*) {rows}", f"SELECT DISTINCT {_shown(on, types)} {rows}", reading)


def _compared(on: list[str], types: Types) -> list[str]:
    """What of the keys of ``l`` is compared."""
    return [value("l", key, types[0][key], types[1][key]) for key in on]


def _repeating(table: str, on: list[str], types: Types) -> str:
    """Groups of rows, called ``l``, that share a key."""
    keys = _compared(on, types)
    there = " AND ".join(f"{key} IS NOT NULL" for key in keys)
    return f"FROM {quoted(table)} l WHERE {there} GROUP BY {', '.join(keys)} HAVING count(*) > 1"


def _duplicated(table: str, on: list[str], reading: Reading, types: Types) -> Keys:
    rows = _repeating(table, on, types)
    count = f"SELECT count(*) FROM (SELECT 1 {rows})"  # noqa: S608 - quoted
    return _keys(count, f"SELECT {_shown(on, types)} || ' (' || count(*) || ' rows)' {rows}", reading)


def _ambiguous(table: str, on: list[str], reading: Reading, types: Types) -> dict[str, Keys]:
    """Of keys that repeat, by column, those whose rows say different things."""
    others = [name for name in types[0] if name not in on]
    keys = _compared(on, types)
    differ = [f"count(DISTINCT {value('l', name, types[0][name], '')}) > 1 AS c{n}" for n, name in enumerate(others)]
    twice = f"SELECT {', '.join(f'{key} AS k{n}' for n, key in enumerate(keys))} {_repeating(table, on, types)}"
    those = " AND ".join(f"{key} = d.k{n}" for n, key in enumerate(keys))
    reading.connection.execute(
        f"CREATE OR REPLACE TABLE {_REPEATED} AS SELECT {', '.join([f'{_shown(on, types)} AS shown', *differ])} "  # noqa: S608
        f"FROM {quoted(table)} l SEMI JOIN ({twice}) d ON {those} GROUP BY {', '.join(keys)}"
    )
    found = {}
    for place, name in enumerate(others):
        rows = f"FROM {_REPEATED} WHERE c{place}"
        told = _keys(f"SELECT count(*) {rows}", f"SELECT shown {rows}", reading)
        if told.count:
            found[name] = told
    reading.connection.execute(f"DROP TABLE {_REPEATED}")
    return found


def _conflicts(left: str, right: str, on: list[str], reading: Reading, types: Types) -> dict[str, Keys]:
    found = {}
    for name in _shared(on, types):
        differs = " <> ".join(values(name, types))
        rows = f"FROM {quoted(left)} l JOIN {quoted(right)} r ON {same(on, types)} WHERE {differs}"
        # Keys alone: the values may be truths, and those of the test part stay sealed.
        shown = f"SELECT DISTINCT {_shown(on, types)} {rows}"
        keys = _keys(f"SELECT count(*) {rows}", shown, reading)
        if keys.count:
            found[name] = keys
    return found


def _shown(on: list[str], types: Types) -> str:
    texts = (f"coalesce(CAST({key} AS VARCHAR), 'missing')" for key in _compared(on, types))
    return f"concat_ws(', ', {', '.join(texts)})"


def _keys(count: str, shown: str, reading: Reading) -> Keys:
    found = reading.connection.execute(count).fetchall()
    number = int(found[0][0])
    some = reading.connection.execute(f"{shown} ORDER BY 1 LIMIT {_EXAMPLES}").fetchall() if number else []
    return Keys(count=number, examples=[row[0] for row in some])
