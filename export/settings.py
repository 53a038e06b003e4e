"""The settings that a version was made by, which go into its bundle."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

SECTIONS = ("name", "data", "cleaning", "split", "model", "training", "export")
"""Those that decide what is made; how it is served and watched is the business of whoever does that."""


def write_settings(configuration: Path, path: Path) -> None:
    """Write the sections of a run's configuration that made a version.

    Files stand by their names alone: a bundle goes to machines that have no business to know another's folders.
    """
    given = yaml.safe_load(configuration.read_text(encoding="utf-8"))
    kept = {name: _named(given[name]) for name in SECTIONS if name in given}
    path.write_text(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _named(value: Any) -> Any:
    """The same without the folders of absolute paths."""
    if isinstance(value, dict):
        return {key: _named(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_named(inner) for inner in value]
    if isinstance(value, str) and value.startswith("/") and "\n" not in value:
        return PurePath(value).name
    return value
