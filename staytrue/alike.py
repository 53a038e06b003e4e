"""Events that differ in little, written without being built: what they share is encoded once.

Most of what the event of a small request costs is the making of its record. The bytes are those of
:func:`staytrue.events.encode`, put together from fields that were encoded one by one.

Source: MessagePack specification, "map format family": a map is its header, then key and value in turn; "str" and "bin
format family": a value is a header that depends on its length alone, then its bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import msgspec

from staytrue.filling import Template, When, double
from staytrue.segments import kept
from staytrue.weaving import Woven

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from staytrue.events import Event
    from staytrue.filling import Filling, Piece
    from staytrue.records import Record
    from staytrue.weaving import Column

_encode = msgspec.msgpack.Encoder().encode
_SHARED = ("model", "version", "role", "protocol", "status", "error", "rows")
"""Fields that stand together, between those of the caller and those of the run."""
_NOBODY = [("", "")]
"""Callers, none of whom gave ids."""
_MARKS = struct.unpack(">4d", b"".join([b"\xff" * 7 + bytes([last]) for last in range(1, 5)]))
"""Numbers that look like no text, nor like anything else in an event."""
_TIME, _RECORDED, _QUEUE, _RUN = map(_encode, ("time", "recorded", "queue_seconds", "run_seconds"))


class Alike:
    """Events of one version that have as many rows, tensors of the same types and shapes, and the same end.

    Args:
        like: one of them. Times do not matter, nor what ids and tensors hold, but how long they are does: tensors of
            numbers and ids are all as long as here. Texts, of which this one need not have any, may be of any length.
    """

    def __init__(self, like: Event) -> None:
        fields = _fields(like)
        self._start = fields[""] + fields["schema"] + _encode("id") + _opening(like.id)
        self._shared = b"".join([fields[name] for name in _SHARED])
        self._behind = [*_around(like)]
        self._id_width = len(like.id)
        self._widths = [_width(tensor.data) for tensor in (*like.inputs, *like.outputs)]
        self._templates: dict[int, Template] = {}
        """Of so many events, whose callers gave no ids."""

    def piece(
        self,
        when: When,
        callers: Sequence[tuple[str, str]],
        names: bytes,
        data: Sequence[bytes | list[list[str]]],
    ) -> Piece:
        """Some of them as the log takes them; what they are given is that of :meth:`woven`."""
        filling = self.filling(when, names, data) if callers == _NOBODY else None
        return kept(self.woven(when, callers, names, data)) if filling is None else filling

    def filling(self, when: When, names: bytes, data: Sequence[bytes | list[Any]]) -> Filling | None:
        """Some of them, whose callers gave no ids; None where a tensor holds texts, or nothing."""
        count = len(names) // self._id_width
        template = self._templates.get(count) or self._template(count)
        return None if template is None else (template, when, [names, *data])  # type: ignore[list-item]  # no texts

    def _template(self, count: int) -> Template | None:
        """Of so many events."""
        if not (count and all(self._widths)):
            return None
        columns = [bytes(count * (width or 0)) for width in (self._id_width, *self._widths)]
        whole = kept(self.woven(When(*_MARKS), _NOBODY, columns[0], columns[1:]))
        ends = [_encode(column) for column in columns]
        before = whole[: len(whole) - sum(map(len, ends))]
        parts = [before]
        for mark in _MARKS:
            parts += parts.pop().split(double(mark), 1)
        openings = [end[: len(end) - len(column)] for end, column in zip(ends, columns, strict=True)]
        parts[-1] += openings[0]
        made = self._templates[count] = Template([*parts, *openings[1:]], [*map(len, columns)])
        return made

    def woven(
        self,
        when: When,
        callers: Sequence[tuple[str, str]],
        names: bytes,
        data: Sequence[bytes | list[list[str]]],
    ) -> Woven:
        """Some of them, as :meth:`staytrue.eventlog.Writer.append_woven` takes them.

        Args:
            when: all of them were.
            callers: what callers gave as the request's id, and as that of the trace: one for all, or one for each.
            names: their ids, one behind the other.
            data: for each tensor, inputs first, what it holds in all of them: numbers one behind the other, as
                :class:`staytrue.events.Tensor` says, or a list of texts for each.

        Raises:
            ValueError: there are more tensors than that, or fewer; or an id or numbers are of another length.
        """
        rows, rest = divmod(len(names), self._id_width)
        if rest or not rows:
            raise ValueError("ids are not as long as that of the event that these are like")
        times = b"".join((_TIME, _encode(when.time), _RECORDED, _encode(when.recorded)))
        run = (self._shared, _QUEUE, _encode(when.queue_seconds), _RUN, _encode(when.run_seconds), self._behind[0])
        around = [self._start]
        columns: list[Column] = [names]
        if len(callers) == 1:
            around.append(b"".join((times, _caller(*callers[0]), *run)))
        else:
            around += (times, b"".join(run))
            columns.append([_caller(*caller) for caller in callers])
        around += self._behind[1:]
        for width, column in zip(self._widths, data, strict=True):
            # Numbers of another length would not be read again, nor what stands behind them.
            if isinstance(column, bytes) != (width is not None) or len(column) != rows * (
                width if width is not None else 1
            ):
                raise ValueError("numbers or texts are not as many as in the event that these are like")
            columns.append((column or [b""] * rows) if isinstance(column, bytes) else [*map(_encode, column)])
        return Woven(rows, around, columns)


def fields_of(name: str, value: object) -> bytes:
    """A field, encoded: its key, then its value."""
    return _encode(name) + _encode(value)


def _caller(request_id: str, trace_id: str) -> bytes:
    return fields_of("request_id", request_id) + fields_of("trace_id", trace_id)


def _width(held: bytes | list[str]) -> int | None:
    """Of what is written as it is; None for what is to be encoded."""
    return len(held) if isinstance(held, bytes) else None


def _opening(held: bytes | str | list[str]) -> bytes:
    """What stands before the bytes of all that are as long; nothing where each is to be encoded."""
    whole = _encode(held)
    return b"" if isinstance(held, list) else whole[: len(whole) - len(held)]


def _fields(record: Record) -> dict[str, bytes]:
    """A record's fields by name, encoded; under the empty name what stands before them: header and tag."""
    fields = {name: fields_of(name, getattr(record, name)) for name in record.__struct_fields__}
    whole = _encode(record)
    return {"": whole[: len(whole) - sum(map(len, fields.values()))], **fields}


def _around(event: Event) -> Iterator[bytes]:
    """What stands before what each tensor holds, which is the last that is encoded of it; and behind all of them."""
    text = b""
    for side, tensors in (("inputs", event.inputs), ("outputs", event.outputs)):
        each = [_encode(tensor) for tensor in tensors]
        whole = fields_of(side, tensors)
        text += whole[: len(whole) - sum(map(len, each))]
        for tensor, told in zip(tensors, each, strict=True):
            yield text + told[: len(told) - len(_encode(tensor.data))] + _opening(tensor.data)
            text = b""
    yield text
