"""What a server was told by ``staytrue.yaml``, its environment and its flags."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from staytrue.apart import apart

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from staytrue.server import ServingSection


class Told(NamedTuple):
    """All of it."""

    serving: ServingSection
    store: Path | str
    store_cache: Path | None


def told(project: Path, flags: Mapping[str, Any], *, alone: bool) -> Told:
    """Read and check it, in a process of its own: a server has no use for what that takes once it is done.

    Pydantic and its schemas would be a quarter of what a server has in memory beside models. So the section comes as
    plain values under the names of :class:`staytrue.server.ServingSection`, which says what they may be.

    Args:
        project: file to read.
        flags: of the section; None: not given.
        alone: there is no such file, and a flag names the store.

    Raises:
        InvalidConfig: it cannot be read, or a value is wrong: says where, expected and got.
    """
    said = apart(partial(_read, project, flags, alone=alone), "reading the settings")
    return Told(cast("ServingSection", _frozen("ServingSection", said.pop("serving"))), **said)


def _read(project: Path, flags: Mapping[str, Any], *, alone: bool) -> dict[str, Any]:
    from staytrue import served
    from staytrue.settings import resolve

    found = served.alone() if alone else served.load(project)
    serving = resolve(found.serving, "serving", flags)
    return {"serving": serving.model_dump(), "store": found.store, "store_cache": found.store_cache}


def _frozen(name: str, values: dict[str, Any]) -> Any:
    """A section's values; those that are mappings are sections within it."""
    values = {key: _frozen(key, value) if isinstance(value, dict) else value for key, value in values.items()}
    return msgspec.defstruct(name, values, frozen=True)(**values)
