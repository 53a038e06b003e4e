"""What a client sends, as bytes made before the clock runs, and whether what comes back is right."""

from __future__ import annotations

import itertools
import json
import secrets
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.proto.open_inference_grpc_pb2 import ModelInferRequest, ModelInferResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float32]
    Question = tuple[bytes, Callable[[bytes], None]]
    """What is sent, and what looks at the body of its answer."""

RELATIVE, ABSOLUTE = 1e-4, 1e-5
"""A row in a batch may differ from the row alone in its last digits; answers of two rows differ by far more."""


class WrongAnswer(Exception):
    """An answer that is no answer: its status, its length or its numbers are wrong."""


def rest(path: str, row: Array, form: str, key: str = "") -> bytes:
    """A request of one row over HTTP/1.1, its tensor as JSON or by the binary extension."""
    tensor: dict[str, Any] = {"name": "x", "datatype": "FP32", "shape": [1, *row.shape]}
    if form == "json":
        body = json.dumps({"inputs": [tensor | {"data": row.ravel().tolist()}]}).encode()
        kind = "Content-Type: application/json"
    else:
        wanted = [{"name": "y", "parameters": {"binary_data": True}}]
        tensors = [tensor | {"parameters": {"binary_data_size": row.nbytes}}]
        told = {"inputs": tensors, "outputs": wanted, "parameters": {"binary_data_output": True}}
        head = json.dumps(told).encode()
        body = head + row.tobytes()
        kind = f"Content-Type: application/octet-stream\r\nInference-Header-Content-Length: {len(head)}"
    if key:
        kind = f"Authorization: Bearer {key}\r\n{kind}"
    return f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def with_ids(questions: Sequence[Question], count: int) -> Iterator[Question]:
    """So many of these requests over HTTP/1.1, in turn, each with ids that no other has, in any process.

    Source: W3C Trace Context, section 3.2 (traceparent).
    """
    parts = [(*asked.partition(b"\r\n\r\n")[::2], check) for asked, check in questions]
    for head, body, check in itertools.islice(itertools.cycle(parts), count):
        name, trace, span = secrets.token_hex(16), secrets.token_hex(16), secrets.token_hex(8)
        ids = f"X-Request-Id: {name}\r\ntraceparent: 00-{trace}-{span}-01"
        yield b"%b\r\n%b\r\n\r\n%b" % (head, ids.encode(), body), check


def rpc(row: Array) -> bytes:
    """A ModelInferRequest of one row with raw contents."""
    request = ModelInferRequest(model_name="bench", raw_input_contents=[row.tobytes()])
    request.inputs.add(name="x", datatype="FP32", shape=[1, *row.shape])
    return request.SerializeToString()


class Right:
    """Knows the right answer of one row. Bytes that were found right once are right again, which is quick to see.

    Args:
        form: json, binary or grpc.
    """

    def __init__(self, row: Array, form: str) -> None:
        self._row, self._form, self._known = row, form, set[bytes]()

    def check(self, body: bytes) -> None:
        """Look at an answer's body.

        Raises:
            WrongAnswer: it does not hold the right numbers.
        """
        if self._form == "json":
            start = body.find(b'"data":')
            part = body[start : body.find(b"]", start)]
        else:  # raw contents come last, in the binary extension and in the message of gRPC
            part = body[-self._row.nbytes :]
        if part not in self._known:
            self._look(body, part)

    def _look(self, body: bytes, part: bytes) -> None:
        try:
            values = self._values(body)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise WrongAnswer(f"cannot be read ({error}): {body[:300]!r}") from error
        if values.shape != self._row.shape or not np.allclose(values, self._row, rtol=RELATIVE, atol=ABSOLUTE):
            raise WrongAnswer(f"expected {self._row.tolist()}, got {values.tolist()}")
        self._known.add(part)

    def _values(self, body: bytes) -> Array:
        if self._form == "json":
            return np.ravel(np.array(json.loads(body)["outputs"][0]["data"], np.float32))
        if self._form == "grpc":
            return np.frombuffer(ModelInferResponse.FromString(body).raw_output_contents[0], np.float32)
        return np.frombuffer(body[-self._row.nbytes :], np.float32)
