"""Unfit: rows whose values are not what their columns must be, looked for one by one once a column as a whole fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import InvalidInput
from training.data.collect.aside import leave, set_rows_aside
from training.data.collect.columns import MOMENTS, seconds
from training.data.typed import number, typed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from staytrue.bundle import TaskName
    from staytrue.preparation import DataSection
    from training.data.collect.columns import Columns
    from training.data.collect.reading import Reading

    Make = Callable[[NDArray[Any]], object]
    Unfit = tuple[int, str, str]

_ROWS = 2048
"""Looked at together; where none of the first ones fit, it is the column that is wrong."""


def unfit_aside(reading: Reading, columns: Columns, table: str, source: str, data: DataSection, task: TaskName) -> bool:
    """Set the rows aside, and say whether there were any.

    Nothing is set aside where a column hides the numbers of rows, nor where it is a column that is wrong.
    """
    if reading.row(table) != "rowid":
        return False
    found: dict[str, list[Unfit]] = {}
    for name, make in _makers(data, task):
        for place, (rows, values) in enumerate(columns.numbered(name, _ROWS)):
            some = list(_within(rows, values, make))
            if not place and len(some) == len(rows):
                return False
            if some:
                found.setdefault(name, []).extend(some)
    for name, those in found.items():
        set_rows_aside(reading, table, source, name, those)
    if found:
        leave(reading, table, source, {row for those in found.values() for row, _, _ in those})
    return bool(found)


def _makers(data: DataSection, task: TaskName) -> Iterator[tuple[str, Make]]:
    """The columns, and what makes of their values what they must be."""

    def time(values: NDArray[Any]) -> object:
        if np.ma.getmaskarray(values).any():
            raise InvalidInput("", expected=MOMENTS, got="nothing")
        return seconds(values, data.time, "")

    yield data.time, time
    for name, feature in data.features.items():
        yield name, lambda values, name=name, feature=feature: typed(name, feature, values, "")  # type: ignore[misc]
    if task not in {"classification", "generation"}:
        for name in data.targets:
            yield name, lambda values: number(values, "", task)


def _within(rows: NDArray[np.int64], values: NDArray[Any], make: Make) -> Iterator[Unfit]:
    try:
        make(values)
    except InvalidInput as error:
        if len(rows) == 1:
            value = values[0]
            shown = "" if np.ma.is_masked(value) or value is None else str(value)
            yield int(rows[0]), f"expected {error.expected}, got {error.got}", shown[:200]
        else:
            half = len(rows) // 2
            yield from _within(rows[:half], values[:half], make)
            yield from _within(rows[half:], values[half:], make)
