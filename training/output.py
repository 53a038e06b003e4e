"""Output: what a preparation writes takes its place when all of it is written; what was there before is set aside."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from staytrue.records import fsync_folder
from training.report import FIGURES, PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

ROWS, SCHEMA = "rows.parquet", "schema.yaml"
EARLIER = "earlier"
"""Folder of what an earlier run left, until a later one ends well."""
WHOLE = (PAGE, FIGURES, ROWS)
"""What speaks of one whole run. The schema does not: people edit it, and projects name it."""


def rows_of(step: str) -> str:
    """Name of the file of the rows that a step leaves, which stands beside a whole run's.

    >>> rows_of("collect")
    'rows-collect.parquet'
    """
    return f"rows-{step}.parquet"


@contextlib.contextmanager
def output(folder: Path, say: Callable[[str], None], told: Sequence[str] = WHOLE) -> Iterator[Path]:
    """A folder to write in, which need not be there yet; its files go to ``folder`` if all goes well.

    Meanwhile those ``told`` of an earlier run are in :data:`EARLIER`: a run that fails leaves none that could be taken
    for its own.
    """
    was_there, new = folder.is_dir(), folder / f".new-{os.getpid()}"
    kept = _set_aside(folder, told)
    try:
        yield new
        for path in sorted(new.iterdir()):
            path.replace(folder / path.name)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        if not was_there:
            with contextlib.suppress(OSError):
                folder.rmdir()
        if kept:
            say(f"nothing new was written; what an earlier run wrote is in {folder / EARLIER}")
        raise
    new.rmdir()
    _forget(folder / EARLIER, told)
    fsync_folder(folder)


def _set_aside(folder: Path, told: Sequence[str]) -> bool:
    """Move what an earlier run left; whether there is any."""
    found = [folder / name for name in told if (folder / name).is_file()]
    earlier = folder / EARLIER
    if found:
        _forget(earlier, told)  # of one run alone, or it would tell of two
        earlier.mkdir(exist_ok=True)
    for path in found:
        path.replace(earlier / path.name)
    return any((earlier / name).is_file() for name in told)


def _forget(earlier: Path, told: Sequence[str]) -> None:
    """Delete what was set aside, and the folder if that was all: it may be somebody's own of that name."""
    for name in told:
        (earlier / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        earlier.rmdir()
