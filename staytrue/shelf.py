"""Where a store keeps its versions: what a folder and an address both do for :class:`staytrue.store.Store`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from staytrue.addresses import masked
from staytrue.errors import InvalidConfig, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager

    from staytrue.aliases import Aliases, Change

MOST_LETTERS = 255
"""Of a model's name: it is that of a folder."""
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
VERSION = re.compile(r"[1-9][0-9]{0,17}")
_SLIP = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
LOCAL = ("file", "local")
"""Schemes of addresses that mean a folder of this machine."""


class Shelf(Protocol):
    """Versions, aliases and journal of models; what each means is the store's to know."""

    @property
    def root(self) -> Path:
        """Folder of this machine in which versions lie when they are read."""

    @property
    def where(self) -> str:
        """Folder or address, for messages; without a password."""

    def exists(self) -> bool:
        """Whether there is such a store at all."""

    def models(self) -> list[str]:
        """Names of the models that have aliases, sorted."""

    def present(self, name: str) -> bool:
        """Whether there is anything of a model."""

    def versions(self, name: str) -> list[str]:
        """Published versions, oldest first."""

    def glance(self, name: str) -> list[str]:
        """Published versions as they were seconds ago, for whoever asks often and only tells of them."""

    def has(self, name: str, version: str) -> bool:
        """Whether a version is published, and stays."""

    def folder(self, name: str, version: str) -> Path:
        """Folder of a published version on this machine."""

    def forget(self, name: str, version: str) -> None:
        """Drop what this machine copied of a version: the next look is at the store itself."""

    def mend(self, name: str, version: str) -> bool:
        """Take a version anew where this machine's copy of it is not whole; whether it is worth another look."""

    def read(self, name: str, version: str, file: str) -> bytes | None:
        """What a file of a version holds where it was published, not in a copy; None where there is none."""

    def standing(self, name: str) -> Aliases | None:
        """Who answers for a model; None where no version was ever promoted."""

    def journal(self, name: str) -> list[Change]:
        """Changes that took effect, oldest first."""

    def new_version(self, name: str) -> AbstractContextManager[tuple[str, Path]]:
        """Claim the next version and a folder to make it in; it appears whole when the block ends, or not at all."""

    def change(self, name: str, alter: Callable[[Aliases], tuple[Aliases, Change]]) -> Aliases:
        """Replace the aliases in one step, nobody else's change between reading and writing them, and journal it."""

    def keep_signature(self, name: str, version: str) -> None:
        """Keep the signature that was just written into :meth:`folder`."""

    def clear(self, name: str, needed: Callable[[], Collection[str]], *, dry: bool) -> dict[str, int]:
        """Delete the versions that are not needed, which is asked when nobody can change it; their bytes."""


def place(said: Path | str) -> Path | str:
    """Where a store is: an address of fsspec's stays what it is, anything else is a folder.

    >>> place("s3://bucket/store"), str(place("store")), str(place("file:///srv/my%20store"))
    ('s3://bucket/store', 'store', '/srv/my store')

    Raises:
        InvalidConfig: empty, or an address with a slip that would be taken for a folder or for nothing.
    """
    if isinstance(said, Path):
        return said
    scheme, mark, rest = said.partition("://")
    if not mark and _SLIP.match(said):
        raise _no_place(said, "an address with one slash", hint="write ./ before it if it is a folder")
    if not said:
        raise _no_place(said, "an empty text", hint="a folder of this machine is . or a path")
    if not mark:
        return Path(said)
    if not rest.strip("/"):
        raise _no_place(said, "an address that names no bucket")
    if scheme.lower() not in LOCAL:
        return f"{scheme.lower()}://{rest}"  # as fsspec looks them up
    host, _, path = rest.partition("/")
    if host not in {"", "localhost"}:
        hint = f"file:///{host}/{path}, three slashes, is a folder of this one"
        raise _no_place(said, f'a folder of the machine "{host}"', hint=hint)
    return Path(unquote(urlsplit(f"file:///{path}").path))


def _no_place(said: str, got: str, hint: str = "") -> InvalidConfig:
    where = f'store "{masked(said)}"'
    return InvalidConfig(where, expected="a folder, or an address such as s3://bucket/store", got=got, hint=hint)


def checked(name: str) -> str:
    """A name that can be a model's.

    Raises:
        InvalidInput: it could lead out of the store, or is too long for it.
    """
    if len(name) > MOST_LETTERS:
        raise InvalidInput(f'model name "{name[:80]}…"', expected=f"at most {MOST_LETTERS} letters", got=str(len(name)))
    if not NAME.fullmatch(name):
        other = next((letter for letter in name if not NAME.fullmatch(f"_{letter}")), "")
        got = f'"{other}"' if other else "'.' at its beginning" if name else "an empty one"
        raise InvalidInput(f'model name "{name[:80]}"', expected="letters of ASCII, digits, '.', '_' and '-'", got=got)
    return name
