"""Rows: raw features as callers send them, with time and truth; in memory, and mapped what is too large for it."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import sys
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from staytrue.errors import InvalidInput
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT
from training.data import mapped
from training.data.collect.columns import Columns
from training.data.dates import whole_seconds
from training.data.padded import padded
from training.data.pictures import stacked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from staytrue.bundle import TaskName
    from staytrue.feature import Feature
    from staytrue.preparation import DataSection

_BYTES = {"UINT8": 1, "FP32": 4}
"""Of a value of what is wider than a number; texts for a tokenizer are objects."""
_OTHERWISE = "say kind: category if it names kinds, or cast it in data.query (try_cast makes the others missing ones)"
"""What to do with a column of numbers that are none."""


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

    def __len__(self) -> int:
        return len(self.time)

    def take(self, which: NDArray[Any]) -> Rows:
        """The rows of an index or a mask."""
        columns = {name: mapped.taken(column, which, self.share) for name, column in self.columns.items()}
        marks = {name: mark[which] for name, mark in self.marks.items()}
        return Rows(self.time[which], columns, self.target[which], marks, self.most_bytes)

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
        return cls(rows.time, rows.columns, rows.target, rows.marks, rows.most_bytes)

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

    Served rows have no marks: theirs are missing ones.
    """
    order = np.argsort(np.concatenate([part.time for part in parts]), kind="stable")
    return one_after_other(parts, order if some is None else order[some])


def one_after_other(parts: Sequence[Rows], places: NDArray[np.int64]) -> Rows:
    """Rows by their places in several parts one after the other, whatever their times."""
    least = min(part.most_bytes for part in parts)
    names = list(parts[0].columns)
    share = share_of(least, len(names))
    columns = {name: mapped.joined([part.columns[name] for part in parts], places, share) for name in names}
    named = dict.fromkeys(name for part in parts for name in part.marks)
    marks = {name: np.concatenate([part.marks.get(name, _nameless(part)) for part in parts])[places] for name in named}
    time, target = (np.concatenate(some)[places] for some in ([p.time for p in parts], [p.target for p in parts]))
    return Rows(time, columns, target, marks, least)


def _nameless(rows: Rows) -> NDArray[Any]:
    return np.full(len(rows), MISSING_TEXT, dtype=object)


def typed(name: str, feature: Feature, values: NDArray[Any], where: str, begin: int = 0) -> NDArray[Any]:
    """A fetched column in the datatype of its feature, or its rows from ``begin`` on.

    Raises:
        InvalidInput: values that are no numbers, no whole ones, or no pictures; names the first.
    """
    missing = np.ma.getmaskarray(values)
    plain = np.ma.getdata(values)
    if feature.kind == "image":
        return stacked(name, feature, values, where, begin)
    if feature.kind in ("date", "text", "sequence"):
        place = f'{where}, column "{name}"'
        return whole_seconds(values, place) if feature.kind == "date" else padded(feature, values, place, begin)
    if feature.sent_as == "BYTES":
        return texts(values)
    if feature.sent_as == "INT64" and plain.dtype.kind in "iu":  # as they are: floats would round the large ones
        return np.where(missing, MISSING_INTEGER, plain.astype(np.int64))
    numbers = floats(plain, missing, f'{where}, column "{name}"', _OTHERWISE)
    if feature.sent_as == "FP32":
        with np.errstate(over="ignore"):  # what is too large is infinite, which cleaning counts
            return numbers.astype(np.float32)
    gone = np.isnan(numbers)
    filled = np.where(gone, 0.0, numbers)
    whole = np.isfinite(filled) & (filled == np.round(filled)) & (np.abs(filled) < 2.0**53)
    if not whole.all():
        first = int(np.argmin(whole))
        place = f'{where}, column "{name}", row {first + 1}'
        hint = "leave out datatype: INT64, or round it in data.query"
        raise InvalidInput(place, expected="whole numbers (INT64)", got=str(filled[first]), hint=hint)
    return np.where(gone, MISSING_INTEGER, filled.astype(np.int64))


def texts(values: NDArray[Any]) -> NDArray[Any]:
    """Values as text; missing ones, NaN and NaT among them, as the empty one."""
    plain = np.ma.getdata(values)
    missing = np.ma.getmaskarray(values) | (np.isnan(plain) if plain.dtype.kind in "fM" else False)
    written = [
        MISSING_TEXT if gone or v is None else v if type(v) is str else text_of(v)
        for v, gone in zip(plain, missing, strict=True)
    ]
    return np.array(written, dtype=object)


def text_of(value: object) -> str:
    """How a category is written: whole numbers without a point.

    >>> text_of(3.0), text_of("clear"), text_of(True)
    ('3', 'clear', 'true')
    """
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def floats(values: NDArray[Any], missing: NDArray[np.bool_], where: str, hint: str = "") -> NDArray[np.float64]:
    """Numbers as float64, missing ones as NaN.

    Raises:
        InvalidInput: a value that is no number; names the first with its row, counted from 1.
    """
    if values.dtype.kind in "fiub":
        return np.where(missing, np.nan, values.astype(np.float64))
    numbers = np.full(len(values), np.nan)
    for index, (value, gone) in enumerate(zip(values, missing, strict=True)):
        if gone or value is None:
            continue
        try:
            numbers[index] = float(value)
        except (TypeError, ValueError) as error:
            place = f"{where}, row {index + 1}"
            raise InvalidInput(place, expected="numbers", got=repr(value)[:80], hint=hint) from error
    return numbers


def from_table(
    table: Mapping[str, NDArray[Any]],
    data: DataSection,
    time: NDArray[np.float64],
    where: str,
    task: TaskName,
    marks: Sequence[str] = (),
) -> Rows:
    """Rows in time order from fetched columns; the target is a number, or text for classification."""
    most = mapped.most_bytes(data.memory)
    columns = {
        name: _column(name, feature, table, where, (len(time), share_of(most, len(data.features))))
        for name, feature in data.features.items()
    }
    marked = {name: texts(table[name]) for name in marks}
    if task == "generation":  # nothing is learnt of the target
        return _in_order(Rows(time, columns, np.zeros(len(time)), marked, most))
    if task == "classification":
        return _in_order(Rows(time, columns, texts(table[data.goal]), marked, most))
    targets = [_number(table[name], f'{where}, target "{name}"', task) for name in data.targets]
    target = targets[0] if len(targets) == 1 else np.stack(targets, axis=1)
    return _in_order(Rows(time, columns, target, marked, most))


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


def _number(values: NDArray[Any], where: str, task: TaskName) -> NDArray[np.float64]:
    hint = "say model.task: classification if it names classes, or cast it in data.query"
    numbers = floats(np.ma.getdata(values), np.ma.getmaskarray(values), where, hint)
    if task == "multilabel":
        odd = numbers[~np.isnan(numbers) & (numbers != 0) & (numbers != 1)]
        if len(odd):
            raise InvalidInput(where, expected="booleans, or 0 and 1, for a label", got=f"{odd[0]:g}")
    return numbers


def _in_order(rows: Rows) -> Rows:
    """Rows in time order; without a copy where they are."""
    if (np.diff(rows.time) >= 0).all():
        return rows
    return rows.take(np.argsort(rows.time, kind="stable"))
