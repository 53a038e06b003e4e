"""Journal: ``metrics.jsonl``, a line an epoch, and how far a training has come on a terminal."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Self

import tqdm

if TYPE_CHECKING:
    from pathlib import Path

METRICS = "metrics.jsonl"


class Journal:
    """The file, and the bar. Of a run that goes on, lines behind the epochs done are cut off."""

    def __init__(self, folder: Path, epochs: int, done: int) -> None:
        path = folder / METRICS
        kept = path.read_bytes().splitlines(keepends=True)[:done] if done else []
        self._file = path.open("wb")
        self._file.writelines(kept)
        self._file.flush()
        hidden = not sys.stderr.isatty()
        self._bar = tqdm.tqdm(total=epochs, initial=done, desc="training", unit="epoch", disable=hidden)
        self._began = time.perf_counter()

    def add(self, line: dict[str, float]) -> None:
        """An epoch is done."""
        now = time.perf_counter()
        self._file.write(json.dumps(line | {"seconds": round(now - self._began, 4)}).encode() + b"\n")
        self._file.flush()  # before the state is kept, which counts on the line
        self._began = now
        shown = {name: f"{value:.4g}" for name, value in line.items() if name not in ("epoch", "learning_rate")}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._bar.close()
