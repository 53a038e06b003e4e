"""Archives are proven by a real TorchServe, and served by our server in front of one, which outlives its Java."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

import msgspec
import psutil
import pytest
import torch
from torch import nn

from examples.bikeshare.demo.processes import Service, staytrue
from export.archive import to_archive
from export.parity import prove
from export.publish import publish
from export.torchscript import to_torchscript
from serving.runtimes.torchserve.runtime import TorchServeMaker
from staytrue.errors import CorruptData, InvalidConfig
from staytrue.server import TorchServeSection
from staytrue.signature import Signature, TensorSpec
from staytrue.store import Store
from tests.needs import needs
from tests.unit.export.conftest import Small, Unfaithful

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.bundle import Bundle
    from staytrue.checkpoint import Checkpoint
    from staytrue.profile import ReferenceProfile
    from staytrue.sections import ExportSection

    Publishing = Callable[..., Bundle]

LONGEST = 60.0
PROJECT = """\
name: houses
store: store
data: {source: none.csv, time: t, target: price, features: {size: {kind: numeric}}}
serving: {log: events, runtime: torchserve, torchserve: {timeout_seconds: 20}}
"""
BODY = json.dumps(
    {
        "inputs": [
            {"name": "size", "datatype": "FP32", "shape": [1, 1], "data": [2.0]},
            {"name": "rooms", "datatype": "INT64", "shape": [1, 1], "data": [3]},
            {"name": "town", "datatype": "BYTES", "shape": [1, 1], "data": ["south"]},
        ]
    }
)
PRICE = 3 * 2 + 3 + 10 * 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a project with its store."""
    made = tmp_path_factory.mktemp("archived")
    (made / "staytrue.yaml").write_text(PROJECT)
    return made


@pytest.fixture(scope="module")
def publishing(
    folder: Path,
    checkpoint: Checkpoint,
    profile: ReferenceProfile,
    rows: dict[str, NDArray[Any]],
    settings: ExportSection,
) -> Publishing:
    """Publish a module as an archive alone."""

    def publisher(module: nn.Module, archive: str) -> Bundle:
        wanted = settings.model_copy(update={"formats": ["mar"], "archive": archive})
        return publish(Store(folder / "store"), module, checkpoint, profile, rows, wanted)

    return publisher


@pytest.fixture(scope="module")
def archived(publishing: Publishing, folder: Path) -> Bundle:
    """A champion that is an archive of TorchScript."""
    needs("java")
    bundle = publishing(Small(), "torchscript")
    Store(folder / "store").promote("houses", bundle.version, reason="test")
    return bundle


@pytest.fixture(scope="module")
def running() -> Iterator[TorchServeMaker]:
    """One TorchServe for all proofs but the first: each start takes seconds."""
    needs("java")
    with TorchServeMaker(TorchServeSection()) as made:
        yield made


@pytest.fixture
def _proven_by_one(running: TorchServeMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many proofs as there are models: it is neither started nor ended for them."""
    monkeypatch.setattr("export.parity.TorchServeMaker", lambda _: contextlib.nullcontext(running))


@pytest.fixture
def served(archived: Bundle, folder: Path) -> Iterator[Service]:
    """Our server with TorchServe behind it."""
    assert archived.artefacts == {"mar": "model.mar"}
    service = Service("serve", folder / "staytrue.yaml", folder / "serve.log", "--port", "0", "--grpc-port", "0")
    yield service
    if service.process.poll() is None:
        service.kill()
    service.close()


def ask(service: Service, path: str, body: str | None = None) -> tuple[int, Any]:
    """One request over a connection of its own."""
    connection = http.client.HTTPConnection(service.address.removeprefix("http://"), timeout=30)
    try:
        connection.request("POST" if body else "GET", path, body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def infer(service: Service) -> tuple[int, Any]:
    """The answer to the one row."""
    return ask(service, "/v2/models/houses/infer", BODY)


def until(true: Callable[[], bool]) -> None:
    """Wait for something that is bound to happen."""
    end = time.monotonic() + LONGEST
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_proof_was_run_by_torchserve_at_every_batch_size(archived: Bundle, folder: Path) -> None:
    assert {(proof.format, proof.batch) for proof in archived.parity} == {("mar", n) for n in (1, 2, 7, 32)}
    assert {proof.runtime for proof in archived.parity} == {"TorchServe 0.12.0 TorchScript torch 2.13.0 CPU"}
    inside = {path.name for path in (folder / "store" / "houses" / archived.version).iterdir()}
    assert "model.ts" not in inside  # only in the archive


@pytest.mark.usefixtures("_proven_by_one")
def test_an_archive_of_onnx_is_proven_the_same_way(publishing: Publishing) -> None:
    bundle = publishing(Small(), "onnx")
    assert all(proof.runtime.startswith("TorchServe 0.12.0 onnxruntime ") for proof in bundle.parity)
    assert {proof.batch for proof in bundle.parity} == {1, 2, 7, 32}


@pytest.mark.usefixtures("_proven_by_one")
def test_an_archive_that_answers_otherwise_than_the_model_is_not_published(
    archived: Bundle, publishing: Publishing, folder: Path
) -> None:
    assert archived.version == "1"
    before = Store(folder / "store").versions("houses")
    with pytest.raises(CorruptData, match=r"model\.mar at batch 1.*no proof, no bundle"):
        publishing(Unfaithful(), "torchscript")
    assert Store(folder / "store").versions("houses") == before


def test_without_java_nothing_is_published_and_the_error_says_what_is_missing(
    publishing: Publishing, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAYTRUE_SERVING_TORCHSERVE", '{"java": "no-such-java"}')
    before = Store(folder / "store").versions("houses")
    with pytest.raises(InvalidConfig, match="needs Java 17 or newer; there is no program 'no-such-java'"):
        publishing(Small(), "torchscript")
    assert Store(folder / "store").versions("houses") == before


def test_killed_java_makes_the_server_unready_until_it_is_back_and_ended_leaves_nothing(served: Service) -> None:
    started = psutil.Process(served.process.pid).children(recursive=True)
    assert infer(served)[1]["outputs"][0]["data"] == [PRICE]
    assert ask(served, "/v2/models/houses")[1]["platform"] == "pytorch_torchserve"
    next(process for process in started if "ModelServer" in " ".join(process.cmdline()[:12])).kill()
    until(lambda: ask(served, "/v2/health/ready")[0] == 503)
    status, answer = infer(served)
    assert status in {200, 503}, answer
    until(lambda: ask(served, "/v2/health/ready")[0] == 200)
    assert infer(served)[1]["outputs"][0]["data"] == [PRICE]
    started += psutil.Process(served.process.pid).children(recursive=True)
    assert served.stop() == 0
    until(lambda: not any(process.is_running() for process in started))
    assert "Traceback" not in served.log.read_text()


def test_our_server_does_not_start_without_java(archived: Bundle, folder: Path) -> None:
    assert archived.version == "1"
    project = folder / "no-java.yaml"
    project.write_text(PROJECT.replace("timeout_seconds: 20", "java: no-such-java"))
    command = staytrue("serve", "--project", project, "--port", "0", "--grpc-port", "0")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "staytrue serve: TorchServe: needs Java 17 or newer; there is no program 'no-such-java'" in ended.stderr
    assert "listening" not in ended.stdout


class Kinds(nn.Module):
    """The likelier of two kinds, as a code, and both probabilities."""

    def forward(self, size: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Shapes: [N,1] → [N,1], [N,2]."""
        small = torch.sigmoid(5 - torch.nan_to_num(size))
        both = torch.cat([small, 1 - small], dim=1)
        return both.argmax(dim=1, keepdim=True) + 1, both


@pytest.mark.usefixtures("_proven_by_one")
def test_an_archive_that_gives_classes_is_proven_by_their_names(
    rows: dict[str, NDArray[Any]], tmp_path: Path, settings: ExportSection
) -> None:
    signature = Signature(
        inputs=[TensorSpec(name="size", datatype="FP32", shape=[-1, 1])],
        outputs=[
            TensorSpec(name="kind", datatype="BYTES", shape=[-1, 1], categories=["large", "small"]),
            TensorSpec(name="probabilities", datatype="FP32", shape=[-1, 2]),
        ],
    )
    module = Kinds().eval()
    to_torchscript(module, signature, tmp_path / "model.ts")
    mar = tmp_path / "model.mar"
    to_archive(tmp_path / "model.ts", "torchscript", signature, mar, name="kinds", version="1", max_batch=32)
    proofs = prove("mar", mar, module, signature, {"size": rows["size"]}, 1.0, settings)
    assert [proof.batch for proof in proofs] == [1, 2, 7, 32, 7]  # the last in another order and company
    swapped = msgspec.structs.replace(signature.outputs[0], categories=["small", "large"])
    other = msgspec.structs.replace(signature, outputs=[swapped, signature.outputs[1]])
    with pytest.raises(CorruptData, match=r'model\.mar at batch 1, output "kind"'):
        prove("mar", mar, module, other, {"size": rows["size"]}, 1.0, settings)
