"""Runs over memory that stays: a session's tensors bound to buffers, a set for each shape and each run at a time."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnxruntime as ort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Shapes = tuple[tuple[int, ...], ...]

_NVIDIA = 0x10DE
"""The vendor's number on the PCI bus, by which ONNX Runtime tells devices of one type apart."""
_KINDS = {
    "tensor(bool)": np.bool_,
    "tensor(double)": np.float64,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    **{f"tensor({kind}{bits})": np.dtype(f"{kind}{bits}").type for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
}
"""What numpy and ONNX Runtime hold alike, by ONNX Runtime's names: no texts, no bfloat16."""


_CLOSE = 0.01
"""What is wrong with memory is wrong by far more."""
_NONE: list[Any] = []
"""Stays empty."""


@dataclass(frozen=True)
class Place:
    """Where the buffers lie, and how many there may be."""

    largest_bytes: int
    """A set that needs more is not made: such a run goes the plain way."""
    most_bytes: int
    """What all sets may hold together: with one more all others are let go, and made anew when they are needed."""
    most_sets: int = 128
    """Twice the sizes of batches that serving.max_batch_rows allows as it comes."""
    memory: Any = None
    """An allocator of ONNX Runtime's, by its description; nothing: ordinary memory."""
    apart: bool = False
    """Whether the device reaches these buffers only by copying: inputs are sent to it anew for each run."""


PROCESSOR = Place(largest_bytes=16 * 1024, most_bytes=1024**2)
"""Only small tensors: with them what ONNX Runtime's Python makes anew for each run costs more than copying does."""


@cache  # an allocator is registered once in a process: a second one would push out the first
def gpu(device_id: int) -> Place:
    """Page-locked memory, from which a GPU of NVIDIA's copies by itself.

    Raises:
        RuntimeError: ONNX Runtime does not give any.
    """
    memory = ort.OrtMemoryInfo.create_v2(
        "CudaPinned",
        ort.OrtMemoryInfoDeviceType.GPU,
        _NVIDIA,
        device_id,
        ort.OrtDeviceMemoryType.HOST_ACCESSIBLE,
        0,
        ort.OrtAllocatorType.ORT_DEVICE_ALLOCATOR,
    )
    ort.create_and_register_allocator_v2("CUDAExecutionProvider", memory, {}, ort.OrtArenaCfg({"max_mem": 0}))
    return Place(largest_bytes=32 * 1024**2, most_bytes=128 * 1024**2, memory=memory, apart=True)


def bindings(session: Any, outputs: list[str], provider: str, device_id: int) -> Bindings | None:
    """Buffers for a session, or nothing where none are of use: OpenVINO's own, and tensors that cannot be bound.

    Raises:
        RuntimeError: no page-locked memory is to be had beside a GPU.
    """
    declared = sides(session)
    if declared is None or provider == "openvino":
        return None
    answered = sorted(declared[1], key=lambda side: outputs.index(side.name))
    return Bindings(session, declared[0], answered, PROCESSOR if provider == "cpu" else gpu(device_id))


class Side(NamedTuple):
    """An input or output as the graph declares it."""

    name: str
    kind: Any
    """Of numpy."""
    shape: Sequence[int | str | None]


def sides(session: Any) -> tuple[list[Side], list[Side]] | None:
    """Inputs and outputs; nothing where one cannot be bound.

    By its type, an output of a size known only later, or one that is an input too: nothing writes to its buffer.
    """
    nodes = (session.get_inputs(), session.get_outputs())
    if any(node.type not in _KINDS for side in nodes for node in side):
        return None
    inputs, outputs = ([Side(node.name, _KINDS[node.type], node.shape) for node in side] for side in nodes)
    if {side.name for side in inputs} & {side.name for side in outputs}:
        return None
    named = {size for side in inputs for size in side.shape if isinstance(size, str)}
    if any(not isinstance(size, int) and size not in named for side in outputs for size in side.shape):
        return None
    return inputs, outputs


class Bindings:
    """The sets of buffers of one session; ``run`` may be called from several threads at once."""

    def __init__(self, session: Any, inputs: list[Side], outputs: list[Side], place: Place) -> None:
        self._session, self._inputs, self._outputs, self._place = session, inputs, outputs, place
        self._names = [side.name for side in inputs]
        self._lock = threading.Lock()
        self._idle: dict[Shapes, list[_Buffers]] = {}
        self._without: set[Shapes] = set()
        """Shapes that have no buffers: for each run of theirs finding that out anew took as long as small models do."""
        self.sets = self.bytes = 0
        self.proven = not place.apart
        """Whether answers are taken as they come: beside a device only once one was compared with the plain way's."""

    def run(self, inputs: Mapping[str, NDArray[Any]], how: Any = None) -> dict[str, NDArray[Any]] | None:
        """Run the session; nothing where this shape has no buffers. What the session raises passes through.

        Args:
            inputs: by name.
            how: ONNX Runtime's options of the run, by which it can be broken off.
        """
        shapes = tuple([inputs[name].shape for name in self._names])
        if shapes in self._without:
            return None
        idle = self._idle.get(shapes, _NONE)
        try:
            buffers = idle.pop()
        except IndexError:  # none yet, or all of them are in use
            made = self._made(shapes)
            if made is None:
                self._leave_out(shapes)
                return None
            buffers, idle = made, self._room(shapes, made)
        answer: dict[str, NDArray[Any]] = buffers.run(self._session, inputs, how)
        idle.append(buffers)  # not after an error: who knows what is still being written to them
        return answer

    def differs(self, answer: Mapping[str, NDArray[Any]], plain: Mapping[str, NDArray[Any]]) -> str:
        """What is wrong with an answer beside the plain way's; nothing where it is as near as devices repeat one."""
        for name, array in plain.items():
            if not np.allclose(answer[name], array, rtol=_CLOSE, atol=_CLOSE, equal_nan=True):
                return f"output {name} is another than without them"
        self.proven = True
        return ""

    def _leave_out(self, shapes: Shapes) -> None:
        with self._lock:
            if len(self._without) >= self._place.most_sets:
                self._without = set()
            self._without.add(shapes)

    def _room(self, shapes: Shapes, buffers: _Buffers) -> list[_Buffers]:
        """Count one more set, and where it comes back to. Beyond what is allowed all others are let go."""
        with self._lock:
            self.sets += 1
            self.bytes += buffers.size
            if self.sets > self._place.most_sets or self.bytes > self._place.most_bytes:
                self._idle = {}
                self.sets, self.bytes = 1, buffers.size
            return self._idle.setdefault(shapes, [])

    def _made(self, shapes: Shapes) -> _Buffers | None:
        sizes: dict[int | str | None, int] = {}
        for side, shape in zip(self._inputs, shapes, strict=True):
            if len(side.shape) != len(shape):
                return None
            for declared, size in zip(side.shape, shape, strict=True):
                fits = declared == size if isinstance(declared, int) else sizes.setdefault(declared, size) == size
                if declared is not None and not fits:
                    return None  # the session itself says what is wrong
        outputs = [tuple(sizes.get(size, size) for size in side.shape) for side in self._outputs]
        return _Buffers.of(self._session, self._place, (self._inputs, self._outputs), (shapes, outputs))


class _Buffers:
    """The memory of one run: numpy's views of tensors of ONNX Runtime's."""

    def __init__(self, binding: Any, inputs: list[Any], outputs: list[Any], size: int, *, apart: bool) -> None:
        self._binding, self._inputs, self._outputs, self.size, self._apart = binding, inputs, outputs, size, apart

    @classmethod
    def of(cls, session: Any, place: Place, declared: Any, shapes: Any) -> _Buffers | None:
        """Allocate, and bind; nothing where it is too much, or where there is nothing to hold."""
        all_sides, all_shapes = [*declared[0], *declared[1]], [*shapes[0], *shapes[1]]
        sizes = [
            math.prod(shape) * np.dtype(side.kind).itemsize for side, shape in zip(all_sides, all_shapes, strict=True)
        ]
        if not all(sizes) or sum(sizes) > place.largest_bytes:
            return None
        tensors = [
            ort.OrtValue.ortvalue_from_shape_and_type(shape, side.kind, memory_info=place.memory)
            for side, shape in zip(all_sides, all_shapes, strict=True)
        ]
        kept = [(side.name, tensor.numpy(), tensor) for side, tensor in zip(all_sides, tensors, strict=True)]
        inputs, outputs = kept[: len(declared[0])], kept[len(declared[0]) :]
        if any(view.ctypes.data != tensor.data_ptr() for _, view, tensor in kept):
            raise RuntimeError("numpy got a copy of the memory, not a view of it")
        binding = session.io_binding()
        for name, _, tensor in inputs:
            binding.bind_ortvalue_input(name, tensor)
        for name, _, tensor in outputs:
            binding.bind_ortvalue_output(name, tensor)
        return cls(binding, inputs, outputs, sum(sizes), apart=place.apart)

    def run(self, session: Any, inputs: Mapping[str, NDArray[Any]], how: Any) -> dict[str, NDArray[Any]]:
        """Fill, run, and copy what came out."""
        for name, view, tensor in self._inputs:
            np.copyto(view, inputs[name], casting="no")
            if self._apart:
                self._binding.bind_ortvalue_input(name, tensor)  # which is what copies it to the device
        if self._apart:
            self._binding.synchronize_inputs()
        session.run_with_iobinding(self._binding, how)
        if self._apart:
            self._binding.synchronize_outputs()
        return {name: view.copy() for name, view, _ in self._outputs}
