"""Patterns: the files of one, which must be texts that have the same columns; what one lacks is told."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from staytrue.errors import InvalidInput
from training.data.collect.origins import opened

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from training.data.collect.reading import Reading

_MOST = 5
"""Files that a message names."""
_HEAD = 1 << 16
_WIDE = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""What texts of two bytes a letter begin with."""
UNION = "union_by_name"
"""The option by which files may lack columns; it is called as DuckDB calls it."""


def match(name: str, columns: Mapping[str, Collection[str]], reading: Reading, *, union: bool) -> None:
    """Compare the columns of files, whatever their case and order. With ``union`` files may lack some: that is noted.

    Raises:
        InvalidInput: a file lacks a column that another has; names both.
    """
    first = called(columns.values())
    lacking: dict[str, list[str]] = {}
    for file, those in columns.items():
        has = {column.casefold() for column in those}
        if missing := [column for folded, column in first.items() if folded not in has]:
            lacking[file] = missing
    if not lacking:
        return
    told = "; ".join(f"{file} lacks {_listed(missing)}" for file, missing in list(lacking.items())[:_MOST])
    told += f"; and {len(lacking) - _MOST} more files lack some" if len(lacking) > _MOST else ""
    if union:
        reading.notes.append(f"{name}: {told}: missing in their rows, as options: {{{UNION}: true}} says")
        return
    hint = f"name the columns alike, or say options: {{{UNION}: true}} if what a file lacks is missing there"
    raise InvalidInput(f"data.sources.{name}", told, expected="the same columns in all files", hint=hint)


def called(files: Iterable[Iterable[str]]) -> dict[str, str]:
    """All columns of some files as the first that has each calls it, by what is the same whatever its case.

    >>> called([["x", "Sky"], ["SKY", "y"]])
    {'x': 'x', 'sky': 'Sky', 'y': 'y'}
    """
    first: dict[str, str] = {}
    for column in itertools.chain.from_iterable(files):
        first.setdefault(column.casefold(), column)
    return first


def _listed(columns: Collection[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def refuse_unread(where: str, path: Path, file: str, *, encoded: bool) -> None:
    """Refuse a file without content, and one that is no text.

    Raises:
        InvalidInput: it is either; says which file.
    """
    with opened(path) as stream:
        head = stream.read(_HEAD)
    if not head.strip():
        hint = "write one, or leave the file out"
        raise InvalidInput(where, expected="a line of names and rows", got=f"an empty file, {file}", hint=hint)
    if b"\0" not in head or encoded:
        return
    wide = _WIDE.get(head[:2])
    hint = "say format: of what it is, or convert it"
    if wide:
        hint = f"say options: {{encoding: {wide}}} of a source of data.sources, in which it is written"
    got = "a text of two bytes a letter" if wide else "a binary file"
    raise InvalidInput(where, expected="a text of lines (CSV)", got=f"{got}, {file}", hint=hint)
