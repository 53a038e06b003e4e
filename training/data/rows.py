"""Rows: raw features as callers send them, with time and truth; in memory, and mapped what is too large for it."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import sys
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from staytrue.signature import MISSING_TEXT
from training.data import mapped
from training.data.collect.columns import Columns
from training.data.typed import number, texts, typed, untyped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from staytrue.bundle import TaskName
    from staytrue.feature import Feature
    from staytrue.preparation import DataSection

_BYTES = {"UINT8": 1, "FP32": 4}
"""Of a value of what is wider than a number; texts for a tokenizer are objects."""


@dataclasses.dataclass(frozen=True)
class Rows:
    """N rows in time order.

    Shapes: ``time`` [N], ``target`` [N], each column [N]; pictures [N,C,H,W], texts [N,L], sequences [N,T,C].

    Units: time in Unix seconds. A missing FP32 is NaN, INT64 :data:`MISSING_INTEGER`, BYTES the empty text, and so is
    one of bytes that are 0. The target is a number (float64), or the name of a class (object), missing in the same way;
    of several columns it is [N,K] numbers, labels being 0 or 1.
    ``marks`` are texts that a split goes by, such as whose row it is; they are no part of the content.
    """

    time: NDArray[np.float64]
    columns: dict[str, NDArray[Any]]
    target: NDArray[Any]
    marks: dict[str, NDArray[Any]] = dataclasses.field(default_factory=dict)
    most_bytes: int = sys.maxsize
    """That the columns may take in memory together: one beyond its even share is mapped."""
    beside: dict[str, NDArray[Any]] = dataclasses.field(default_factory=dict)
    """Columns that slices alone speak of: numbers (float64), moments (datetime64) or texts. No model learns from them,
    and they are no part of the content."""

    def __len__(self) -> int:
        return len(self.time)

    def take(self, which: NDArray[Any]) -> Rows:
        """The rows of an index or a mask."""
        columns = {name: mapped.taken(column, which, self.share) for name, column in self.columns.items()}
        marks, beside = ({name: some[which] for name, some in of.items()} for of in (self.marks, self.beside))
        return Rows(self.time[which], columns, self.target[which], marks, self.most_bytes, beside)

    @property
    def share(self) -> int:
        """Bytes that each column may take in memory."""
        return share_of(self.most_bytes, len(self.columns))

    def only(self, names: Iterable[str]) -> Self:
        """The rows with some of their columns."""
        return dataclasses.replace(self, columns={name: self.columns[name] for name in names})

    def inputs(self) -> dict[str, NDArray[Any]]:
        """The columns as a request carries them: {name: [N,1]}, pictures as they are."""
        return {name: column.reshape(-1, 1) if column.ndim == 1 else column for name, column in self.columns.items()}

    def digest(self) -> str:
        """SHA-256 of the content: equal rows in equal order give equal digests."""
        hasher = hashlib.sha256()
        marks = {f"mark {name}": mark for name, mark in self.marks.items()}
        for name, column in {"time": self.time, **self.columns, "target": self.target, **marks}.items():
            hasher.update(f"{name}:{column.dtype}:{len(column)};".encode())
            if column.dtype == object:
                hasher.update("\x1f".join(column).encode())
            else:
                for some in mapped.parts(column):
                    hasher.update(column[some].tobytes())
        return hasher.hexdigest()


@dataclasses.dataclass(frozen=True)
class TrainingRows(Rows):
    """Rows of the training part, the only ones that statistics are learnt from.

    They have a type of their own, which whatever learns demands (:func:`learnable`): a statistic of validation or test
    rows cannot reach a model by mistake. A split makes them, and the division of newly labelled rows; nothing else may
    call :meth:`of`.
    """

    @classmethod
    def of(cls, rows: Rows) -> TrainingRows:
        """Rows that a split has dealt to training."""
        return cls(rows.time, rows.columns, rows.target, rows.marks, rows.most_bytes, rows.beside)

    def take(self, which: NDArray[Any]) -> TrainingRows:
        """The rows of an index or a mask; they train as the others do."""
        return TrainingRows.of(super().take(which))

    def with_(self, others: TrainingRows) -> TrainingRows:
        """These and others to train on, in time order."""
        return TrainingRows.of(join([self, learnable(others)]))


def learnable(rows: TrainingRows) -> TrainingRows:
    """The rows, which may be learnt from.

    Raises:
        TypeError: they are not of the training part.
    """
    if not isinstance(rows, TrainingRows):
        raise TypeError("statistics are learnt from training rows alone: a split makes them")
    return rows


def evenly(rows: int, count: int) -> NDArray[np.int64]:
    """Places of at most so many rows, from all over them.

    >>> evenly(10, 4).tolist(), evenly(2, 4).tolist()
    ([0, 3, 6, 9], [0, 1])
    """
    return np.unique(np.linspace(0, rows - 1, min(count, rows)).astype(np.int64))


def share_of(most_bytes: int, columns: int) -> int:
    """Bytes that each of some columns may take in memory."""
    return most_bytes // max(columns, 1)


def join(parts: Sequence[Rows], some: NDArray[np.int64] | None = None) -> Rows:
    """Several parts as one, in time order, or some of its rows; rows of one time keep the order of their parts.

    Served rows have no marks, nor what slices alone speak of: theirs are missing ones.
    """
    order = np.argsort(np.concatenate([part.time for part in parts]), kind="stable")
    return one_after_other(parts, order if some is None else order[some])


def one_after_other(parts: Sequence[Rows], places: NDArray[np.int64]) -> Rows:
    """Rows by their places in several parts one after the other, whatever their times."""
    least = min(part.most_bytes for part in parts)
    names = list(parts[0].columns)
    share = share_of(least, len(names))
    columns = {name: mapped.joined([part.columns[name] for part in parts], places, share) for name in names}
    marks, beside = (
        _after_other(parts, some, places) for some in ([p.marks for p in parts], [p.beside for p in parts])
    )
    time, target = (np.concatenate(some)[places] for some in ([p.time for p in parts], [p.target for p in parts]))
    return Rows(time, columns, target, marks, least, beside)


def _after_other(
    parts: Sequence[Rows], each: Sequence[dict[str, NDArray[Any]]], places: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Columns that some of the parts have, the rows of the others without a value."""
    kinds = {name: column.dtype for some in each for name, column in some.items()}
    return {
        name: np.concatenate(
            [some.get(name, _nothing(len(part), kind)) for part, some in zip(parts, each, strict=True)]
        )[places]
        for name, kind in kinds.items()
    }


def _nothing(rows: int, kind: np.dtype[Any]) -> NDArray[Any]:
    """So many missing values. Shapes: [rows]."""
    missing = {"f": np.nan, "M": np.datetime64("NaT")}
    return np.full(rows, missing.get(kind.kind, MISSING_TEXT), dtype=kind)


def from_table(
    table: Mapping[str, NDArray[Any]],
    data: DataSection,
    time: NDArray[np.float64],
    where: str,
    task: TaskName,
    marks: Sequence[str] = (),
    beside: Sequence[str] = (),
) -> Rows:
    """Rows in time order from fetched columns; the target is a number, or text for classification."""
    most = mapped.most_bytes(data.memory)
    columns = {
        name: _column(name, feature, table, where, (len(time), share_of(most, len(data.features))))
        for name, feature in data.features.items()
    }
    marked, plain = {name: texts(table[name]) for name in marks}, {name: untyped(table[name]) for name in beside}
    if task == "generation":  # nothing is learnt of the target
        return _in_order(Rows(time, columns, np.zeros(len(time)), marked, most, plain))
    if task == "classification":
        return _in_order(Rows(time, columns, texts(table[data.goal]), marked, most, plain))
    targets = [number(table[name], f'data.target, column "{name}" of {where}', task) for name in data.targets]
    target = targets[0] if len(targets) == 1 else np.stack(targets, axis=1)
    return _in_order(Rows(time, columns, target, marked, most, plain))


def _column(
    name: str, feature: Feature, table: Mapping[str, NDArray[Any]], where: str, room: tuple[int, int]
) -> NDArray[Any]:
    """A column in its datatype; a large one is fetched and mapped part by part. ``room``: its rows, bytes in memory."""
    rows, most = room
    bytes_each = math.prod(feature.shape) * _BYTES.get(feature.sent_as, 0) if feature.shape else 0
    if rows * bytes_each <= most or not isinstance(table, Columns):
        return mapped.kept(typed(name, feature, table[name], where), most)
    made, begin = np.empty(0), 0
    for values in table.parts(name, max(1, mapped.PART_BYTES // bytes_each)):
        some = typed(name, feature, values, where, begin)
        made = made if begin else mapped.empty((rows, *some.shape[1:]), some.dtype, most)
        made[begin : begin + len(some)] = some
        begin += len(some)
    return made


def by_name(target: NDArray[Any], names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The columns of a target by name. Shapes: [N] or [N,K] → {name: [N]}."""
    return {name: target if target.ndim == 1 else target[:, place] for place, name in enumerate(names)}


def _in_order(rows: Rows) -> Rows:
    """Rows in time order; without a copy where they are."""
    if (np.diff(rows.time) >= 0).all():
        return rows
    return rows.take(np.argsort(rows.time, kind="stable"))
