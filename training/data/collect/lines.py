"""Lines: JSON, an object a line; lines that hold none are set aside with their numbers."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import numpy as np

from staytrue.errors import InvalidInput
from training.data.collect.options import arguments, options_of
from training.data.collect.origins import Origins, Part, counted
from training.data.collect.places import files_of, labels, names
from training.data.collect.quarantine import BadRow
from training.data.collect.reading import file_literal, first_line, quoted
from training.data.collect.twice import key_twice

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.collection import SourceSection
    from training.data.collect.reading import Reading

_TWICE = "duplicate key"
"""What DuckDB says of an object with a key more than once."""
_BY_LINE = (".jsonl", ".ndjson")


def read_json(name: str, source: SourceSection, reading: Reading) -> str:
    """Make a table of the objects; where they lie, for people. The types are those that fit all rows.

    Raises:
        InvalidInput: it is no JSON.
    """
    files = files_of(name, source, reading.scratch)
    options = options_of(name, source, {"sample_size": -1, "union_by_name": True})
    by_line = [path.name.removesuffix(".gz").endswith(_BY_LINE) for path in files]
    parts: list[Part] = []
    try:
        _load(name, files, options, reading)
        if any(by_line) and reading.columns(name) == {"json": "JSON"}:  # what holds no objects alone is one column
            raise duckdb.InvalidInputException("lines that are no objects")
        if all(by_line) and len(files) > 1:
            parts = [_whole(path, file) for path, file in zip(files, labels(files), strict=True)]
    except duckdb.Error as error:
        parts = _mended(name, list(zip(files, by_line, strict=True)), options, reading, str(error))
    _refuse_none(name, files, reading)
    if len(parts) == len(files):
        reading.origins[name] = Origins(parts)
    return names(files)


def _mended(
    name: str, files: list[tuple[Path, bool]], options: dict[str, str], reading: Reading, failure: str
) -> list[Part]:
    """Make the table of the good lines of files that have lines; looks for keys twice where DuckDB met one.

    Raises:
        InvalidInput: there is no reading it.
    """
    twice = _TWICE in failure
    paths = [path for path, _ in files]
    those = zip(files, labels(paths), strict=True)
    mended = [
        _without_bad(name, path, file, reading, twice=twice) if by_line else (path, None)
        for (path, by_line), file in those
    ]
    try:
        _load(name, [path for path, _ in mended], options, reading)
    except duckdb.Error as error:
        if _TWICE in str(error) and not twice:  # lines that are worse hid it
            reading.quarantine.forget(name)
            return _mended(name, files, options, reading, str(error))
        where, hint = f"data.sources.{name}", "rename one of the keys, or take it out" if twice else ""
        raise InvalidInput(where, f"{names(paths)} cannot be read: {first_line(error)}", hint=hint) from error
    return [part for _, part in mended if part is not None]


def _refuse_none(name: str, files: list[Path], reading: Reading) -> None:
    """Refuse files none of whose lines is good: they would have no columns to speak of."""
    if reading.quarantine.of(name) and not reading.count(name):
        first = reading.quarantine.examples(name)[0]
        got = f"none of {reading.quarantine.of(name)} lines"
        raise InvalidInput(f"{first.file}:{first.line}", first.reason, expected="an object in some line", got=got)
    if not any(path.stat().st_size for path in files):
        raise InvalidInput(f"data.sources.{name}", expected="an object in some line", got=f"nothing in {names(files)}")


def _whole(path: Path, file: str) -> Part:
    """Of a file without bad lines."""
    count, blank = counted(path)
    return Part(file, count - len(blank), 0, lambda: blank)


def _load(name: str, files: list[Path], options: dict[str, str], reading: Reading) -> None:
    listed = ", ".join(file_literal(path) for path in files)
    reading.connection.execute(
        f"CREATE OR REPLACE TABLE {quoted(name)} AS SELECT * FROM read_json([{listed}]{arguments(options)})"  # noqa: S608
    )


def _without_bad(name: str, path: Path, file: str, reading: Reading, *, twice: bool) -> tuple[Path, Part]:
    """A copy of the good lines alone, and where they come from; with ``twice`` some have a key more than once."""
    decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    target = reading.scratch / f"good-{len(list(reading.scratch.glob('good-*')))}.jsonl"
    bad: list[BadRow] = []
    gone: list[int] = []
    line = 0
    with _opened(path) as stream, target.open("wb") as written:
        for line, content in enumerate(stream, 1):
            reason = _fault(content, decode) if content.strip() else ""
            reason = reason or (_twice(content) if twice and content.strip() else "")
            if reason:
                shown = content.decode(errors="backslashreplace").rstrip("\n")
                bad.append(BadRow(source=name, file=file, line=line, column="", reason=reason, text=shown))
            if reason or not content.strip():
                gone.append(line)
            else:
                written.write(content)
    reading.quarantine.add(bad, "no json object")
    return target, Part(file, line - len(gone), 0, lambda: np.array(gone, dtype=np.int64))


def _opened(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _fault(content: bytes, decode: object) -> str:
    try:
        decode(content)  # type: ignore[operator]
        content.decode()
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        return f"no JSON object: {error}"
    except UnicodeDecodeError as error:
        return f"no UTF-8: byte {error.start} of the line"
    return ""


def _twice(content: bytes) -> str:
    key = key_twice(content)
    return f'the key "{key}" more than once in an object: rename one of them, or take it out' if key else ""
