"""Lines: JSON, an object a line; lines that hold none are set aside with their numbers."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec

from staytrue.errors import InvalidInput
from training.data.collect.options import arguments, options_of
from training.data.collect.places import files_of, label, names
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
    by_line = [path for path in files if path.name.removesuffix(".gz").endswith(_BY_LINE)]
    try:
        _load(name, files, options, reading)
    except duckdb.Error as error:
        mended = [_without_bad(name, path, label(path, files), reading) if path in by_line else path for path in files]
        try:
            _load(name, mended, options, reading)
        except duckdb.Error:
            where = f"data.sources.{name}"
            raise InvalidInput(where, f"{names(files)} cannot be read: {first_line(error)}") from error
    return names(files)


def _load(name: str, files: list[Path], options: dict[str, str], reading: Reading) -> None:
    listed = ", ".join(file_literal(path) for path in files)
    reading.connection.execute(
        f"CREATE OR REPLACE TABLE {quoted(name)} AS SELECT * FROM read_json([{listed}]{arguments(options)})"  # noqa: S608
    )


def _without_bad(name: str, path: Path, file: str, reading: Reading) -> Path:
    """A copy of the good lines alone."""
    decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    target = reading.scratch / f"good-{len(list(reading.scratch.glob('good-*')))}.jsonl"
    bad: list[BadRow] = []
    with _opened(path) as stream, target.open("wb") as written:
        for line, content in enumerate(stream, 1):
            reason = _fault(content, decode) if content.strip() else ""
            if reason:
                shown = content.decode(errors="backslashreplace").rstrip("\n")
                bad.append(BadRow(source=name, file=file, line=line, column="", reason=reason, text=shown))
            else:
                written.write(content)
    reading.quarantine.add(bad, "no json object")
    return target


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
