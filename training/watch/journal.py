"""Journal: ``metrics.jsonl``, a line an epoch."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, TextIO

from staytrue.errors import Unavailable
from staytrue.records import write_atomically
from training.watch.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from training.watch.facts import Facts


class Journal(Watcher):
    """Writes each line at once, so that it can be followed. Of a resumed training it cuts what will be told again.

    Raises:
        Unavailable: the file cannot be written; a training without its journal is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None

    def began(self, facts: Facts) -> None:
        """Begin the file, or go on with it behind the epochs that count."""
        try:
            write_atomically(self.path, b"".join(self._kept(facts.done)))
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise self._unwritten(error) from error

    def epoch_ended(self, line: Mapping[str, float]) -> None:
        """Write it. What is no number has no form in JSON and becomes null."""
        if self._file is None:
            raise ValueError("a journal is written after it began")
        said = {key: value if math.isfinite(value) else None for key, value in line.items()}
        try:
            self._file.write(json.dumps(said) + "\n")
            self._file.flush()
        except OSError as error:
            raise self._unwritten(error) from error

    def closed(self, error: BaseException | None) -> None:  # noqa: ARG002 - it closes in any case
        """Close the file."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def _kept(self, done: int) -> Iterator[bytes]:
        """The lines up to an epoch; a line that a kill has torn was never one."""
        if not done or not self.path.exists():
            return
        for line in self.path.read_bytes().splitlines(keepends=True):
            try:
                epoch = json.loads(line)["epoch"]
            except (ValueError, KeyError, TypeError):
                return
            if epoch > done or not line.endswith(b"\n"):
                return
            yield line

    def _unwritten(self, error: OSError) -> Unavailable:
        return Unavailable(str(self.path), f"cannot be written: {error.strerror}", hint="make room, then resume")
