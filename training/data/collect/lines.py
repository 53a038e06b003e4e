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

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.collection import SourceSection
    from training.data.collect.reading import Reading

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
        those = zip(files, labels(files), by_line, strict=True)
        mended = [_without_bad(name, path, file, reading) if lines else (path, None) for path, file, lines in those]
        parts = [part for _, part in mended if part is not None]
        try:
            _load(name, [path for path, _ in mended], options, reading)
        except duckdb.Error:
            where = f"data.sources.{name}"
            raise InvalidInput(where, f"{names(files)} cannot be read: {first_line(error)}") from error
    if len(parts) == len(files):
        reading.origins[name] = Origins(parts)
    return names(files)


def _whole(path: Path, file: str) -> Part:
    """Of a file without bad lines."""
    count, blank = counted(path)
    return Part(file, count - len(blank), 0, lambda: blank)


def _load(name: str, files: list[Path], options: dict[str, str], reading: Reading) -> None:
    listed = ", ".join(file_literal(path) for path in files)
    reading.connection.execute(
        f"CREATE OR REPLACE TABLE {quoted(name)} AS SELECT * FROM read_json([{listed}]{arguments(options)})"  # noqa: S608
    )


def _without_bad(name: str, path: Path, file: str, reading: Reading) -> tuple[Path, Part]:
    """A copy of the good lines alone, and where they come from."""
    decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    target = reading.scratch / f"good-{len(list(reading.scratch.glob('good-*')))}.jsonl"
    bad: list[BadRow] = []
    gone: list[int] = []
    line = 0
    with _opened(path) as stream, target.open("wb") as written:
        for line, content in enumerate(stream, 1):
            reason = _fault(content, decode) if content.strip() else ""
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
