"""Straight: lines of values that fit no type, where DuckDB counts blank lines that come after them."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

import numpy as np

from training.data.collect.origins import blank_lines, opened

if TYPE_CHECKING:
    from pathlib import Path

    from training.data.collect.origins import Records
    from training.data.collect.reading import Reading


def straightened(path: Path, records: Records, reading: Reading) -> Records:
    """The records where they are: DuckDB 2.0 adds to their lines the blank ones that come later in the same chunk.

    Each is the last line that reads as it does, at or before what is told of it and before the record after it. Left as
    they are where something has several lines, which DuckDB counts as one: then its lines are not the file's.
    """
    if not len(records.lines) or (records.heights > 1).any() or records.open.any() or not len(blank_lines(path)):
        return records
    said = reading.connection.execute(
        "SELECT line, any_value(trim(csv_line, chr(10) || chr(13))) FROM __rejects GROUP BY 1 ORDER BY 1"
    ).fetchall()
    places: dict[bytes, list[int]] = {text.encode(): [] for _, text in said}
    with opened(path) as stream:
        for number, line in enumerate(stream, 1):
            found = places.get(line.strip(b"\r\n"))
            if found is not None:
                found.append(number)
    lines, after = records.lines.copy(), np.iinfo(np.int64).max
    for record in range(len(lines) - 1, -1, -1):
        there = places[said[record][1].encode()]
        place = bisect.bisect_right(there, min(int(lines[record]), after - 1))
        after = lines[record] = there[place - 1] if place else int(lines[record])
    return records._replace(lines=lines)
