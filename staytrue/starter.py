"""A commented ``staytrue.yaml`` for a CSV file: what each column seems to be, and why."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from staytrue.errors import InvalidInput
from staytrue.table import Column, read_head

if TYPE_CHECKING:
    from pathlib import Path

FEW_INTEGERS = 32
"""Whole numbers with no more different values than this are taken for categories: hours, weekdays, codes."""
MANY_TEXTS = 200
"""Text with more different values than this is taken for names or free text, which no category encodes."""


@dataclass(frozen=True)
class Guess:
    """What a column is taken for."""

    column: Column
    kind: str
    """``numeric``, ``category`` or ``left out``."""
    datatype: str = ""
    why: str = ""


def starter(path: Path, target: str | None, time: str | None) -> str:
    """The text of a ``staytrue.yaml`` that loads and trains as it is.

    Raises:
        NotFound, Unsupported, InvalidInput: from reading the file; a column named that is not there; no column that
            could be the time, the target or a feature.
    """
    columns = read_head(path)
    when = _named(columns, time, path, "--time") or _time(columns, path)
    what = _named(columns, target, path, "--target") or _target(columns, when, path)
    _check_target(what, path)
    guesses = [_guess(column) for column in columns if column is not when and column is not what]
    if not any(guess.kind != "left out" for guess in guesses):
        raise InvalidInput(str(path), expected="a column to predict from", got="none that varies and repeats")
    return _text(path, when, what, guesses)


def _named(columns: list[Column], name: str | None, path: Path, flag: str) -> Column | None:
    if name is None:
        return None
    found = next((column for column in columns if column.name == name), None)
    if found is None:
        there = ", ".join(column.name for column in columns)
        raise InvalidInput(f"{flag} {name}", f"is no column of {path}", hint=f"columns: {there}")
    return found


def _time(columns: list[Column], path: Path) -> Column:
    dated = [column for column in columns if column.seconds and column.distinct > 1]
    counted = [column for column in columns if column.epoch and "time" in column.name.lower()]
    for column in (*dated, *counted):
        return column
    hint = "write times as 2024-01-31 08:00, and name the column with --time"
    raise InvalidInput(str(path), expected="a column of dates or times", got="none", hint=hint)


def _target(columns: list[Column], when: Column, path: Path) -> Column:
    for column in reversed(columns):
        if column is not when and column.numbers and column.distinct > 2 and not column.counts_up:
            return column
    raise InvalidInput(str(path), expected="a column of numbers to predict", got="none", hint="name it with --target")


def _check_target(column: Column, path: Path) -> None:
    if not column.numbers:
        got = next((cell for cell in column.present if not Column("", [cell]).numbers), "no value")
        raise InvalidInput(f'{path}, column "{column.name}"', expected="numbers, to be predicted", got=f'"{got[:40]}"')


def _guess(column: Column) -> Guess:
    """What a feature is, by what its values have in common."""
    if why := _useless(column):
        return Guess(column, "left out", why=why)
    if column.whole and column.distinct <= FEW_INTEGERS and not column.missing:
        return Guess(column, "category", "INT64", f"{column.distinct} different whole numbers")
    if column.numbers:
        return Guess(column, "numeric", why=f"{min(column.numbers):g} to {max(column.numbers):g}{_gaps(column)}")
    if column.distinct > min(MANY_TEXTS, 0.5 * len(column.present)):
        return Guess(column, "left out", why=f"{column.distinct} different texts: names or free text")
    return Guess(column, "category", why=f"{column.distinct} different texts{_gaps(column)}")


def _useless(column: Column) -> str:
    """Why a column can teach nothing, or must not; empty where it may."""
    reasons = {
        "has no name": not column.name.strip(),
        "is empty": column.distinct == 0,
        "has one value only": column.distinct == 1,
        "numbers the rows: a model must not learn that": column.counts_up,
        "is a date: use parts of it, such as the hour, by data.query": bool(column.seconds),
    }
    return next((why for why, holds in reasons.items() if holds), "")


def _gaps(column: Column) -> str:
    return f", {column.missing} missing" if column.missing else ""


def _query(when: Column, what: Column, guesses: list[Guess]) -> str:
    """SQL that makes a timestamp of Unix seconds, and numbers of columns where missing is written as a word."""
    changed = []
    if not when.seconds and when.epoch:
        changed.append(f"to_timestamp({_sql(when.name)}) AS {_sql(when.name)}")
    numeric = [what, *(guess.column for guess in guesses if guess.kind == "numeric")]
    changed += [f"TRY_CAST({_sql(c.name)} AS DOUBLE) AS {_sql(c.name)}" for c in numeric if c.marked]
    replaced = f"* REPLACE ({', '.join(changed)})" if changed else "*"
    return f"SELECT {replaced} FROM source"  # noqa: S608 - names are quoted, and the file's owner runs it


def _sql(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(path: Path, when: Column, what: Column, guesses: list[Guess]) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-.") or "model"
    lines = [
        f"# Written by `staytrue init {path.name}` from the head of the file. What is guessed says so: read it once.",
        "# Every setting there is, with its default, stands in docs/settings.md.",
        f"name: {_yaml(name)} # of the model: in addresses and metrics",
        "",
        "data:",
        f"  source: {_yaml(str(path))}",
        "  # SQL (DuckDB) over `source`: choose rows, derive columns such as the hour of a time",
        f"  query: {_yaml(_query(when, what, guesses))}",
        f"  time: {_yaml(when.name)} # when each row happened",
        f"  target: {_yaml(what.name)} # what is predicted",
        "  features: # what it is predicted from",
    ]
    for guess in guesses:
        if guess.kind != "left out":
            datatype = f", datatype: {guess.datatype}" if guess.datatype else ""
            lines.append(f"    {_yaml(guess.column.name)}: {{kind: {guess.kind}{datatype}}} # guessed: {guess.why}")
    lines += [f"    # left out: {_comment(g.column.name)}, {g.why}" for g in guesses if g.kind == "left out"]
    if any(guess.kind == "numeric" and guess.column.missing for guess in guesses):
        lines += ["", "serving:", "  nan_policy: null # guessed: numbers may be missing; callers send null for them"]
    return "\n".join([*lines, *_rest(what)]) + "\n"


def _rest(what: Column) -> list[str]:
    positive = "positive" if min(what.numbers) >= 0 else "linear"
    return [
        "",
        "split: # by whole blocks of time, since neighbours in time are alike",
        "  block_days: 7",
        "  validation: 0.2 # to stop training by, and as the usual error",
        "  test: 0.1 # sealed until the final evaluation",
        "",
        "model:",
        f"  output: {positive} # guessed from the target: positive where it is never below zero, else linear",
        "",
        "monitoring:",
        "  window_days: 7 # each look judges this span",
        "  look_hours: 24 # a look a day",
        "  false_alarms_per_30_days: 1 # how many you accept",
        "  # webhooks: # who is told of alarms",
        "  #   - url: http://127.0.0.1:9000/alerts",
        "  #     secret: whsec_…",
        "",
        "retraining:",
        "  enabled: true # a drift or quality alarm starts a job",
        "  cooldown_days: 14 # at most one in this span",
        "  minimum_labels: 100 # new labels before a job starts",
    ]


def _yaml(value: str) -> str:
    """A scalar that YAML reads back as this text."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", value)
    words = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
    return value if plain and value.lower() not in words else json.dumps(value, ensure_ascii=False)


def _comment(text: str) -> str:
    return " ".join(text.split()) or "a column"
