"""What serving says of its work: one Event a request, one Heartbeat a second; and Labels, which come later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from staytrue.errors import CorruptData
from staytrue.records import Record
from staytrue.signature import LITTLE_ENDIAN, NUMPY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from staytrue.signature import TensorSpec

_AS_WRITTEN = {name: kind for name, kind in NUMPY.items() if name != "BYTES" and kind == LITTLE_ENDIAN[name]}
"""Types of numpy whose bytes need no turning round on this machine."""
Role = Literal["champion", "challenger", "shadow", "pinned"]
"""Why a version answered: it holds the alias, took a share of traffic, answered unseen, or the caller named it."""


class Tensor(Record, frozen=True, kw_only=True):
    """A tensor as it stands in an event: numbers as little-endian row-major bytes, strings as a list.

    BF16 stands as the float32 that it is in process.
    """

    name: str
    datatype: str
    shape: list[int]
    data: bytes | list[str]

    @classmethod
    def of(cls, name: str, datatype: str, array: NDArray[Any]) -> Tensor:
        """Take a copy of an array's content."""
        if datatype == "BYTES":
            return cls(name=name, datatype=datatype, shape=list(array.shape), data=[str(v) for v in array.ravel()])
        wanted = LITTLE_ENDIAN[datatype]
        same = array if array.dtype == wanted else array.astype(wanted)
        return cls(name=name, datatype=datatype, shape=list(array.shape), data=same.tobytes())

    def array(self) -> NDArray[Any]:
        """The content as an array.

        Raises:
            CorruptData: datatype, shape and content disagree.
        """
        try:
            if isinstance(self.data, list):
                flat: NDArray[Any] = np.array(self.data, dtype=object)
                return flat.reshape([_size(size) for size in self.shape])
            flat = np.frombuffer(self.data, LITTLE_ENDIAN[self.datatype])
            return flat.reshape([_size(size) for size in self.shape]).astype(NUMPY[self.datatype], copy=False)
        except (KeyError, ValueError) as error:
            raise CorruptData(f'tensor "{self.name}"', f"content does not fit {self.datatype} {self.shape}") from error


def tensors_of(specs: Sequence[TensorSpec], arrays: Mapping[str, NDArray[Any]]) -> list[Tensor]:
    """Take a copy of all that a signature's side names."""
    made = []
    for spec in specs:
        name, datatype = spec.name, spec.datatype
        array = arrays[name]
        if array.dtype is _AS_WRITTEN.get(datatype):  # most are, and the rest of this is what most requests cost
            made.append(Tensor(name=name, datatype=datatype, shape=list(array.shape), data=array.tobytes()))
        else:
            made.append(Tensor.of(name, datatype, array))
    return made


def _size(size: int) -> int:
    """Refuse -1, which numpy would take for "whatever fits"."""
    if size < 0:
        raise ValueError(size)
    return size


class Event(Record, frozen=True, kw_only=True, tag="event", tag_field="kind"):
    """One request and its answer, or its failure. Written to the event log before the answer is sent."""

    schema: int = 1
    id: str
    """Ours, unique; callers find it in the answer and give it back with the label."""
    time: float
    """When it happened, Unix seconds: arrival, or what the request says where the server is told to believe it."""
    recorded: float
    """When it was written, Unix seconds of the server's own clock."""
    request_id: str = ""
    """The caller's own id, echoed."""
    trace_id: str = ""
    model: str
    version: str = ""
    role: Role = "champion"
    protocol: str = "rest"
    status: str = "ok"
    """``ok`` or the ErrorCode of the failure."""
    error: str = ""
    rows: int = 0
    queue_seconds: float = 0.0
    run_seconds: float = 0.0
    inputs: list[Tensor] = msgspec.field(default_factory=list)
    outputs: list[Tensor] = msgspec.field(default_factory=list)


class Heartbeat(Record, frozen=True, kw_only=True, tag="heartbeat", tag_field="kind"):
    """The state of one worker, each second."""

    schema: int = 1
    worker: str
    time: float
    """Unix seconds of the worker's own clock."""
    ready: bool
    in_flight: int = 0
    queue_depth: int = 0
    batch_rows: float = 0.0
    """Mean rows a run since the last heartbeat."""
    answered: int = 0
    """Inference requests answered since the start, failures included."""
    shadows_dropped: int = 0
    """Requests since the start that a shadow did not see, since too many waited for it."""
    callers_refused: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    """Requests since the start that were refused for their key, by protocol and code; they leave no event."""
    cpu_seconds: float = 0.0
    resident_bytes: int = 0
    versions: dict[str, list[str]] = msgspec.field(default_factory=dict)
    """Loaded versions by model."""


class Label(Record, frozen=True, kw_only=True, tag="label", tag_field="kind"):
    """The truth about one event, as it became known. A later ``known`` corrects an earlier one."""

    schema: int = 1
    event_id: str
    row: int = 0
    """Which row of the request, where it had several."""
    truth: float | int | str
    known: float
    """When it became known, Unix seconds of event time."""
    received: float = 0.0
    """When it reached us, Unix seconds."""


Entry = Event | Heartbeat | Label

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """An entry of the event log as MessagePack."""
    return _encoder.encode(entry)


def decode(data: bytes | memoryview) -> Entry:
    """Read an entry of the event log.

    Raises:
        CorruptData: not an entry.
    """
    try:
        entry: Entry = _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise CorruptData("event log", f"holds an entry that cannot be read: {error}") from error
    return entry
