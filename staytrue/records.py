"""The base of every record: frozen, keyword-only, versioned, with one written form."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from staytrue.errors import CorruptData, InternalError, InvalidConfig, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY_SECONDS = 86400.0
HOUR_SECONDS = 3600.0
LATEST = 1e11
"""Event times from here on (the year 5138) have no date that files could be named by."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A value that passes between parts. Its golden file in ``tests/golden`` pins the written form.

    A reader ignores fields it does not know, so that an older part can read what a newer one wrote; what a record
    *means* changes only with its ``schema`` number.
    """


R = TypeVar("R", bound=Record)
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises on bytes that are no record: one changed byte of a text is told by Python's own error."""


def to_json(record: Record) -> bytes:
    """Write a record as indented JSON with a closing newline, keys in the order of declaration.

    NaN and infinities have no JSON form and become ``null``, which only a field that may be None can hold.

    Raises:
        InternalError: it could not be read again; names the field.
    """
    data = msgspec.json.encode(record)
    try:
        msgspec.json.decode(data, type=type(record))
    except msgspec.MsgspecError as error:
        raise InternalError(
            f"{type(record).__name__} record", f"cannot be written so that it can be read: {error}"
        ) from error
    data = msgspec.json.format(data, indent=2)  # what it was goes at once: of a large record both are many megabytes
    return data + b"\n"


def from_json(kind: type[R], data: bytes, where: str) -> R:
    """Read a record; ``where`` (a path or an address) opens the error message.

    Raises:
        CorruptData: not JSON, or not this record, or one of a newer ``schema``; the message names the field.
    """
    try:
        found = msgspec.json.decode(data, type=kind)
    except UNREADABLE as error:
        raise CorruptData(where, f"is no {kind.__name__} record: {error}") from error
    known = next((field.default for field in msgspec.structs.fields(kind) if field.name == "schema"), None)
    if isinstance(known, int) and (written := getattr(found, "schema", known)) > known:
        expected, hint = f"schema {known} at most, as this staytrue knows it", "a newer one wrote it: update this one"
        raise CorruptData(where, f"is a newer {kind.__name__} record", expected=expected, got=str(written), hint=hint)
    return found


def read(kind: type[R], path: Path) -> R:
    """Read a record from a file.

    Raises:
        CorruptData: the file cannot be read or is not this record.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorruptData(str(path), f"cannot be read: {error.strerror}") from error
    return from_json(kind, data, str(path))


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file in one step: a reader sees the old bytes or the new ones, also after a power cut."""
    with replacing(path) as new:
        new.write_bytes(data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to be written, which takes the other's place in one step at the end of the block, unless that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    new = Path(temporary)
    try:
        yield new
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.chmod(0o644)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def writable(folder: Path, where: str) -> Path:
    """The folder, which need not be there yet; ``where`` (a flag or a setting) opens the error message.

    Raises:
        InvalidConfig: it cannot be written: a file stands in its place, or it belongs to somebody else.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists() or path.is_symlink())
    if not there.is_dir():
        raise InvalidConfig(where, expected="a folder to write", got=f"{there}, which is a file", hint="name another")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InvalidConfig(where, expected="a folder to write", got=f"{there}, which may not be written")
    return folder


def fsync_folder(folder: Path) -> None:
    """Make a rename or a new file in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def append_line(path: Path, value: object) -> None:
    """Append one JSON line and sync it: for journals and ledgers that people read.

    Behind a line that a crash has torn it begins a new one, so that a crash costs one line and never two.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(value, sort_keys=False, allow_nan=False).encode() + b"\n"
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    fsync_folder(path.parent)


def utc(seconds: float) -> str:
    """Unix seconds as RFC 3339 in UTC with milliseconds.

    >>> utc(0)
    '1970-01-01T00:00:00.000Z'
    """
    moment = datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_of(text: str) -> float:
    """Unix seconds of an RFC 3339 or ISO 8601 text; a text without an offset is taken as UTC.

    >>> seconds_of("1970-01-02T00:00:00Z")
    86400.0

    Raises:
        ValueError: no such date.
    """
    moment = datetime.datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def moment(said: Any, where: str) -> float:
    """Unix seconds of what a caller gave for a time: a number, or a text in RFC 3339.

    >>> moment("1970-01-02T00:00:00Z", "known") == moment(86400, "known")
    True

    Raises:
        InvalidInput: neither, or no time after 1970 that has a date; ``where`` opens the message.
    """
    try:
        seconds = seconds_of(said) if isinstance(said, str) else float(said)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if isinstance(said, bool) or not 0 < seconds < LATEST:
        raise InvalidInput(where, expected="Unix seconds or RFC 3339", got=shown(said))
    return seconds


def shown(value: Any) -> str:
    """The beginning of a value that a caller sent, for a message."""
    try:
        return repr(value)[:80]
    except RecursionError:
        return "nested too deep to show"
    except ValueError:  # a number of thousands of digits
        return f"a {type(value).__name__} too long to show"
