"""Compaction: many small files of a partition become one, so that a look need not open a file for every tick.

A file once acknowledged never comes again, so it may be merged. A plan beside the merged file names its sources: a kill
after the merged file appeared is made good by deleting them, a kill before it by forgetting the plan.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from staytrue.records import fsync_folder, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)
FAN = 128
"""So many files of one generation become one of the next; a day that is written to every second holds 300 at most."""
_MERGED = re.compile(r"merged([0-9]+)-[0-9a-f]+\.parquet")


class Compaction:
    """Merges files below a folder. Not while anybody reads them: a merged file and its sources hold the same rows.

    Args:
        write: writes a table to a path, whole or not at all.
    """

    def __init__(self, root: Path, write: Callable[[Path, Any], None], fan: int = FAN) -> None:
        self._write, self._fan = write, fan
        self._new: Counter[Path] = Counter()
        recover(root)

    def wrote(self, path: Path) -> None:
        """A file was written."""
        self._new[path.parent] += 1

    def compact(self) -> int:
        """Merge where enough was written since the last time; how many files were made."""
        made = 0
        for folder in [folder for folder, count in self._new.items() if count >= self._fan]:
            del self._new[folder]
            made += self._compact(folder)
        return made

    def _compact(self, folder: Path) -> int:
        made, generation = 0, 0
        while True:
            files = _generations(folder)
            if generation > max(files, default=0):
                return made
            sources = files[generation]
            if len(sources) >= self._fan and merge(folder, sources, generation + 1, self._write):
                made += 1
            generation += 1


def merge(folder: Path, sources: list[Path], generation: int, write: Callable[[Path, Any], None]) -> bool:
    """Replace files by one; False where their columns cannot be one table, and they stay as they are."""
    tables = [pq.read_table(source, partitioning=None) for source in sources]
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        log.warning("%s: %d files stay apart: %s", folder, len(sources), error)
        return False
    merged = folder / f"merged{generation}-{uuid.uuid4().hex}.parquet"
    plan = merged.with_suffix(".plan")
    write_atomically(plan, json.dumps([source.name for source in sources]).encode())
    write(merged, table)
    _finish(plan)
    return True


def recover(root: Path) -> None:
    """Finish, or forget, what a killed process was merging."""
    for plan in sorted(root.rglob("merged*.plan")):
        if plan.with_suffix(".parquet").exists():
            _finish(plan)
        else:
            plan.with_suffix(".writing").unlink(missing_ok=True)
            plan.unlink()


def _finish(plan: Path) -> None:
    for name in json.loads(plan.read_bytes()):
        (plan.parent / name).unlink(missing_ok=True)
    fsync_folder(plan.parent)
    plan.unlink()


def _generations(folder: Path) -> dict[int, list[Path]]:
    """Files by how often they were merged."""
    found: dict[int, list[Path]] = defaultdict(list)
    for path in sorted(folder.glob("*.parquet")):
        merged = _MERGED.fullmatch(path.name)
        found[int(merged[1]) if merged else 0].append(path)
    return found
