"""Joins: two tables become one by key, with what did not match, stood there twice or contradicted itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import msgspec

from staytrue.errors import InvalidConfig
from training.data.collect.reading import first_line, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staytrue.collection import JoinSection
    from training.data.collect.reading import Reading

_EXAMPLES = 5
_PLACE = "__place"


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """How many keys or rows, and some of them as text."""

    count: int
    examples: list[str]


class JoinReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a join found. Unmatched are counted in rows, duplicated in keys, conflicting in pairs of rows."""

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
    columns = {name: list(reading.columns(name)) for name in (left, section.right)}
    lacking = [(name, key) for name, found in columns.items() for key in section.key if key not in found]
    if lacking:
        name, key = lacking[0]
        shown = "what the joins before gave" if name.startswith("__joined_") else name
        raise InvalidConfig(where, f'no column "{key}" in {shown}', hint=f"there are {', '.join(columns[name])}")
    shared = [name for name in columns[left] if name in columns[section.right] and name not in section.key]
    query = _appended if section.how == "append" else _matched
    selected = query(section, left, columns[section.right], shared)
    reading.connection.execute(f"CREATE TABLE {quoted(made)} AS {selected}")
    return _report(section, left, made, reading, shared, columns)


def _appended(section: JoinSection, left: str, _right: list[str], _shared: list[str]) -> str:
    return f"SELECT * FROM {quoted(left)} UNION ALL BY NAME SELECT * FROM {quoted(section.right)}"  # noqa: S608


def _matched(section: JoinSection, left: str, right: list[str], shared: list[str]) -> str:
    """Rows in the order of the left: a join keeps none by itself. A name that both have is the left's."""
    taken = [
        f"r.{quoted(name)}" + (f" AS {quoted(f'{name}_{section.right}')}" if name in shared else "")
        for name in right
        if name not in section.key
    ]
    selected = ", ".join([f"l.* EXCLUDE ({_PLACE})", *taken])
    numbered = "(SELECT row_number() OVER () AS {place}, * FROM {table})"
    one, other = (numbered.format(place=_PLACE, table=quoted(name)) for name in (left, section.right))
    return (
        f"SELECT {selected} FROM {one} l {section.how.upper()} JOIN {other} r ON {_same(section.key)} "  # noqa: S608
        f"ORDER BY l.{_PLACE}, r.{_PLACE}"
    )


def _same(on: Sequence[str]) -> str:
    return " AND ".join(f"l.{quoted(key)} = r.{quoted(key)}" for key in on)


def _report(
    section: JoinSection,
    left: str,
    made: str,
    reading: Reading,
    shared: list[str],
    columns: dict[str, list[str]],
) -> JoinReport:
    right, on = section.right, section.key
    appended = section.how == "append"
    nothing = Keys(count=0, examples=[])
    return JoinReport(
        left="source" if left.startswith("__joined_") else left,
        right=right,
        how=section.how,
        on=on,
        rows_left=reading.count(left),
        rows_right=reading.count(right),
        rows=reading.count(made),
        unmatched_left=_unmatched(left, right, on, reading) if on else nothing,
        unmatched_right=_unmatched(right, left, on, reading) if on else nothing,
        duplicated_left=_duplicated(left, on, reading) if on else nothing,
        duplicated_right=_duplicated(right, on, reading) if on else nothing,
        conflicting=_conflicts(left, right, on, shared, reading) if on else {},
        only_left=[name for name in columns[left] if name not in columns[right]] if appended else [],
        only_right=[name for name in columns[right] if name not in columns[left]] if appended else [],
    )


def _unmatched(table: str, other: str, on: list[str], reading: Reading) -> Keys:
    rows = f"FROM {quoted(table)} l ANTI JOIN {quoted(other)} r ON {_same(on)}"
    return _keys(f"SELECT count(*) {rows}", f"SELECT DISTINCT {_shown(on)} {rows}", reading)


def _duplicated(table: str, on: list[str], reading: Reading) -> Keys:
    listed = ", ".join(quoted(key) for key in on)
    there = " AND ".join(f"{quoted(key)} IS NOT NULL" for key in on)
    rows = f"FROM {quoted(table)} l WHERE {there} GROUP BY {listed} HAVING count(*) > 1"
    count = f"SELECT count(*) FROM (SELECT 1 {rows})"  # noqa: S608 - quoted
    return _keys(count, f"SELECT {_shown(on)} || ' (' || count(*) || ' rows)' {rows}", reading)


def _conflicts(left: str, right: str, on: list[str], shared: list[str], reading: Reading) -> dict[str, Keys]:
    found = {}
    for name in shared:
        differs = f"l.{quoted(name)} <> r.{quoted(name)}"
        rows = f"FROM {quoted(left)} l JOIN {quoted(right)} r ON {_same(on)} WHERE {differs}"
        # Keys alone: the values may be truths, and those of the test part stay sealed.
        shown = f"SELECT DISTINCT {_shown(on)} {rows}"
        keys = _keys(f"SELECT count(*) {rows}", shown, reading)
        if keys.count:
            found[name] = keys
    return found


def _shown(on: list[str]) -> str:
    return "concat_ws(', ', " + ", ".join(f"coalesce(CAST(l.{quoted(key)} AS VARCHAR), 'missing')" for key in on) + ")"


def _keys(count: str, shown: str, reading: Reading) -> Keys:
    found = reading.connection.execute(count).fetchall()
    number = int(found[0][0])
    some = reading.connection.execute(f"{shown} ORDER BY 1 LIMIT {_EXAMPLES}").fetchall() if number else []
    return Keys(count=number, examples=[row[0] for row in some])
