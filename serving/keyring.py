"""The keys file: names, hashes, scopes and limits of the keys that a server knows, read whole and replaced whole.

A key is 32 random bytes: nobody can go through 2**256 of them, so one SHA-256 hides it. Slow salted hashes are there
for passwords, which people choose and others guess; here one would cost each request milliseconds and protect nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from staytrue.errors import InvalidConfig
from staytrue.nearest import meant
from staytrue.records import fsync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Scope = Literal["predict", "admin", "metrics"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX = "st_"
LARGEST_FILE = 1024 * 1024
HIGHEST_LIMIT = 1e9
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LIKE_A_KEY = re.compile(PREFIX + r"|[A-Za-z0-9_-]{40}")
_HASH = re.compile(r"[0-9a-f]{64}")
_FIELDS = ("name", "sha256", "scopes", "requests_per_second", "burst")
_HEAD = "# Written by `staytrue keys`, which keeps no comments. It holds hashes: the keys themselves are nowhere.\n"


class Limit(NamedTuple):
    """How often a key may ask: ``requests_per_second`` over time, ``burst`` at once."""

    requests_per_second: float
    burst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as the file tells it. Its hash is not shown; the key itself is not known."""

    name: str
    digest: bytes = field(repr=False)
    scopes: frozenset[Scope]
    limit: Limit | None = None


def digest_of(secret: str) -> bytes:
    """SHA-256 of a key. Any text has one, also halves of characters."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def read(path: Path) -> tuple[Key, ...]:
    """The keys of a file.

    Raises:
        InvalidConfig: it cannot be read, or is no keys file; says file, line and reason.
    """
    return parse(path, text_of(path))


def text_of(path: Path) -> str:
    """What a keys file says, unread.

    Raises:
        InvalidConfig: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
        text = data.decode()
    except OSError as error:
        hint = f"`staytrue keys new --name NAME --scopes predict --file {path}` makes one"
        raise InvalidConfig(f"keys {path}", f"cannot be read: {error.strerror}", hint=hint) from error
    except UnicodeDecodeError as error:
        got = f"byte {error.start} that is none"
        raise InvalidConfig(f"keys {path}", expected="text in UTF-8", got=got) from None
    if len(data) > LARGEST_FILE:
        raise InvalidConfig(f"keys {path}", expected=f"at most {LARGEST_FILE} bytes", got="more")
    return text


def parse(path: Path, text: str) -> tuple[Key, ...]:
    """The keys of a file's text. Nothing is quoted of it but names: a key itself may stand in the wrong place.

    Raises:
        InvalidConfig: it is no keys file; says file, line and reason.
    """
    from serving.keysfile import FORM, parsed  # noqa: PLC0415 - YAML takes memory, and most servers have no such file

    values, lines = parsed(path, text)
    if not isinstance(values, dict) or list(values) != ["keys"] or not isinstance(values["keys"], list):
        raise InvalidConfig(f"keys {path}", expected="one key `keys` with a list", got=_kind(values), hint=FORM)
    keys: list[Key] = []
    taken: set[str | bytes] = set()
    for number, value in enumerate(values["keys"]):
        line = lines[number] if number < len(lines) else 1  # YAML can merge in what stands elsewhere
        where = f"keys {path}:{line} keys.{number}"
        key = _entry(value, where)
        if taken & {key.name, key.digest}:
            raise InvalidConfig(where, "has the name or the hash of an entry before it", hint="remove one of them")
        taken |= {key.name, key.digest}
        keys.append(key)
    return tuple(keys)


def write(path: Path, keys: tuple[Key, ...]) -> None:
    """Replace a keys file in one step, readable for its owner alone; JSON where its name ends in ``.json``.

    Raises:
        InvalidConfig: it cannot be written.
    """
    path = path.resolve()  # behind a link the file is replaced, never the link
    entries = [_written(key) for key in keys]
    if path.suffix == ".json":
        text = json.dumps({"keys": entries}, indent=2) + "\n"
    else:
        lines = "".join(f"- {json.dumps(entry)}\n" for entry in entries)
        text = f"{_HEAD}keys:\n{lines}" if entries else f"{_HEAD}keys: []\n"
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # with mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        fsync_folder(path.parent)
    except OSError as error:
        raise InvalidConfig(f"keys {path}", f"cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other writers of a keys file out for the length of the block.

    Raises:
        InvalidConfig: its folder is not there.
    """
    folder = path.resolve().parent
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise InvalidConfig(f"keys {path}", f"its folder cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # of the folder: the file itself is replaced
        yield
    finally:
        os.close(handle)


def check_name(name: object, where: str) -> str:
    """A key's name: for logs and lists, so nothing that might be a key.

    Raises:
        InvalidConfig: it is none; it is not quoted.
    """
    if isinstance(name, str) and _NAME.fullmatch(name) and not _LIKE_A_KEY.match(name):
        return name
    expected = f"up to 64 letters, digits, '.', '_', '-', and no key (none begins with {PREFIX})"
    raise InvalidConfig(where, expected=expected, got=_kind(name))


def check_scopes(scopes: object, where: str) -> frozenset[Scope]:
    """A key's scopes.

    Raises:
        InvalidConfig: none, or one that is unknown; it is not quoted.
    """
    known = [scope for scope in SCOPES if isinstance(scopes, list) and scope in scopes]
    if isinstance(scopes, list) and scopes and len(known) == len(scopes):
        return frozenset(known)
    got, hint = _kind(scopes), ""
    if isinstance(scopes, list) and scopes:
        got, hint = "one that is none, or one twice", _meant(scopes, SCOPES)
    raise InvalidConfig(where, expected=f"a list of some of {', '.join(SCOPES)}", got=got, hint=hint)


def check_limit(requests_per_second: object, burst: object, where: str) -> Limit | None:
    """A key's limit; none where neither number is given. By default a burst is what one second allows.

    Raises:
        InvalidConfig: no numbers, or so small that nothing would be let through.
    """
    if requests_per_second is None and burst is None:
        return None
    rate = _number(requests_per_second, f"{where}requests_per_second", least=0.001)
    return Limit(rate, max(1.0, rate) if burst is None else _number(burst, f"{where}burst", least=1.0))


def _entry(value: Any, where: str) -> Key:
    """One key of the file."""
    if not isinstance(value, dict):
        raise InvalidConfig(where, expected=f"a mapping of {', '.join(_FIELDS)}", got=_kind(value))
    if not value.keys() <= set(_FIELDS):
        hint = _meant(value, _FIELDS)
        raise InvalidConfig(where, expected=f"only {', '.join(_FIELDS)}", got="another field", hint=hint)
    told = value.get("sha256")
    if not isinstance(told, str) or not _HASH.fullmatch(told.lower()):
        expected = "64 hexadecimal digits in quotes, the SHA-256 of the key"
        hint = "`staytrue keys new` writes it; a key itself does not belong into this file"
        raise InvalidConfig(f"{where}.sha256", expected=expected, got=_kind(told), hint=hint)
    return Key(
        name=check_name(value.get("name"), f"{where}.name"),
        digest=bytes.fromhex(told),
        scopes=check_scopes(value.get("scopes"), f"{where}.scopes"),
        limit=check_limit(value.get("requests_per_second"), value.get("burst"), f"{where}."),
    )


def _written(key: Key) -> dict[str, Any]:
    """A key as an entry of the file."""
    entry = {"name": key.name, "sha256": key.digest.hex(), "scopes": [scope for scope in SCOPES if scope in key.scopes]}
    return entry if key.limit is None else {**entry, **key.limit._asdict()}


def _number(value: object, where: str, *, least: float) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= HIGHEST_LIMIT:
        return float(value)
    raise InvalidConfig(where, expected=f"a number from {least:g} to {HIGHEST_LIMIT:g}", got=_kind(value))


def _meant(given: Iterable[object], known: tuple[str, ...]) -> str:
    """Which known word was meant; what was given is not quoted, as it may be a key."""
    strange = (word for word in given if isinstance(word, str) and word not in known)
    return next((question for word in strange if (question := meant(word, known))), "")


def _kind(value: object) -> str:
    """What sort of thing a value is, without a word of it."""
    if value is None:
        return "nothing"
    if isinstance(value, str | list | dict):
        word = "text" if isinstance(value, str) else "list" if isinstance(value, list) else "mapping"
        return f"a {word} of length {len(value)}"
    return "a number" if isinstance(value, int | float) and not isinstance(value, bool) else f"a {type(value).__name__}"
