"""What clients ask and what must come back, in a file between their runner and interpreters that have numpy alone."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS: dict[str, str] = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}
"""Datatype → numpy's name. All but BF16, which these clients do not know."""


@dataclass(frozen=True)
class Question:
    """A request of a model and its right answer, tensors by name: datatype and array."""

    model: str
    inputs: dict[str, tuple[str, NDArray[Any]]]
    outputs: dict[str, tuple[str, NDArray[Any]]]

    def check(self, found: dict[str, Any]) -> None:
        """Outputs, by name, are the right ones; to the bit where the model computes nothing."""
        assert list(found) == list(self.outputs), list(found)
        for name, (datatype, right) in self.outputs.items():
            told = np.asarray(found[name])
            assert told.shape == right.shape, (name, told.shape, right.shape)
            if datatype == "BYTES":
                assert texts(told) == texts(right), name
            else:
                assert told.dtype == right.dtype, (name, told.dtype)
                exact = told.tobytes() == right.tobytes()
                assert exact or (self.model != "echo" and np.allclose(told, right, rtol=1e-6)), (name, told, right)


@dataclass(frozen=True)
class Told:
    """What a client is started with."""

    rest: str
    grpc: str
    questions: dict[str, Question]


def texts(array: NDArray[Any]) -> list[str]:
    """Elements as texts, whether they are those or bytes."""
    return [item.decode() if isinstance(item, bytes) else str(item) for item in array.ravel().tolist()]


def write(path: Path, questions: dict[str, Question]) -> None:
    """Write them."""
    told = {
        key: {
            "model": question.model,
            **{
                side: [[name, kind, array.shape, array.ravel().tolist()] for name, (kind, array) in tensors.items()]
                for side, tensors in (("inputs", question.inputs), ("outputs", question.outputs))
            },
        }
        for key, question in questions.items()
    }
    path.write_text(json.dumps(told), encoding="utf-8")


def read(path: Path) -> dict[str, Question]:
    """Read them."""

    def tensors(items: list[Any]) -> dict[str, tuple[str, NDArray[Any]]]:
        return {name: (kind, np.array(data, KINDS[kind]).reshape(shape)) for name, kind, shape, data in items}

    return {
        key: Question(item["model"], tensors(item["inputs"]), tensors(item["outputs"]))
        for key, item in json.loads(path.read_text(encoding="utf-8")).items()
    }


def told() -> Told:
    """What the command line says: REST's address, gRPC's, the file."""
    return Told(sys.argv[1], sys.argv[2], read(Path(sys.argv[3])))
