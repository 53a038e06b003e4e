"""Delimited: CSV and TSV files, whose ragged, undecodable and unparsable lines are set aside with their numbers."""

from __future__ import annotations

import functools
import itertools
import re
from typing import TYPE_CHECKING

import duckdb

from staytrue.errors import InvalidConfig, InvalidInput
from training.data.collect.aside import Fault, set_aside
from training.data.collect.casting import change
from training.data.collect.dialect import guessed, names_line, selected, sniffed
from training.data.collect.kinds import checked, kinds, marked, marks, narrow, unfit, wider
from training.data.collect.lost import Marked, insert, plain_part, taller
from training.data.collect.options import options_of
from training.data.collect.origins import Origins
from training.data.collect.patterns import UNION, called, match, refuse_unread
from training.data.collect.places import files_of, format_of, labels, names
from training.data.collect.reading import first_line, literal, quoted, unquoted
from training.data.collect.swallowed import QUOTED_LINES, refuse_swallowed, swallowed_aside
from training.data.collect.twice import refuse_twice_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from staytrue.collection import SourceSection
    from staytrue.section import Option
    from training.data.collect.dialect import Sniffed
    from training.data.collect.kinds import Kind
    from training.data.collect.origins import Part
    from training.data.collect.reading import Reading

_DELIMITERS = (",", ";", "\t", "|")


_DEFAULTS: dict[str, dict[str, Option]] = {
    # Not left to DuckDB's guess, which one broken line turns: it would drop lines above a header of its own choice, or
    # take all quotes for letters.
    "csv": {"header": True, "skip": 0, "quote": '"', "escape": '"'},
    "tsv": {"header": True, "skip": 0, "quote": '"', "escape": '"', "delim": "\t"},
}


def read_delimited(name: str, source: SourceSection, reading: Reading) -> str:
    """Make a table of all lines that can be read; where it lies, for people.

    Raises:
        InvalidInput: the files cannot be read at all.
        InvalidConfig: an option or a column that is not there.
    """
    files = files_of(name, source, reading.scratch)
    defaults = _DEFAULTS[format_of(name, source)]
    options = options_of(name, source, defaults)
    union, tall = (options.pop(key, "false") == "true" for key in (UNION, QUOTED_LINES))
    for path, file in zip(files, labels(files), strict=True):
        refuse_unread(f"data.sources.{name}", path, file, encoded="encoding" in options)
    if not options.keys() & {"delim", "sep", "delimiter"}:
        quote = unquoted(options["quote"])
        options["delim"] = literal(_delimiter(names_line(files[0], options, reading), quote))
    load(name, files, options, source.columns, reading, union=union, tall=tall)
    return names(files)


def _delimiter(line: str, quote: str) -> str:
    """What stands most often in a line, outside of quotes.

    >>> _delimiter('at;"x, in metres, say";y', '"'), _delimiter("at;'x, in metres, say';y", "'")
    (';', ';')
    """
    sign = re.escape(quote)
    return max(_DELIMITERS, key=(re.sub(f"{sign}[^{sign}]*{sign}", "", line) if quote else line).count)


def load(
    name: str,
    files: Sequence[Path],
    options: Mapping[str, str],
    declared: Mapping[str, str],
    reading: Reading,
    *,
    union: bool = False,
    tall: bool = False,
) -> None:
    """Make the table of some files, whose columns are matched by name; with ``union`` files may lack some.

    With ``tall`` lines within quotes are text, also where they read as rows.

    The types are those declared, those that features demand, and those that hold what the files do: DuckDB finds them
    in the first lines, and later ones may have fractions or times of day where those had none.
    """
    try:
        found = [sniffed(path, options, reading) if options else guessed(path, reading) for path in files]
        for path, file, there in zip(files, labels(files), found, strict=True):
            refuse_twice_named(path, file, there, reading)
        found = _alike(found)
        match(name, dict(zip(labels(files), [there.types for there in found], strict=True)), reading, union=union)
        made, parts = _kinds(name, files, found, declared, reading), None
        while parts is None:
            parts = _parts(name, files, found, made, reading)
        reading.origins[name] = Origins(parts, functools.cache(functools.partial(taller, reading, name)))
        if not tall:
            swallowed_aside(reading, name, found, made, list(itertools.accumulate(part.rows for part in parts)))
        _make(name, made, reading)
    except duckdb.BinderException as error:
        raise InvalidConfig(f"data.sources.{name}", first_line(error), hint="see its options and columns") from error
    except duckdb.Error as error:
        raise InvalidInput(f"data.sources.{name}", f"{names(files)} cannot be read: {first_line(error)}") from error


def _parts(
    name: str, files: Sequence[Path], found: Sequence[Sniffed], made: dict[str, Kind], reading: Reading
) -> list[Part] | None:
    """Make the table; None where it is to be made once more, since a column has words for missing values."""
    columns = ", ".join(f"{quoted(column)} {kind.read}" for column, kind in made.items())
    reading.connection.execute(f"CREATE OR REPLACE TABLE {quoted(name)} ({columns})")
    those = zip(files, labels(files), found, strict=True)
    try:
        return [insert(name, path, file, reading, there, made) for path, file, there in those]
    except Marked as found_marks:
        reading.quarantine.forget(name)
        made |= {column: marked(column, made[column], found[0].dialect) for column in found_marks.columns}
        return None


def strict(path: Path, reading: Reading) -> None:
    """Make the view ``source`` of a file, any bad line of which ends the query that comes upon it.

    A column whose later lines say more than its first ones is widened by then.

    Raises:
        duckdb.Error: how the file is written cannot be told.
        InvalidInput: a quote that is not closed takes lines along, or two columns have one name.
    """
    found = guessed(path, reading)
    refuse_twice_named(path, path.name, found, reading)
    made = _kinds("source", [path], [found], {}, reading)
    refuse_swallowed(reading, path, found, made)
    tall = functools.cache(functools.partial(taller, reading, "source"))
    reading.origins["source"] = Origins([plain_part(path, found, tall)], tall)

    def view() -> None:
        values = [
            f"{checked(column, kind, place)} AS {quoted(column)}"
            for place, (column, kind) in enumerate(made.items())
            if kind.value
        ]
        replaced = f" REPLACE ({', '.join(values)})" if values else ""
        read = selected(path, found, made)
        reading.connection.execute(f"CREATE OR REPLACE VIEW source AS SELECT *{replaced} FROM ({read})")  # noqa: S608

    def widen(failure: str) -> bool:
        place, word = narrow(failure), marks(failure)
        if place is not None:
            column = list(made)[place]
            made[column] = wider(made[column])
        elif word in made and made[word].read != "VARCHAR":
            made[word] = marked(word, made[word], found.dialect)
        else:
            return False
        view()
        return True

    view()
    reading.wideners.append(widen)


def _kinds(
    name: str, files: Sequence[Path], found: Sequence[Sniffed], declared: Mapping[str, str], reading: Reading
) -> dict[str, Kind]:
    types = _merged([there.types for there in found])
    if not types:
        raise InvalidInput(f"data.sources.{name}", expected="a line of names", got=f"nothing in {names(files)}")
    unknown = [column for column in declared if column not in types]
    if unknown:
        hint = f"there are {', '.join(types)}"
        raise InvalidConfig(f"data.sources.{name}.columns", f'no column "{unknown[0]}"', hint=hint)
    forms = {there.dialect.get("dateformat") for there in found if "DATE" in there.types.values()}
    dialect = found[0].dialect | ({"dateformat": forms.pop()} if len(forms) == 1 else {"dateformat": ""})
    return kinds(types, declared, reading.wanted, {key: value for key, value in dialect.items() if value is not None})


def _alike(found: Sequence[Sniffed]) -> list[Sniffed]:
    """The same with columns called as the first file that has them does: upper and lower case are alike."""
    first = called(there.types for there in found)
    return [
        there._replace(types={first[column.casefold()]: kind for column, kind in there.types.items()})
        for there in found
    ]


def _merged(found: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Types that hold the values of all files; text where nothing else does."""
    kinds: dict[str, set[str]] = {}
    for columns in found:
        for column, kind in columns.items():
            kinds.setdefault(column, set()).add(kind)
    return {column: _common(them) for column, them in kinds.items()}


def _common(kinds: set[str]) -> str:
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds <= {"BIGINT", "HUGEINT", "DOUBLE"}:
        return "DOUBLE"
    return "TIMESTAMP" if kinds <= {"DATE", "TIMESTAMP"} else "VARCHAR"


def _make(name: str, made: Mapping[str, Kind], reading: Reading) -> None:
    """Turn what was read as text into what it is; rows with a value that is none of it go to the quarantine."""
    chosen = {column: _chosen(name, kind, reading) for column, kind in made.items() if kind.value}
    faults = [
        Fault(column, "CAST", _reason(column, kind), quoted(column), unfit(column, kind))
        for column, kind in chosen.items()
        if kind.made != "VARCHAR"
    ]
    set_aside(reading, name, name, faults)
    for column, kind in chosen.items():
        if kind.made != "VARCHAR" or _is_beyond(name, kind, reading):
            change(reading, name, column, kind.made, kind.value)


def _chosen(name: str, kind: Kind, reading: Reading) -> Kind:
    """A column's kind by all of its values: the wider one where some need it."""
    return wider(kind) if kind.wider and _is_beyond(name, kind, reading) else kind


def _is_beyond(name: str, kind: Kind, reading: Reading) -> bool:
    return bool(kind.beyond) and reading.any(name, kind.beyond)


def _reason(column: str, kind: Kind) -> str:
    could = f"""'could not convert string "' || {quoted(column)} || '" to ' || {literal(f"'{kind.made}'")}"""
    whole = f"'expected whole numbers, got ' || {quoted(column)}"
    return f"CASE WHEN {kind.beyond} THEN {whole} ELSE {could} END" if kind.beyond else could
