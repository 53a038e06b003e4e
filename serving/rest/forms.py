"""Small bodies of JSON, read and written many at once: numbers go from a body into the batch as bytes.

Reads and writes the same as :mod:`serving.rest.codec`, or nothing: what it does not know is left to that.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson

from serving.calls import ID_LENGTH, Joined
from serving.rest import codec, fast
from serving.rest.compiled import reader_of
from staytrue.alike import Alike
from staytrue.events import Event, Tensor
from staytrue.signature import LITTLE_ENDIAN, MOST_AXES, NUMPY
from staytrue.values import FLOATS
from staytrue.weaving import Woven, texts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from serving.calls import Packed, Request, Stretch
    from staytrue.bundle import Bundle
    from staytrue.signature import TensorSpec
    from staytrue.weaving import Column

MOST_UNFIT = 8
"""Runs whose answers could not be written, beyond those that could: then a model is left to the usual way, which runs
it once."""
_HOLE = b"\0"
"""Stands where nothing is written yet: JSON has no such byte."""
_TEXTS = 6
"""Of an input: four keys, a name, a datatype."""


class Side(NamedTuple):
    """An input or output, a row of which has a fixed size."""

    name: str
    datatype: str
    dtype: Any
    rest: list[int]
    """Its shape behind the first axis."""
    values: int
    """Of a row."""
    width: int
    """Of a row, as it is packed: bytes, or texts."""

    @classmethod
    def of(cls, spec: TensorSpec) -> Side | None:
        """None for what is left to the usual way."""
        dtype, rest = NUMPY[spec.datatype], list(spec.shape[1:])
        native = fast.packs(spec.datatype) and dtype == LITTLE_ENDIAN[spec.datatype]
        if not native or spec.shape[:1] != [-1] or any(size < 1 for size in rest) or len(rest) >= MOST_AXES:
            return None
        values = int(np.prod(rest, dtype=np.int64))
        width = values if dtype.hasobject else values * dtype.itemsize
        return cls(spec.name, spec.datatype, dtype, rest, values, width)

    def tensor(self, rows: int) -> Tensor:
        """So many rows of it as an event tells them: as many numbers as there will be, or no texts."""
        data: Packed = [] if self.dtype.hasobject else bytes(rows * self.width)
        return Tensor(name=self.name, datatype=self.datatype, shape=[rows, *self.rest], data=data)

    def joined(self, packed: Sequence[Any]) -> Packed:
        """What was packed apart, as one."""
        return list(chain.from_iterable(packed)) if self.dtype.hasobject else b"".join(packed)

    def array(self, block: Packed, rows: int) -> NDArray[Any]:
        """So many rows; numbers cannot be written to."""
        shape = (rows, *self.rest)
        if isinstance(block, bytes):
            return np.ndarray(shape, self.dtype, block)
        made: NDArray[Any] = np.array(block, dtype=object).reshape(shape)
        return made


class _Known(NamedTuple):
    """How an input of some type and shape is packed."""

    rows: int
    pack: Callable[..., Packed]
    texts: int
    """That it holds."""


def form_of(bundle: Bundle) -> Form | None:
    """How a model is asked and answered, where it takes and gives rows of a fixed size."""
    signature = bundle.signature
    inputs, outputs = ([Side.of(spec) for spec in specs] for specs in (signature.inputs, signature.outputs))
    there = [[side for side in sides if side is not None] for sides in (inputs, outputs)]
    whole = bool(inputs and outputs) and [len(sides) for sides in there] == [len(inputs), len(outputs)]
    return Form(bundle, *there) if whole else None


class Form:
    """Of one version; see :class:`serving.calls.Form`."""

    def __init__(self, bundle: Bundle, inputs: list[Side], outputs: list[Side]) -> None:
        self._version, self._most = bundle.version, bundle.max_batch
        self._alike: dict[int, Alike] = {}
        self._frames: dict[int, list[bytes]] = {}
        """By rows, both; no more of them than rows there may be."""
        self._inputs, self._outputs = inputs, outputs
        self.widths = [side.width for side in (*inputs, *outputs)]
        self._known: list[dict[tuple[Any, ...], _Known]] = [{} for _ in inputs]
        """How each input was packed before, by its type and shape; no more of them than rows there may be."""
        self._compiled = reader_of(inputs, bundle.max_batch)
        self._texts = 1 + _TEXTS * len(inputs)
        self._start = codec.named(bundle.name, bundle.version)
        self._unfit = 0

    def read(self, bodies: list[bytes], most: int) -> list[Joined]:
        """Those that were read, as many rows together as there may be; others are to be read the usual way."""
        if self._unfit >= MOST_UNFIT:
            return []
        found = self._compiled(bodies, most)
        if sum([len(some.places) for some in found]) == len(bodies):
            return found
        taken = {place for some in found for place in some.places}
        return found + self._gathered([(at, body) for at, body in enumerate(bodies) if at not in taken], most)

    def _gathered(self, bodies: Sequence[tuple[int, bytes]], most: int) -> list[Joined]:
        """Read by themselves, and joined."""
        found: list[Joined] = []
        packed: list[list[Packed]] = []
        for place, body in bodies:
            read = self._read(body)
            if read is None:
                continue
            if not packed or sum(found[-1].rows) + read[0] > most:
                self._join(found, packed)
                found.append(Joined([], [], []))
                packed = []
            found[-1].places.append(place)
            found[-1].rows.append(read[0])
            packed.append(read[1])
        self._join(found, packed)
        return found

    def _join(self, found: list[Joined], packed: list[list[Packed]]) -> None:
        """Give the last batch what was packed of its requests."""
        if packed:
            columns = zip(*packed, strict=True)
            found[-1].blocks.extend(side.joined(column) for side, column in zip(self._inputs, columns, strict=True))

    def _read(self, body: bytes) -> tuple[int, list[Packed]] | None:
        try:
            items = fast.plain(body)
            if items is None or len(items) != len(self._inputs):
                return None
            rows, texts = 0, self._texts
            packed: list[Packed] = []
            for at, item in enumerate(items):
                known = self._known[at].get((item.name, type(item), *item.shape)) or self._learn(at, item)
                if known is None or (rows and rows != known.rows):
                    return None
                rows = known.rows
                texts += known.texts
                packed.append(known.pack(*item.data))
        except fast.REFUSALS:
            return None
        # More quotation marks than were read: a key is given twice, or one is escaped.
        return (rows, packed) if body.count(b'"') == 2 * texts else None

    def _learn(self, at: int, item: Any) -> _Known | None:
        side, shape = self._inputs[at], item.shape
        if item.name != side.name or shape[1:] != side.rest or not 0 < shape[0] <= self._most:
            return None
        pack = fast.packer_of(item, side.datatype, shape[0] * side.values)
        if pack is None:
            return None
        known = _Known(shape[0], pack, shape[0] * side.values if side.dtype.hasobject else 0)
        self._known[at][item.name, type(item), *shape] = known
        return known

    def arrays(self, blocks: Sequence[Packed], rows: int) -> Mapping[str, NDArray[Any]]:
        """Inputs of several requests as those of one."""
        return {side.name: side.array(block, rows) for side, block in zip(self._inputs, blocks, strict=True)}

    def alike(self, request: Request, rows: int) -> Alike:
        """Writes their events; of each number of rows there may be it is made once."""
        if rows not in self._alike:
            inputs, outputs = ([side.tensor(rows) for side in sides] for sides in (self._inputs, self._outputs))
            self._alike[rows] = Alike(
                Event(
                    id="0" * ID_LENGTH,
                    time=0.0,
                    recorded=0.0,
                    model=request.model,
                    version=self._version,
                    protocol=request.protocol,
                    rows=rows,
                    inputs=inputs,
                    outputs=outputs,
                )
            )
        return self._alike[rows]

    def answers(self, outputs: Mapping[str, NDArray[Any]], rows: int) -> Answers | None:
        """What came of a run; None where it is not as the signature says, or holds what JSON has no numbers for."""
        told = []
        for side in self._outputs:
            array = outputs[side.name]
            fits = array.dtype == side.dtype and array.shape == (rows, *side.rest)
            one = Told.of(side, array) if fits else None
            if one is None:
                self._unfit += 1
                return None
            told.append(one)
        if self._unfit:
            self._unfit -= 1
        return Answers(told, self._frame)

    def _frame(self, rows: int) -> list[bytes]:
        """What stands around an answer's own: the id of its event, and each output's values."""
        parts = self._frames.get(rows)
        if parts is None:
            outputs = [
                codec.output(codec.opening(side.name, side.datatype, (rows, *side.rest)), b"[%b]" % _HOLE)
                for side in self._outputs
            ]
            whole = codec.whole(self._start, _HOLE.decode(), outputs)
            parts = self._frames[rows] = whole.split(_HOLE)
        return parts


class Told(NamedTuple):
    """An output of several requests."""

    packed: Packed
    """All rows, one behind the other."""
    column: list[bytes] | tuple[bytes]
    """Each row's values as JSON writes them; see :data:`staytrue.weaving.Column`."""

    @classmethod
    def of(cls, side: Side, array: NDArray[Any]) -> Told | None:
        """What a run gave; None where JSON has no numbers for it."""
        rows = array.reshape(len(array), side.values).tolist()
        if side.dtype.hasobject:
            return cls(array.ravel().tolist(), [orjson.dumps(row)[1:-1] for row in rows])
        text = orjson.dumps(rows)
        # What is no number of JSON is written so.
        return None if side.datatype in FLOATS and b"null" in text else cls(array.tobytes(), (text,))


class Answers:
    """Outputs of several requests; see :class:`serving.calls.Answers`.

    Args:
        told: the outputs, all rows of them.
        frame: of an answer of so many rows: what stands around its event's id and each output's data.
    """

    def __init__(self, told: list[Told], frame: Callable[[int], list[bytes]]) -> None:
        self._told, self._frame = told, frame
        self.blocks = [one.packed for one in told]

    def write(self, names: bytes, stretches: Sequence[Stretch]) -> list[Woven]:
        """The answers."""
        if len(stretches) == 1 and stretches[0].rows == 1:  # as most often
            columns: list[Column] = [names, *[one.column for one in self._told]]
            return [Woven(stretches[0].end, self._frame(1), columns)]
        written: list[Woven] = []
        rows = sum([count * (end - at) for at, end, count in stretches])
        texts, row = [texts_of(one.column, rows) for one in self._told], 0
        for at, end, count in stretches:
            behind = row + count * (end - at)
            columns = [names[at * ID_LENGTH : end * ID_LENGTH]]
            for some in texts:
                columns.append([b",".join(some[n : n + count]) for n in range(row, behind, count)])
            written.append(Woven(end - at, self._frame(count), columns))
            row = behind
        return written
