"""Events that differ in little, written without being built: what they share is encoded once.

Most of what the event of a small request costs is the making of its record. The bytes are those of
:func:`staytrue.events.encode`, put together from fields that were encoded one by one.

Source: MessagePack specification, "map format family": a map is its header, then key and value in turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from staytrue.events import Event
    from staytrue.records import Record
    from staytrue.weaving import Woven

_encode = msgspec.msgpack.Encoder().encode
_SHARED = ("model", "version", "role", "protocol", "status", "error", "rows")
"""Fields that stand together, between those of the caller and those of the run."""
_TIME, _RECORDED, _QUEUE, _RUN = map(_encode, ("time", "recorded", "queue_seconds", "run_seconds"))


class Alike:
    """Events of one version that have as many rows, tensors of the same types and shapes, and the same end.

    Args:
        like: one of them; times, ids and what its tensors hold do not matter.
    """

    def __init__(self, like: Event) -> None:
        fields = _fields(like)
        self._start = fields[""] + fields["schema"] + _encode("id")
        self._shared = b"".join([fields[name] for name in _SHARED])
        self._around = _around(like)

    def at(self, time: float, recorded: float, queue_seconds: float, run_seconds: float) -> Moment:
        """Those of one run.

        Units:
            time, recorded: Unix seconds.
        """
        when = b"".join((_TIME, _encode(time), _RECORDED, _encode(recorded)))
        run = (self._shared, _QUEUE, _encode(queue_seconds), _RUN, _encode(run_seconds), self._around[0])
        return Moment([self._start, when, b"".join(run), *self._around[1:]])


class Moment:
    """Events that are alike, and of one run."""

    __slots__ = ("_around",)

    def __init__(self, around: list[bytes]) -> None:
        self._around = around

    def woven(
        self, names: Sequence[str], callers: Sequence[tuple[str, str]], data: Iterable[Sequence[bytes | list[str]]]
    ) -> Woven:
        """Some of them, as :func:`staytrue.weaving.weave` takes them.

        Args:
            names: their ids.
            callers: what callers gave as the request's id, and as that of the trace: one for all, or one for each.
            data: for each tensor, inputs first, what it holds in each of them, as :class:`staytrue.events.Tensor` says.

        Raises:
            ValueError: there are more tensors than that, or fewer.
        """
        start, when, run, *behind = self._around
        around, columns = [start], [[_encode(name) for name in names]]
        if len(callers) == 1:
            around.append(b"".join((when, _caller(*callers[0]), run)))
        else:
            around += (when, run)
            columns.append([_caller(*caller) for caller in callers])
        for held, after in zip(data, behind, strict=True):
            opening, column = _column(held)
            around[-1] += opening
            around.append(after)
            columns.append(column)
        return around, tuple(columns)


def _column(held: Sequence[bytes | list[str]]) -> tuple[bytes, list[bytes]]:
    """What all of a column begin with where they are encoded, and the rest of each: numbers as they are, if all fit."""
    first = held[0]
    if isinstance(first, bytes) and first:
        numbers = [one for one in held if isinstance(one, bytes) and len(one) == len(first)]
        if len(numbers) == len(held):
            return _encode(first)[: -len(first)], numbers
    return b"", [_encode(one) for one in held]


def fields_of(name: str, value: object) -> bytes:
    """A field, encoded: its key, then its value."""
    return _encode(name) + _encode(value)


def _caller(request_id: str, trace_id: str) -> bytes:
    return fields_of("request_id", request_id) + fields_of("trace_id", trace_id)


_UNNAMED = ("", "")
_NOBODY = _caller(*_UNNAMED)


def _fields(record: Record) -> dict[str, bytes]:
    """A record's fields by name, encoded; under the empty name what stands before them: header and tag."""
    fields = {name: fields_of(name, getattr(record, name)) for name in record.__struct_fields__}
    whole = _encode(record)
    return {"": whole[: len(whole) - sum(map(len, fields.values()))], **fields}


def _around(event: Event) -> list[bytes]:
    """What stands before each tensor's data, which is the last that is encoded of it; and what stands behind them."""
    around, text = [], b""
    for side, tensors in (("inputs", event.inputs), ("outputs", event.outputs)):
        each = [_encode(tensor) for tensor in tensors]
        whole = fields_of(side, tensors)
        text += whole[: len(whole) - sum(map(len, each))]
        for tensor, told in zip(tensors, each, strict=True):
            around.append(text + told[: len(told) - len(_encode(tensor.data))])
            text = b""
    return [*around, text]
