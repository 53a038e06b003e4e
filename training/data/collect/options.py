"""Options: what a project sets of DuckDB's readers, as SQL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from staytrue.errors import InvalidConfig
from training.data.collect.places import reader_options
from training.data.collect.reading import literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from staytrue.collection import SourceSection
    from staytrue.section import Option

OURS = {"columns", "types", "store_rejects", "ignore_errors", "rejects_table", "rejects_scan", "rejects_limit"}
"""Set here: bad rows are counted, and types have a setting of their own."""
_NAME = re.compile(r"[a-z_][a-z0-9_]*")


def options_of(name: str, source: SourceSection, defaults: Mapping[str, Option] | None = None) -> dict[str, str]:
    """Those of a source over some defaults, each value as SQL.

    Raises:
        InvalidConfig: a name that is none, or one that is set by Staytrue itself.
    """
    given = dict(defaults or {}) | reader_options(source)
    for key in given:
        if key in OURS or not _NAME.fullmatch(key):
            hint = "types are set by columns:, and bad rows by data.max_bad_rows" if key in OURS else "remove it"
            raise InvalidConfig(f"data.sources.{name}.options", f"{key} cannot be set", hint=hint)
    return {key: _value(value) for key, value in given.items()}


def arguments(options: Mapping[str, str]) -> str:
    """As they follow the files in a call.

    >>> arguments({"delim": "';'"})
    ", delim = ';'"
    """
    return "".join(f", {key} = {value}" for key, value in options.items())


def struct(types: Iterable[tuple[str, str]]) -> str:
    """Types of columns as a call takes them.

    >>> struct([("x", "DOUBLE")])
    "{'x': 'DOUBLE'}"
    """
    return "{" + ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in types) + "}"


def _value(value: Option) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return literal(value) if isinstance(value, str) else "[" + ", ".join(literal(part) for part in value) + "]"
