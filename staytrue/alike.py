"""Events that differ in little, written without being built: what they share is encoded once.

Most of what the event of a small request costs is the making of its record. The bytes are those of
:func:`staytrue.events.encode`, put together from fields that were encoded one by one.

Source: MessagePack specification, "map format family": a map is its header, then key and value in turn; "str" and "bin
format family": a value is a header that depends on its length alone, then its bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from staytrue.events import Event
    from staytrue.records import Record
    from staytrue.weaving import Woven

_encode = msgspec.msgpack.Encoder().encode
_SHARED = ("model", "version", "role", "protocol", "status", "error", "rows")
"""Fields that stand together, between those of the caller and those of the run."""
_TIME, _RECORDED, _QUEUE, _RUN = map(_encode, ("time", "recorded", "queue_seconds", "run_seconds"))


class When(NamedTuple):
    """Times of events that are alike, and of one run."""

    time: float
    """It arrived, Unix seconds."""
    recorded: float
    """It is written, Unix seconds."""
    queue_seconds: float
    run_seconds: float


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
        self._widths = [len(like.id), *[_width(tensor.data) for tensor in (*like.inputs, *like.outputs)]]

    def woven(
        self,
        when: When,
        callers: Sequence[tuple[str, str]],
        names: list[bytes],
        data: Sequence[Sequence[bytes | list[str]]],
    ) -> Woven:
        """Some of them, as :func:`staytrue.weaving.weave` takes them.

        Args:
            when: all of them were.
            callers: what callers gave as the request's id, and as that of the trace: one for all, or one for each.
            names: their ids.
            data: for each tensor, inputs first, what it holds in each of them, as :class:`staytrue.events.Tensor` says.

        Raises:
            ValueError: there are more tensors than that, or fewer; or an id or numbers are of another length.
        """
        times = b"".join((_TIME, _encode(when.time), _RECORDED, _encode(when.recorded)))
        run = (self._shared, _QUEUE, _encode(when.queue_seconds), _RUN, _encode(when.run_seconds), self._behind[0])
        around, columns = [self._start], [names]
        if len(callers) == 1:
            around.append(b"".join((times, _caller(*callers[0]), *run)))
        else:
            around += (times, b"".join(run))
            columns.append([_caller(*caller) for caller in callers])
        around += self._behind[1:]
        for width, column in zip(self._widths[1:], data, strict=True):
            columns.append(_numbers(column, width) if width else [*map(_encode, column)])
        if {*map(len, names)} != {self._widths[0]}:
            raise ValueError("ids are not as long as that of the event that these are like")
        return around, tuple(columns)


def fields_of(name: str, value: object) -> bytes:
    """A field, encoded: its key, then its value."""
    return _encode(name) + _encode(value)


def _caller(request_id: str, trace_id: str) -> bytes:
    return fields_of("request_id", request_id) + fields_of("trace_id", trace_id)


def _width(held: bytes | list[str]) -> int:
    """Of what is written as it is; 0 for what is to be encoded."""
    return len(held) if isinstance(held, bytes) else 0


def _numbers(column: Sequence[bytes | list[str]], width: int) -> list[bytes]:
    """What is written as it is. Of another length it would not be read again, nor what stands behind it."""
    if {*map(len, column)} != {width} or not isinstance(column[0], bytes):
        raise ValueError("numbers are not as many as in the event that these are like")
    return cast("list[bytes]", column)


def _opening(held: bytes | str | list[str]) -> bytes:
    """What stands before the bytes of all that are as long; nothing where each is to be encoded."""
    return _encode(held)[: -len(held)] if held and not isinstance(held, list) else b""


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
