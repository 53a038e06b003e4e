"""Pictures with their names as Parquet, one at a time of its own, as if they had come in over some days."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

START = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
SEED = 2025
LATER = "later.parquet"
"""The pictures that no training sees: the stream to serve."""


def write(
    path: Path, target: str, pictures: NDArray[np.uint8], names: NDArray[Any], *, minutes: float, later: int
) -> None:
    """Shuffle, give each picture its time, and write two files: ``path`` to train on, and the last ones beside it.

    Shapes:
        pictures: [N,C,H,W]; names: [N]. Written: `time`, `image` (a flat list, row by row), and the name as `target`.
    """
    order = np.random.default_rng(SEED).permutation(len(pictures))
    flat = pictures.reshape(len(pictures), -1)[order]
    step = np.timedelta64(round(minutes * 60_000_000), "us")
    times = np.datetime64(START.replace(tzinfo=None), "us") + step * np.arange(len(order))
    lists = pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1]).cast(pa.list_(pa.uint8()))
    table = pa.table({"time": pa.array(times), "image": lists, target: [str(name) for name in names[order]]})
    kept = len(order) - later
    pq.write_table(table.slice(0, kept), path)
    pq.write_table(table.slice(kept), path.with_name(LATER))
    print(f"{path}: {kept} pictures to train on; {path.with_name(LATER)}: {later} later ones to serve")
