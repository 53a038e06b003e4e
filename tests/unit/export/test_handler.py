"""The handler, called as TorchServe calls it: both kinds of model, both forms of request, batches, faults, events."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from export import handler
from export.archive import _FILES, to_archive
from export.handler import CONTENTS, Handler
from export.onnx import to_onnx
from export.torchscript import to_torchscript
from staytrue.errors import InvalidInput
from staytrue.events import Event, Tensor, decode
from staytrue.readers import Reader
from staytrue.server import ServingSection
from staytrue.signature import Signature, TensorSpec
from staytrue.variables import GATEWAY
from tests.unit.export.conftest import SIGNATURE, Small

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_BATCH = 8
ROW: list[dict[str, Any]] = [
    {"name": "size", "datatype": "FP32", "shape": [1, 1], "data": [2.0]},
    {"name": "rooms", "datatype": "INT64", "shape": [1, 1], "data": [3]},
    {"name": "town", "datatype": "BYTES", "shape": [1, 1], "data": ["south"]},
]
PRICE = 3 * 2 + 3 + 10 * 2
KNOWN = "known to our own server"


@dataclass
class Context:
    """What TorchServe gives with a batch."""

    headers: list[dict[str, str]]
    system_properties: dict[str, Any] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    types: dict[int, str] = field(default_factory=dict)

    def get_all_request_header(self, place: int) -> dict[str, str]:
        """As TorchServe's."""
        return self.headers[place]

    def set_response_status(self, code: int, phrase: str, idx: int) -> None:
        """As TorchServe's."""
        assert not phrase
        self.statuses[idx] = code

    def set_response_content_type(self, idx: int, value: str) -> None:
        """As TorchServe's."""
        self.types[idx] = value


@pytest.fixture(scope="module", params=["torchscript", "onnx"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of each kind, unpacked as TorchServe does."""
    return unpacked(tmp_path_factory.mktemp("unpacked"), request.param, Small(), SIGNATURE)


def unpacked(folder: Path, kind: Any, module: nn.Module, signature: Signature) -> Path:
    """A module in an archive, unpacked."""
    artefact = folder / _FILES[kind]
    module.eval()
    if kind == "onnx":
        to_onnx(module, signature, artefact, MAX_BATCH)
    else:
        to_torchscript(module, signature, artefact)
    made = folder / "model.mar"
    to_archive(artefact, kind, signature, made, name="houses", version="3", max_batch=MAX_BATCH)
    with zipfile.ZipFile(made) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def made(folder: Path, tmp_path: Path) -> Handler:
    """The handler with an event log."""
    return Handler(folder, ServingSection(log=tmp_path / "events"), KNOWN)


def ask(made: Handler, *bodies: Any, marked: bool = False, secret: str = KNOWN) -> tuple[list[Any], Context]:
    """A batch of requests; what is answered, JSON read."""
    context = Context([{"X-Staytrue-Gateway": secret} if marked else {} for _ in bodies])
    answers = made.handle([{"body": body} for body in bodies], context)
    return [
        answer if context.types[place].endswith("stream") else json.loads(answer)
        for place, answer in enumerate(answers)
    ], context


def packed(*tensors: Tensor) -> bytes:
    """Tensors as our server sends them."""
    return msgspec.msgpack.encode(list(tensors))


def row(size: float, rows: int = 1) -> bytes:
    """Alike rows as our server sends them."""
    return packed(
        Tensor.of("size", "FP32", np.full((rows, 1), size, dtype=np.float32)),
        Tensor.of("rooms", "INT64", np.full((rows, 1), 3)),
        Tensor.of("town", "BYTES", np.full((rows, 1), "south", dtype=object)),
    )


def events(log: Path) -> list[Event]:
    """What is in the log."""
    entries = [decode(payload) for batch in Reader(log, "test").batches() for payload in batch.payloads]
    return [entry for entry in entries if isinstance(entry, Event)]


@pytest.mark.parametrize("form", [json.dumps, lambda body: json.dumps(body).encode(), lambda body: body])
def test_json_is_answered_in_the_protocols_form_and_its_event_is_there(
    made: Handler, tmp_path: Path, form: Callable[[Any], Any]
) -> None:
    body = form({"id": "mine", "inputs": ROW})
    (answer,), context = ask(made, body.encode() if isinstance(body, str) else body)
    assert not context.statuses
    (event,) = events(tmp_path / "events")
    assert answer == {
        "model_name": "houses",
        "model_version": "3",
        "id": "mine",
        "parameters": {"event_id": event.id},
        "outputs": [{"name": "price", "datatype": "FP32", "shape": [1, 1], "data": [PRICE]}],
    }
    assert (event.model, event.version, event.protocol, event.status) == ("houses", "3", "torchserve", "ok")
    assert (event.request_id, event.rows, event.role) == ("mine", 1, "champion")
    assert {tensor.name: tensor.array().tolist() for tensor in (*event.inputs, *event.outputs)} == {
        "size": [[2.0]],
        "rooms": [[3]],
        "town": [["south"]],
        "price": [[PRICE]],
    }


def test_our_own_server_gets_tensors_and_no_second_event(made: Handler, tmp_path: Path) -> None:
    (answer,), context = ask(made, row(2.0), marked=True)
    (tensor,) = msgspec.msgpack.decode(answer, type=list[Tensor])
    assert tensor.array().tolist() == [[PRICE]]
    assert not context.statuses
    assert not (tmp_path / "events").exists()


@pytest.mark.parametrize(("known", "sent"), [(KNOWN, "1"), (KNOWN, ""), (KNOWN, "ü\ud800"), ("", "1"), ("", "")])
def test_the_header_of_a_stranger_marks_nothing(folder: Path, tmp_path: Path, known: str, sent: str) -> None:
    made = Handler(folder, ServingSection(log=tmp_path / "events"), known)
    (answer, refused), context = ask(made, {"inputs": ROW}, row(2.0), marked=True, secret=sent)
    assert answer["outputs"][0]["data"] == [PRICE]
    assert refused["code"] == "invalid_input"
    assert context.statuses == {1: 400}
    assert [event.id for event in events(tmp_path / "events")] == [
        answer["parameters"]["event_id"],
        refused["event_id"],
    ]


def test_a_batch_runs_together_and_each_gets_its_own_rows(made: Handler) -> None:
    calls: list[int] = []
    run = made._model

    def counted(arrays: Any) -> Any:
        calls.append(len(arrays["size"]))
        return run(arrays)

    made._model = counted
    answers, _ = ask(made, row(1.0), row(2.0, 3), row(3.0), marked=True)
    assert calls == [5]
    arrays = [msgspec.msgpack.decode(answer, type=list[Tensor])[0].array().ravel().tolist() for answer in answers]
    assert arrays == [[26.0], [29.0] * 3, [32.0]]


@pytest.mark.parametrize("rows", ["dependent", "none"])
def test_requests_whose_rows_hang_on_each_other_never_run_together(made: Handler, rows: Any) -> None:
    made.signature = msgspec.structs.replace(made.signature, rows=rows)
    own, ran = made._model, list[int]()

    def counted(arrays: Any) -> Any:
        ran.append(len(arrays["size"]))
        return own(arrays)

    made._model = counted
    answers, _ = ask(made, row(1.0), row(2.0, 3), marked=True)
    assert ran == [1, 3]
    assert all(isinstance(answer, bytes) for answer in answers)


def test_more_than_the_proven_rows_run_one_by_one(made: Handler) -> None:
    answers, context = ask(made, row(1.0, MAX_BATCH), row(2.0, MAX_BATCH), marked=True)
    assert not context.statuses
    assert [len(msgspec.msgpack.decode(each, type=list[Tensor])[0].array()) for each in answers] == [MAX_BATCH] * 2


def test_a_bad_request_fails_alone(made: Handler, tmp_path: Path) -> None:
    (good, bad, other), context = ask(made, {"inputs": ROW}, {"inputs": ROW[:2]}, {"inputs": ROW})
    assert good["outputs"] == other["outputs"]
    assert context.statuses == {1: 400}
    assert bad["code"] == "invalid_input"
    assert bad["error"].startswith('input "town": expected BYTES [-1,1], got nothing')
    found = {event.id: event for event in events(tmp_path / "events")}
    assert [event.status for event in found.values()] == ["ok", "invalid_input", "ok"]
    assert found[bad["event_id"]].error == bad["error"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "body: expected an inference request in JSON, got nothing"),
        (b"{nonsense", 400, "body: is not JSON"),
        ([1], 400, "body: expected an object"),
        ({"inputs": [{**ROW[0], "shape": [2, 1]}, *ROW[1:]]}, 400, 'input "size" data: expected 2 values'),
        ({"inputs": ROW, "outputs": [{"name": "rent"}]}, 400, 'output "rent": is not an output'),
        ({"inputs": [{**t, "shape": [9, 1], "data": t["data"] * 9} for t in ROW]}, 413, "inputs: expected at most 8"),
        ({"inputs": ROW, "parameters": {"event_time": "noon"}}, 400, 'parameter "event_time"'),
    ],
)
def test_bad_input_is_a_4xx_that_says_what_is_wrong(folder: Path, body: Any, status: int, said: str) -> None:
    made = Handler(folder, ServingSection(event_time="request"))
    (answer,), context = ask(made, body)
    assert context.statuses == {0: status}
    assert answer["error"].startswith(said)


HALF = "\ud83d"
"""Half of a character: JSON can say it, UTF-8 cannot."""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"id": HALF, "inputs": ROW}, 'body "id": expected text that UTF-8 can write'),
        ({"inputs": [{**ROW[0], "name": HALF}, *ROW[1:]]}, r"inputs[0].name: expected text that UTF-8 can write"),
        ({"inputs": [*ROW[:2], {**ROW[2], "data": [HALF]}]}, 'input "town" data: expected text that UTF-8 can write'),
        ({"inputs": ROW, "outputs": [{"name": HALF}]}, 'body "outputs": expected text that UTF-8 can write'),
        ({"inputs": ROW, "parameters": {"event_time": HALF}}, 'parameter "event_time"'),
        (b"[" * 100_000, "body: nests too deep"),
    ],
)
def test_what_cannot_be_written_or_read_is_refused_alone_and_its_event_is_there(
    folder: Path, tmp_path: Path, body: Any, said: str
) -> None:
    made = Handler(folder, ServingSection(log=tmp_path / "events", event_time="request"))
    bodies = [body, json.dumps(body).encode()] if isinstance(body, dict) else [body] * 2
    (good, *bad), context = ask(made, {"inputs": ROW}, *bodies)
    assert good["outputs"][0]["data"] == [PRICE]
    assert context.statuses == {1: 400, 2: 400}
    assert all(answer["error"].startswith(said) for answer in bad)
    assert [event.status for event in events(tmp_path / "events")] == ["ok", "invalid_input", "invalid_input"]


def gives(made: Handler, outputs: dict[str, Any]) -> None:
    """Have the model give such outputs where the size is above 2."""
    run = made._model
    made._model = lambda arrays: outputs if (arrays["size"] > 2).any() else run(arrays)


def test_a_fault_in_an_answer_fails_it_alone_and_its_event_is_there(made: Handler, tmp_path: Path) -> None:
    gives(made, {})
    answers = [ask(made, {"inputs": [{**ROW[0], "data": [size]}, *ROW[1:]]}) for size in (3.0, 2.0)]
    ((bad,), failed), ((good,), well) = answers
    assert (failed.statuses, well.statuses) == ({0: 500}, {})
    assert good["outputs"][0]["data"] == [PRICE]
    event, other = events(tmp_path / "events")
    assert (event.id, event.status, len(event.inputs), event.outputs) == (bad["event_id"], "internal", 3, [])
    assert other.status == "ok"


def test_a_fault_in_an_answer_to_our_own_server_is_told_to_it(made: Handler) -> None:
    gives(made, {"price": np.array([["dear"]])})
    (told,), context = ask(made, row(3.0), marked=True)
    assert context.statuses == {0: 500}
    assert told["code"] == "internal"
    assert "dear" in told["error"]


def test_an_event_that_cannot_be_written_is_written_without_what_was_sent(made: Handler, tmp_path: Path) -> None:
    gives(made, {"price": np.array([["dear"]])})  # JSON can say it, the event's numbers cannot
    (answer,), context = ask(made, {"inputs": [{**ROW[0], "data": [3.0]}, *ROW[1:]]})
    assert context.statuses == {0: 500}
    (event,) = events(tmp_path / "events")
    assert (event.id, event.status, event.inputs, event.outputs) == (answer["event_id"], "internal", [], [])


def test_an_error_that_quotes_half_a_character_has_its_event(made: Handler, tmp_path: Path) -> None:
    def refuses(_: Any) -> Any:
        raise InvalidInput("model", f"does not know {HALF}")

    made._model = refuses
    _, context = ask(made, {"inputs": ROW})
    assert context.statuses == {0: 400}
    (event,) = events(tmp_path / "events")
    assert (event.status, event.error) == ("invalid_input", r"model: does not know \ud83d")


def test_a_batch_that_fails_together_is_run_alone_and_a_fault_stays_hidden_from_strangers(
    made: Handler, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = made._model

    def fails(arrays: Any) -> Any:
        if (arrays["size"] > 2).any():
            raise ValueError("secret weights")
        return run(arrays)

    made._model = fails
    large = [{**ROW[0], "data": [3.0]}, *ROW[1:]]
    (good, bad), context = ask(made, {"inputs": ROW}, {"inputs": large})
    assert good["outputs"][0]["data"] == [PRICE]
    assert context.statuses == {1: 500}
    assert bad["code"] == "internal"
    assert "secret" not in json.dumps(bad)
    assert [event.status for event in events(tmp_path / "events")] == ["ok", "internal"]
    assert "secret weights" in caplog.text
    (told,), _ = ask(made, row(3.0), marked=True)
    assert told == {"error": "ValueError: secret weights", "code": "internal"}  # our server writes it into its log


def test_times_are_believed_where_the_setting_says_so(folder: Path, tmp_path: Path) -> None:
    for believe in ("request", "arrival"):
        made = Handler(folder, ServingSection(log=tmp_path / believe, event_time=believe))
        ask(made, {"inputs": ROW, "parameters": {"event_time": 86400.0}})
        (event,) = events(tmp_path / believe)
        assert (event.time == 86400.0) == (believe == "request")


def test_no_answer_without_its_event(folder: Path, tmp_path: Path) -> None:
    made = Handler(folder, ServingSection(log=tmp_path / "events", log_max_bytes=10))
    (answer,), context = ask(made, {"inputs": ROW})
    assert context.statuses[0] in {413, 503}
    assert "outputs" not in answer


def test_without_a_log_it_answers_and_says_that_nobody_watches(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = Handler(folder, ServingSection())
    assert "direct calls are not watched" in caplog.text
    (answer,), _ = ask(made, {"inputs": ROW})
    assert answer["outputs"][0]["data"] == [PRICE]
    caplog.clear()
    Handler(folder, ServingSection(), KNOWN)  # behind our own server, which watches
    assert "not watched" not in caplog.text


def test_torchserve_loads_it_and_calls_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAYTRUE_SERVING_LOG", str(tmp_path / "events"))
    assert handler.handle(None, Context([], {"model_dir": str(folder)})) is None
    (answer,) = handler.handle([{"data": json.dumps({"inputs": ROW}).encode()}], Context([{}])) or []
    assert json.loads(answer)["outputs"][0]["data"] == [PRICE]
    assert len(events(tmp_path / "events")) == 1
    assert handler._loaded[0]._secret == b""
    monkeypatch.setenv(GATEWAY, KNOWN)
    handler.handle(None, Context([], {"model_dir": str(folder)}))
    (answer,) = handler.handle([{"body": row(2.0)}], Context([{"x-staytrue-gateway": KNOWN}])) or []
    assert msgspec.msgpack.decode(answer, type=list[Tensor])[0].array().tolist() == [[PRICE]]


class Kinds(nn.Module):
    """Gives back the code of the town, and how sure it is."""

    def forward(self, town: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Shapes: [N,1] → [N,1], [N,1]."""
        return town, town.float() / 4


def test_text_that_a_module_gives_as_codes_is_told_as_text(tmp_path: Path) -> None:
    town = TensorSpec(name="town", datatype="BYTES", shape=[-1, 1], categories=["north", "south"])
    sure = TensorSpec(name="sure", datatype="FP32", shape=[-1, 1])
    made = Handler(
        unpacked(tmp_path, "torchscript", Kinds(), Signature(inputs=[town], outputs=[town, sure])), ServingSection()
    )
    (answer,), _ = ask(
        made, {"inputs": [{"name": "town", "datatype": "BYTES", "shape": [3, 1], "data": ["south", "east", "north"]}]}
    )
    assert answer["outputs"] == [
        {"name": "town", "datatype": "BYTES", "shape": [3, 1], "data": ["south", "", "north"]},
        {"name": "sure", "datatype": "FP32", "shape": [3, 1], "data": [0.5, 0.0, 0.25]},
    ]


def test_contents_are_part_of_the_archive(folder: Path) -> None:
    assert (folder / CONTENTS).exists()
