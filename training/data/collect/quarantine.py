"""Quarantine: rows that cannot be read, set aside with file, line, column, reason and text; counted, never lost."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from staytrue.addresses import shown
from staytrue.errors import InvalidInput
from staytrue.slips import above
from staytrue.table import Column
from training.data.money import money_hint
from training.data.typed import NO_NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import duckdb

EXAMPLES = 5
"""How many are shown; the file holds all."""
_TEXT = 2000
"""Characters of a row that are kept, so that one broken quote does not bring in a whole file."""
_GROUP = 1000
_PART = ".part-"
_NAMES = b"source,file,line,column,reason,text"
"""First line of the file."""
_VALUE = re.compile(r'string "(.*)" to |, got (.*)$')
"""The value that a reason tells of."""
SLIPS = 0.5
"""Share of bad rows up to which they may be slips."""
_MISSING = re.compile(r'("(?:NA|N/A|n/a|na|NULL|null|None|NaN|nan|-|\?|\.)")')
"""What people write where they know nothing."""


class BadRow(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of a row.

    ``line`` counts from 1, the header included; None where a file has none.
    """

    source: str
    file: str
    line: int | None
    column: str
    reason: str
    text: str


class BadRows(msgspec.Struct, frozen=True, kw_only=True):
    """All of them. A row with two faults counts once; lines that an open quote takes along count each."""

    rows: int
    share: float
    """Of the rows of one source: of the source that has the largest share of them."""
    reasons: dict[str, int]
    """By source and kind of fault."""
    examples: list[BadRow]
    file: str = ""
    """Where they are, if there are any."""
    source: str = ""
    """Which source has the largest share."""


class Quarantine:
    """The faults found so far, in a table of DuckDB's, which may outgrow memory."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._rows: Counter[str] = Counter()
        connection.execute(
            "CREATE TABLE __quarantine (source VARCHAR, file VARCHAR, line BIGINT, col VARCHAR, kind VARCHAR, "
            "reason VARCHAR, text VARCHAR)"
        )

    def add(self, faults: Iterable[BadRow], kind: str) -> None:
        """Faults that a reader of ours found, one a row and at most some thousand at a time."""
        values = [(f.source, f.file, f.line, f.column, kind, f.reason, f.text[:_TEXT]) for f in faults]
        self._rows.update(value[0] for value in values)
        for start in range(0, len(values), _GROUP):
            self._connection.executemany(
                "INSERT INTO __quarantine VALUES (?, ?, ?, ?, ?, ?, ?)", values[start : start + _GROUP]
            )

    def add_from(self, query: str, values: dict[str, object] | None = None) -> None:
        """Faults that a query finds: source, file, line, column, kind, reason, text. Their rows are counted apart."""
        self._connection.execute(
            "INSERT INTO __quarantine SELECT source, file, line, col, kind, reason, left(text, "  # noqa: S608 - ours
            f"{_TEXT}) FROM ({query}) AS found(source, file, line, col, kind, reason, text)",
            values,
        )

    def count(self, source: str, rows: int) -> None:
        """Say how many rows of a source were set aside with what was added: a row may have several faults."""
        self._rows[source] += rows

    def forget(self, source: str) -> None:
        """Leave out what was added of a source, which is read once more."""
        self._connection.execute("DELETE FROM __quarantine WHERE source = $source", {"source": source})
        del self._rows[source]

    def of(self, source: str) -> int:
        """Rows of one source that are set aside."""
        return self._rows[source]

    def judge(self, good: Mapping[str, int], limit: float, file: Path, targets: Sequence[str]) -> BadRows:
        """Count them, write them down, and refuse too large a share; without any, the file of an earlier load goes.

        ``good`` are the rows of each source that could be read. Each is judged by its own: a small table that is broken
        must not hide behind a large one. ``targets`` are columns to predict, of which other things are advised.

        Raises:
            InvalidInput: more of a source's rows than ``limit`` are bad, or any where it is 0; names the first.
        """
        bad = {source: self.of(source) for source in good}
        shares = {source: count / max(count + good[source], 1) for source, count in bad.items()}
        worst = max(shares, key=lambda source: shares[source])
        some = sum(bad.values()) > 0
        found = BadRows(
            rows=sum(bad.values()),
            share=shares[worst],
            reasons=self._reasons(),
            examples=self.examples(),
            file=shown(file) if some else "",
            source=worst if some else "",
        )
        if some:
            self.write(file)
        else:
            _remove(file)
        if found.share > limit:
            counts = bad[worst], bad[worst] + good[worst]
            first = self.examples(worst)[0]
            if first.column in targets and found.share >= SLIPS and (text := _word(first)):
                raise _no_number(first, text, counts)
            raise _refusal(found, first, limit, counts, several=len(good) > 1)
        return found

    def write(self, file: Path) -> None:
        """Write all of them down, whole or not at all: somebody may be reading what an earlier load left."""
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{_PART}{file.name}")
        copied = str(part).replace("'", "''")
        try:
            self._connection.execute(
                'COPY (SELECT source, file, line, col AS "column", reason, text FROM __quarantine '  # noqa: S608
                f"ORDER BY source, file, line, col) TO '{copied}' (FORMAT csv, HEADER)"
            )
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)

    def examples(self, source: str = "") -> list[BadRow]:
        """The first ones, or those of one source."""
        rows = self._connection.execute(
            "SELECT source, file, line, col, reason, text FROM __quarantine WHERE source = $source OR $source = '' "
            "ORDER BY source, file, line, col LIMIT $most",
            {"source": source, "most": EXAMPLES},
        ).fetchall()
        return [
            BadRow(source=source, file=file, line=line, column=column or "", reason=reason, text=(text or "")[:200])
            for source, file, line, column, reason, text in rows
        ]

    def _reasons(self) -> dict[str, int]:
        counted = "SELECT source || ': ' || lower(kind), count(*) FROM __quarantine GROUP BY 1 ORDER BY 2 DESC, 1"
        return dict(self._connection.execute(counted).fetchall())


def _refusal(found: BadRows, first: BadRow, limit: float, counts: tuple[int, int], *, several: bool) -> InvalidInput:
    column = f', column "{first.column}"' if first.column else ""
    allowed = f"at most {limit:.3%} bad rows" if limit else "no bad row"
    missing = _MISSING.search(first.reason)
    word = f'say options: {{nullstr: ["", {missing[1]}]}} if that means a missing value, ' if missing else ""
    if "not utf-8" in first.reason:
        word = "say options: {encoding: latin-1} of a source of data.sources if it was written in that, "
    return InvalidInput(
        f"{_place(first)}{column}",
        first.reason,
        expected=allowed,
        got=f"{counts[0]} of {counts[1]}" + (f" in {found.source}" if several else ""),
        hint=f"{word}mend them (all are in {found.file})" + _aside(found, first),
    )


def _word(row: BadRow) -> str:
    """The text that stands where a number should; empty where it may be one, or a missing one."""
    value = _VALUE.search(row.reason)
    text = (value[1] or value[2]) if value else ""
    return "" if _MISSING.search(row.reason) or money_hint(row.column, text) else text


def _no_number(first: BadRow, value: str, counts: tuple[int, int]) -> InvalidInput:
    """A column to predict that holds texts: no slip of some rows, but another task or another column."""
    where = f'data.target, column "{first.column}" of {_place(first)}'
    return InvalidInput(
        where, expected="numbers", got=f"{value!r}, and {counts[0]} of {counts[1]} are none", hint=NO_NUMBER
    )


def _place(row: BadRow) -> str:
    return row.file if row.line is None else f"{row.file}:{row.line}"


def _remove(file: Path) -> None:
    """A file of ours: a setting may name another by mistake."""
    if file.is_file():
        with file.open("rb") as stream:
            ours = stream.readline().strip() == _NAMES
        if ours:
            file.unlink()


def _aside(found: BadRows, first: BadRow) -> str:
    """What else to do: so many may be set aside, or are no slip."""
    value = _VALUE.search(first.reason)
    money = money_hint(first.column, value[1] or value[2]) if value and first.column else ""
    if money:
        return f"; {money}"
    if found.share < SLIPS:
        return f", or set them aside by data.max_bad_rows: {above(found.share):g} or more"
    if "not utf-8" in first.reason or not first.column:
        return "; so many are no slip"
    option = _option(value[1] or value[2]) if value else ""
    if option:
        return f"; so many are no slip: say options: {{{option}}} of a source of data.sources if they are written so"
    other = "say kind: category in data.features if it names kinds, or cast it in data.query"
    return f'; so many are no slip: column "{first.column}" is perhaps of another type: {other}'


def _option(value: str) -> str:
    """The option of a source that reads a value, if one does.

    >>> _option("31.01.2024 08:00"), _option("4,5"), _option("1,234"), _option("warm")
    ('timestampformat: "%d.%m.%Y %H:%M"', 'decimal_separator: ","', '', '')
    """
    column = Column("", [value])
    if column.time_format and not column.whole:
        return f'timestampformat: "{column.time_format}"'
    thousands = re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+", value)  # or three decimals: nobody can tell
    return 'decimal_separator: ","' if re.fullmatch(r"[+-]?\d+,\d+", value) and not thousands else ""
