"""Spelling: which columns of CSV and TSV files name something, and so are read as they are written."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec

from training.data.collect.places import format_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from staytrue.bundle import TaskName
    from staytrue.preparation import DataSection

_RESPELT = ("BOOLEAN", "DATE", "TIME")
"""Types, and beginnings of types, that DuckDB finds in names (yes, no, t, 2024-01-31) and would write otherwise."""
_DELIMITED = {"csv", "tsv"}


def names_of(data: DataSection, task: TaskName) -> frozenset[str]:
    """Columns of the query's result whose values are names: a classification's target, categories and texts."""
    named = {name for name, feature in data.features.items() if feature.kind in ("category", "text")}
    kept = {name for name in named if data.features[name].sent_as != "INT64"}
    return frozenset(kept | {data.goal} if task == "classification" else kept)


def spelt(data: DataSection, task: TaskName) -> frozenset[str]:
    """Columns of the files that reach the result as they are, as names.

    Those that the query computes with keep the type that it was written for. A key of a join does where a source of
    another form knows its type.
    """
    forms = {"csv"} if data.source else {_form(data, name) for name in data.sources}
    keys = set() if forms <= _DELIMITED else {key for join in data.join for key in join.key}
    return frozenset(_shown(data.query, names_of(data, task)).keys() - keys)


def direct(data: DataSection, wanted: Mapping[str, str]) -> dict[str, str]:
    """Columns of the files that reach the result as they are, with the types that are wanted of them there.

    Keys of joins keep their own type: both sides have it.
    """
    keys = {key for join in data.join for key in join.key}
    found = _shown(data.query, frozenset(wanted))
    return {column: wanted[name] for column, name in found.items() if column not in keys}


def respelt(types: Mapping[str, str], names: Collection[str]) -> list[str]:
    """Those of some names whose type would change how their values are written.

    >>> respelt({"churned": "BOOLEAN", "age": "BIGINT"}, ["churned", "age", "region"])
    ['churned']
    """
    return [name for name, kind in types.items() if name in names and kind.startswith(_RESPELT)]


def respelt_still(data: DataSection, task: TaskName, found: Mapping[str, str], files: Mapping[str, str]) -> list[str]:
    """What to look at: names in the result, by type, that the files write otherwise than they are called now."""
    return [
        f'"{name}" names kinds, is read as {found[name]} and is called by what that writes (true, false, '
        f"2024-01-31), not as the file writes it: data.query computes with it; name the column there alone, or declare "
        f"it in data.sources by columns: {{{name}: VARCHAR}}"
        for name in respelt(found, names_of(data, task) - _computed(data.query))
        if files.get(name) == found[name]
    ]


def _form(data: DataSection, name: str) -> str:
    source = data.sources[name]
    return "factory" if source.factory else format_of(name, source)


def _shown(query: str, names: frozenset[str]) -> dict[str, str]:
    """Columns that a query gives under some names without a further use of them, be it by ``*``: column → name."""
    node = _parsed(query)
    given: dict[str, str] = {}
    for part in node.get("select_list", []):
        if part["class"] == "COLUMN_REF":
            given[part["alias"] or part["column_names"][-1]] = part["column_names"][-1]
    uses = [text.casefold() for text in _texts(node)]
    wanted = {given.get(name, name): name for name in names}
    shown = [column.casefold() for column in given.values()]
    return {c: name for c, name in wanted.items() if uses.count(c.casefold()) == shown.count(c.casefold())}


def row_by_row(query: str) -> bool:
    """Whether a query makes one row of each of ``source``, in their order; of counts and unnesting it does not tell.

    >>> row_by_row("SELECT *, x + 1 AS z FROM source"), row_by_row("SELECT * FROM source WHERE x > 1")
    (True, False)
    """
    node = _parsed(query)
    plain = node.get("type") == "SELECT_NODE" and node["from_table"].get("table_name", "").casefold() == "source"
    named = plain and node["from_table"]["type"] == "BASE_TABLE" and not node["from_table"].get("sample")
    clauses = ("where_clause", "group_expressions", "group_sets", "having", "sample", "qualify", "modifiers")
    return named and not node["cte_map"]["map"] and not any(node.get(clause) for clause in clauses)


@functools.lru_cache(maxsize=8)
def _parsed(query: str) -> dict[str, Any]:
    """A query as DuckDB takes it apart; empty where it is none, which running it tells."""
    with duckdb.connect() as connection:
        asked = connection.execute("SELECT json_serialize_sql($query)", {"query": query}).fetchall()
    statements = msgspec.json.decode(asked[0][0]).get("statements") or [{}]
    node: dict[str, Any] = statements[0].get("node", {})
    return node


def _computed(query: str) -> set[str]:
    """Columns that a query makes of others."""
    parts = _parsed(query).get("select_list", [])
    replaced = {one["key"]: one["value"]["class"] for part in parts for one in part.get("replace_list", [])}
    named = {part["alias"]: part["class"] for part in parts if part["alias"]}
    return {name for name, kind in (named | replaced).items() if kind != "COLUMN_REF"}


def _texts(tree: Any) -> Iterator[str]:
    """All texts of a parsed query but the names of its results."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            if key != "alias":
                yield from _texts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _texts(value)
