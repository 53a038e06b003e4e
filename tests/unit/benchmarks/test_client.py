"""The clients that ask: they count right answers only."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import msgspec
import numpy as np
import orjson
import pytest

from benchmarks.client import Order, measure, prepared
from benchmarks.questions import WrongAnswer
from serving.proto.open_inference_grpc_pb2 import ModelInferRequest, ModelInferResponse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS, WIDE = 4, 40_000
"""A row of 160 kB is more than HTTP/2 lets a client send unasked."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Rows, and their sums as right answers."""
    x = np.repeat(np.arange(1, ROWS + 1, dtype=np.float32), WIDE).reshape(ROWS, WIDE)
    np.savez(tmp_path / "rows.npz", x=x, y=x.sum(axis=1, keepdims=True))
    return tmp_path


def order(folder: Path, port: int, form: str, connections: int = 3) -> Order:
    """Half of a tenth of a second."""
    return Order(
        folder=str(folder),
        host="127.0.0.1",
        port=port,
        path="/infer",
        form=form,
        connections=connections,
        seconds=0.05,
    )


async def asked(
    folder: Path,
    form: str,
    write: Callable[[asyncio.StreamWriter, bytes], None],
    heads: list[dict[bytes, bytes]] | None = None,
    **more: Any,
) -> int:
    """Answers that a client counts of a server that writes its answers as it is told, and keeps heads that it reads."""
    opened: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        try:
            while not writer.is_closing() and (head := await reader.readuntil(b"\r\n\r\n")):
                fields = dict(line.split(b": ") for line in head.splitlines()[1:-1])
                if heads is not None:
                    heads.append(fields)
                body = await reader.readexactly(int(fields[b"Content-Length"]))
                write(writer, sums(body, fields.get(b"Inference-Header-Content-Length")))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # it has asked enough

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**20)
    try:
        wanted = order(folder, server.sockets[0].getsockname()[1], form)
        figures = await measure(msgspec.structs.replace(wanted, **more))
    finally:
        server.close()
        for writer in opened:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in opened), return_exceptions=True)
    return figures.answered


def sums(body: bytes, head: bytes | None) -> bytes:
    """The right answer, in the form of the question."""
    if head is not None:
        value = np.frombuffer(body[int(head) :], np.float32).sum(keepdims=True)
        return bytes(b'{"outputs":[]}' + value.tobytes())
    value = np.array(orjson.loads(body)["inputs"][0]["data"], np.float32).sum()
    answer: bytes = orjson.dumps({"outputs": [{"name": "y", "data": [float(value)]}]})
    return answer


def whole(writer: asyncio.StreamWriter, body: bytes) -> None:
    """In one piece."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nX-Other: 1\r\n\r\n" % len(body) + body)


def pieces(writer: asyncio.StreamWriter, body: bytes) -> None:
    """Byte by byte."""
    answer = b"HTTP/1.1 200 OK\r\nX-Other: 1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    for at in range(len(answer)):
        writer.write(answer[at : at + 1])


@pytest.mark.parametrize("form", ["json", "binary"])
@pytest.mark.parametrize("write", [whole, pieces])
def test_right_answers_are_counted(
    folder: Path, form: str, write: Callable[[asyncio.StreamWriter, bytes], None]
) -> None:
    assert asyncio.run(asked(folder, form, write)) >= 3


@pytest.mark.parametrize("form", ["json", "binary", "grpc"])
def test_rows_are_asked_for_in_turn(folder: Path, form: str) -> None:
    made = [asked for asked, _ in prepared(order(folder, 0, form, connections=1))]
    assert len(set(made)) == len(made) == ROWS


def test_a_look_whether_a_server_answers_prepares_no_more_than_it_sends(folder: Path) -> None:
    assert len(prepared(msgspec.structs.replace(order(folder, 0, "json", connections=1), seconds=0.0))) == 1


@pytest.mark.parametrize("form", ["json", "binary"])
def test_each_request_has_ids_of_its_own(folder: Path, form: str) -> None:
    heads: list[dict[bytes, bytes]] = []
    answered = [asyncio.run(asked(folder, form, whole, heads, ids=True)) for _ in range(2)]
    assert len(heads) == sum(answered) >= 6
    for name, pattern in ((b"X-Request-Id", b"[0-9a-f]{32}"), (b"traceparent", b"00-[0-9a-f]{32}-[0-9a-f]{16}-01")):
        values = [fields[name] for fields in heads]
        assert all(re.fullmatch(pattern, value) for value in values)
        assert len(set(values)) == len(values)


def test_more_requests_than_have_ids_of_their_own_fail_the_window(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.client.MOST_A_SECOND", 1)
    with pytest.raises(RuntimeError, match="more were sent"):
        asyncio.run(asked(folder, "json", whole, ids=True, seconds=0.5))


def test_heads_are_the_same_where_no_ids_are_wanted(folder: Path) -> None:
    heads: list[dict[bytes, bytes]] = []
    asyncio.run(asked(folder, "binary", whole, heads))
    assert heads[1:] == heads[:-1]


def test_a_key_is_sent_as_a_bearer(folder: Path) -> None:
    heads: list[dict[bytes, bytes]] = []
    asyncio.run(asked(folder, "json", whole, heads, key="st_secret"))
    assert {fields[b"Authorization"] for fields in heads} == {b"Bearer st_secret"}


def test_an_answer_of_another_status_fails_the_window(folder: Path) -> None:
    def refuse(writer: asyncio.StreamWriter, body: bytes) -> None:
        writer.write(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with pytest.raises(WrongAnswer, match="429"):
        asyncio.run(asked(folder, "json", refuse))


@pytest.mark.parametrize("form", ["json", "binary"])
def test_another_rows_answer_fails_the_window(folder: Path, form: str) -> None:
    first: list[bytes] = []

    def swap(writer: asyncio.StreamWriter, body: bytes) -> None:
        first.append(body)
        whole(writer, first[0])

    with pytest.raises(WrongAnswer, match="expected"):
        asyncio.run(asked(folder, form, swap))


def test_an_answer_without_its_length_fails_the_window(folder: Path) -> None:
    def chunk(writer: asyncio.StreamWriter, body: bytes) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
        )

    with pytest.raises(WrongAnswer, match="length"):
        asyncio.run(asked(folder, "json", chunk))


def test_a_connection_that_the_server_closes_fails_the_window(folder: Path) -> None:
    with pytest.raises(ConnectionError):
        asyncio.run(asked(folder, "json", lambda writer, _: writer.close()))


def rpc(folder: Path, infer: Callable[[ModelInferRequest, grpc.ServicerContext], ModelInferResponse]) -> int:
    """Answers that the client counts of gRPC's own server."""
    call = grpc.unary_unary_rpc_method_handler(
        infer, ModelInferRequest.FromString, ModelInferResponse.SerializeToString
    )
    service = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": call})
    server = grpc.server(ThreadPoolExecutor(max_workers=2), handlers=[service])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        return asyncio.run(measure(order(folder, port, "grpc"))).answered
    finally:
        server.stop(None).wait()


def test_grpcs_own_server_understands_the_client(folder: Path) -> None:
    def infer(request: ModelInferRequest, _: object) -> ModelInferResponse:
        value = np.frombuffer(request.raw_input_contents[0], np.float32).sum(keepdims=True)
        return ModelInferResponse(model_name=request.model_name, raw_output_contents=[value.tobytes()])

    assert rpc(folder, infer) >= 3


def test_an_error_over_grpc_fails_the_window(folder: Path) -> None:
    def infer(_: ModelInferRequest, context: grpc.ServicerContext) -> ModelInferResponse:
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")

    with pytest.raises(WrongAnswer, match="without its message"):
        rpc(folder, infer)


def test_a_wrong_answer_over_grpc_fails_the_window(folder: Path) -> None:
    wrong = np.float32(-1).tobytes()
    with pytest.raises(WrongAnswer, match="expected"):
        rpc(folder, lambda _, __: ModelInferResponse(raw_output_contents=[wrong]))
