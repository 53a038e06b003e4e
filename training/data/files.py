"""Rows as a Parquet file, for people and their tools to look at."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from training.data.clean.cleaning import is_missing
from training.data.rows import by_name

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.preparation import DataSection
    from training.data.rows import Rows

_GROUP_ROWS, _GROUP_BYTES = 1 << 20, 64 << 20
"""Of a group of rows, which the writer holds in memory: as many as it does by itself, fewer of wide ones."""


def write(rows: Rows, data: DataSection, path: Path, parts: NDArray[Any] | None = None) -> None:
    """Write time, features, target and marks under their names, missing values as null, a picture as a list of values.

    Shapes: ``parts`` [N], the part of each row; a column of that name is written where it is given.
    """
    microseconds = np.round(rows.time * 1e6).astype("datetime64[us]")
    columns: dict[str, Any] = {data.time: pa.array(microseconds, pa.timestamp("us", "UTC"))}
    columns |= {name: arrow(column) for name, column in rows.columns.items()}
    columns |= {name: arrow(column) for name, column in by_name(rows.target, data.targets).items()}
    columns |= {name: arrow(mark) for name, mark in rows.marks.items() if name not in columns}
    if parts is not None:
        columns["part"] = pa.array(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    wide = max((column.dtype.itemsize * math.prod(column.shape[1:]) for column in rows.columns.values()), default=1)
    pq.write_table(pa.table(columns), path, row_group_size=max(1, min(_GROUP_ROWS, _GROUP_BYTES // wide)))


def arrow(column: NDArray[Any]) -> Any:
    """A column as an array of Arrow's, what is missing as null. Shapes: [N], or [N,…] as lists."""
    if column.ndim > 1:
        return pa.FixedSizeListArray.from_arrays(pa.array(column.ravel()), int(np.prod(column.shape[1:])))
    return pa.array(column.tolist() if column.dtype == object else column, mask=is_missing(column))
