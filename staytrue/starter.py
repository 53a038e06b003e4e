"""A commented ``staytrue.yaml`` for a CSV file: what each column seems to be, and why."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from staytrue.errors import InvalidInput
from staytrue.reading import query
from staytrue.records import DAY_SECONDS, utc
from staytrue.slips import above, mended, no_numbers, no_times, told
from staytrue.table import HEAD_ROWS, Column, read_head

if TYPE_CHECKING:
    from pathlib import Path

FEW_INTEGERS = 32
"""Whole numbers with no more different values than this are taken for categories: hours, weekdays, codes."""
MANY_TEXTS = 200
"""Text with more different values than this is taken for names or free text, which no category encodes."""
BLOCKS = (10, 6)
"""Blocks of time to split into train, validation and test: enough, and the fewest that give each part one."""


@dataclass(frozen=True)
class Guess:
    """What a column is taken for."""

    column: Column
    kind: str
    """``numeric``, ``category``, ``date`` or ``left out``."""
    datatype: str = ""
    why: str = ""


def starter(path: Path, target: str | None, time: str | None, folder: Path | None = None) -> str:
    """The text of a ``staytrue.yaml`` that loads and trains as it is, from ``folder`` (default: the current one).

    Raises:
        NotFound, Unsupported, InvalidInput: from reading the file; a column named that is not there; no column that
            could be the time, the target or a feature.
    """
    columns = [mended(column) for column in read_head(path)]
    when = _named(columns, time, path, "--time") or _time(columns, path)
    what = _named(columns, target, path, "--target") or _target(columns, when, path)
    _check_time(when, path)
    _check_target(what, path)
    days = _block_days(when, path)
    guesses = [_guess(column) for column in columns if column is not when and column is not what]
    if not any(guess.kind != "left out" for guess in guesses):
        why = "; ".join(f"{_comment(guess.column.name)}: {guess.why}" for guess in guesses[:3])
        raise InvalidInput(str(path), expected="a column to predict from", got="none that varies and repeats", hint=why)
    source = os.path.relpath(path.parent.resolve() / path.name, folder) if folder else str(path)
    return _text(path, source, when, what, guesses, days)


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
    named = re.compile("time|date|epoch|unix|^ts$", re.IGNORECASE)
    counted = [column for column in columns if column.epoch and named.search(column.name)]
    for column in (*dated, *counted):
        return column
    if odd := next(filter(no_times, columns), None):
        _check_time(odd, path)
    hint = "write times as 2024-01-31 08:00, and name the column with --time"
    raise InvalidInput(str(path), expected="a column of dates or times", got="none", hint=hint)


def _target(columns: list[Column], when: Column, path: Path) -> Column:
    for column in reversed(columns):
        if column is not when and column.numbers and column.distinct > 2 and not column.counts_up:
            return column
    raise InvalidInput(str(path), expected="a column of numbers to predict", got="none", hint="name it with --target")


def _check_time(column: Column, path: Path) -> None:
    if not column.times:
        slips = no_times(column)
        got = told(slips) if slips else f'"{next(iter(column.present), "no value")[:40]}"'
        hint = "make a timestamp of it in data.query, such as strptime(...) or make_timestamp(...), and name that"
        hint = "mend these cells, or take such lines out" if slips else hint
        expected = "dates or times, as 2024-01-31 08:00, 31.01.2024 08:00, 1/31/2024 8:00 or Unix seconds"
        raise InvalidInput(f'{path}, column "{column.name}"', expected=expected, got=got, hint=hint)


def _block_days(when: Column, path: Path) -> int:
    """Days of a block, so that train, validation and test all get some."""
    if len(when.cells) >= HEAD_ROWS:  # the head alone does not tell how far the file goes
        return 1
    for wanted in BLOCKS:
        for days in range(7, 0, -1):
            if _blocks(when.times, days) >= wanted:
                return days
    got = f"{_blocks(when.times, 1)}"
    raise InvalidInput(f'{path}, column "{when.name}"', expected=f"rows of at least {BLOCKS[-1]} days", got=got)


def _blocks(times: list[float], days: int) -> int:
    """Blocks that have rows; a closing one shorter than half joins the one before."""
    start, length = min(times) // DAY_SECONDS * DAY_SECONDS, days * DAY_SECONDS
    last = int((max(times) - start) // length)
    short = max(times) - start - last * length < length / 2
    return len({min(int((time - start) // length), last - 1 if short and last else last) for time in times})


def _check_target(column: Column, path: Path) -> None:
    where = f'{path}, column "{column.name}"'
    if not column.numbers and (column.commas or column.seconds or column.distinct > _most_texts(column)):
        slips = no_numbers(column) or [(column.lines[column.cells.index(cell)], cell) for cell in column.present[:1]]
        expected = "numbers, to be predicted, or few names that repeat"
        raise InvalidInput(where, expected=expected, got=told(slips))
    if column.distinct < 2:
        got = f"{column.numbers[0]:g}" if column.numbers else f'"{next(iter(column.present), "nothing")[:40]}"'
        kind = "numbers" if column.numbers else "names"
        raise InvalidInput(where, expected=f"{kind} that vary, to be predicted", got=f"{got} in every row")


def _most_texts(column: Column) -> float:
    """More different texts than this are no categories."""
    return min(MANY_TEXTS, 0.5 * len(column.present))


def _guess(column: Column) -> Guess:
    """What a feature is, by what its values have in common."""
    if why := _useless(column):
        return Guess(column, "left out", why=why)
    if column.seconds:
        first, last = (utc(end(column.seconds))[:10] for end in (min, max))
        return Guess(column, "date", why=f"{first} to {last}{_gaps(column)}")
    if column.coded and column.distinct <= _most_texts(column):
        why = f"{column.distinct} different codes, with their leading zeros{_gaps(column)}"
        return Guess(column, "category", why=why)
    if column.whole and column.distinct <= min(FEW_INTEGERS, len(column.cells) / 5) and not column.missing:
        return Guess(column, "category", "INT64", f"{column.distinct} different whole numbers")
    if column.numbers:
        return Guess(column, "numeric", why=f"{min(column.numbers):g} to {max(column.numbers):g}{_gaps(column)}")
    return _of_texts(column)


def _of_texts(column: Column) -> Guess:
    """What a column of texts is, by how many of them differ."""
    different, empty = len(set(column.texts)), len(column.cells) - len(column.texts)
    if different > _most_texts(column):
        slips = no_numbers(column)
        free = f"{different} different texts: names, or free text for {{kind: text, shape: [512]}}"
        why = f"numbers but for {told(slips)}: mend them, or read them in data.query" if slips else free
        return Guess(column, "left out", why=_comment(why))
    return Guess(column, "category", why=f"{different} different texts" + (f", {empty} missing" if empty else ""))


def _useless(column: Column) -> str:
    """Why a column can teach nothing, or must not; empty where it may."""
    reasons = {
        "has no name": not column.name.strip(),
        "is empty": column.distinct == 0,
        "has one value only": column.distinct == 1,
        "numbers the rows: a model must not learn that": column.counts_up,
        "has numbers with commas that could mean thousands or decimals: say which in data.query": (
            column.commas and not column.numbers
        ),
    }
    return next((why for why, holds in reasons.items() if holds), "")


def _gaps(column: Column) -> str:
    infinite = f", {column.infinite} infinite, which count as missing" if column.infinite else ""
    missing, slips = column.missing - len(column.slips), ""
    if column.slips:
        slips = f"; no numbers, and so set aside: {_comment(told(column.slips))}"
    return (f", {missing} missing" if missing else "") + infinite + slips


def _text(path: Path, source: str, when: Column, what: Column, guesses: list[Guess], days: int) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-.") or "model"
    lines = [
        f"# Written by `staytrue init {_comment(path.name)}` from the head of the file.",
        "# What is guessed says so: read it once.",
        "# Every setting there is, with its default, stands in docs/settings.md.",
        f"name: {_yaml(name)} # of the model: in addresses and metrics",
        "",
        "data:",
        f"  source: {_yaml(source)}",
        "  # SQL (DuckDB) over `source`: choose rows, derive columns such as the hour of a time",
        f"  query: {_yaml(query(when, what, guesses))}",
        *_bad_rows(when, [what, *(guess.column for guess in guesses if guess.kind == "numeric")]),
        f"  time: {_yaml(when.name)} # when each row happened"
        + (f"; {when.missing} rows say nothing and are left out" if when.missing else ""),
        f"  target: {_yaml(what.name)} # what is predicted{_gaps(what) if what.slips else ''}",
        "  features: # what it is predicted from",
    ]
    for guess in guesses:
        if guess.kind != "left out":
            datatype = f", datatype: {guess.datatype}" if guess.datatype else ""
            lines.append(f"    {_yaml(guess.column.name)}: {{kind: {guess.kind}{datatype}}} # guessed: {guess.why}")
    lines += [f"    # left out: {_comment(g.column.name)}, {g.why}" for g in guesses if g.kind == "left out"]
    if any(guess.kind == "numeric" and guess.column.missing > len(guess.column.slips) for guess in guesses):
        lines += ["", "serving:", "  nan_policy: null # guessed: numbers may be missing; callers send null for them"]
    return "\n".join([*lines, *_rest(what, days)]) + "\n"


def _bad_rows(when: Column, numeric: list[Column]) -> list[str]:
    """The setting that lets rows with slips be set aside, if there are any, with room for as many again."""
    rows, of = len({line for column in numeric for line, _ in column.slips}), len(when.cells)
    if not rows:
        return []
    told = f"# guessed: {rows} of {of} rows have a cell that is no number; they go to quarantine.csv, with the reason"
    return [f"  max_bad_rows: {above(min(2 * rows / of, 0.9)):g} {told}"]


def _rest(what: Column, days: int) -> list[str]:
    if what.numbers:
        positive = "positive" if min(what.numbers) >= 0 else "linear"
        model = f"output: {positive} # guessed from the target: positive where it is never below zero, else linear"
    else:
        model = f"task: classification # the target is text: its {what.distinct} values are the classes"
    return [
        "",
        "split: # by whole blocks of time, since neighbours in time are alike",
        f"  block_days: {days} # guessed from the span of the rows",
        "  validation: 0.2 # to stop training by, and as the usual error",
        "  test: 0.1 # sealed until the final evaluation",
        "",
        "model:",
        f"  {model}",
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
    if plain and value.lower() not in words:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in quoted)


def _comment(text: str) -> str:
    shown = "".join(sign if sign.isprintable() else " " for sign in text)  # YAML takes no others, not even here
    return " ".join(shown.split()) or "a column"
