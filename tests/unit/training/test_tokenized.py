"""Texts with a tokenizer from the file of a project to an answer over REST: trained, proven, served, logged, judged."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from export import torchscript
from export.archive import to_archive
from export.handler import Handler
from monitoring.ingest.entries import event_rows
from serving.runtimes.onnx import OnnxRuntime
from staytrue.bundle import load as load_bundle
from staytrue.errors import CorruptData, InvalidConfig
from staytrue.project import load
from staytrue.server import ServingSection
from staytrue.store import Store
from tests.unit.serving.house import House
from training import checkpoint as checkpoints
from training.data.labelled import labelled
from training.models.regressor import Regressor
from training.retrain import publish_run
from training.run import train

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staytrue.bundle import Bundle
    from staytrue.project import Project

YAML = """
name: notes
data:
  source: notes.csv
  time: at
  target: urgency
  features:
    x: {kind: numeric}
    note: {kind: text, shape: [6], tokenizer: {train: words, size: 40}}
split: {block_days: 2}
model: {width: 8, depth: 1}
training: {epochs: 3, batch_size: 64}
export: {max_batch: 8, formats: [onnx, torchscript]}
"""
WORDS = ["fire", "smoke", "all quiet", "nothing, really", "", "Zoë says hi"]
START = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
INFER = "/v2/models/notes/infer"
ASKED = ["fire and smoke", "", "never seen before", "Zoë 東京 \U0001f600", "smoke " * 5000]


class Made:
    """A project, its run and its version."""

    def __init__(self, folder: Path) -> None:
        draw = np.random.default_rng(0)
        places, numbers = draw.integers(0, len(WORDS), 480), draw.normal(size=480)
        lines = ["at,x,note,urgency"]
        for hour, (place, number) in enumerate(zip(places, numbers, strict=True)):
            at = (START + datetime.timedelta(hours=hour)).isoformat()
            lines.append(f'{at},{number:.4f},"{WORDS[place]} {hour % 7}",{10.0 * (place < 2) + number:.4f}')
        (folder / "notes.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / "staytrue.yaml").write_text(YAML, encoding="utf-8")
        self.project: Project = load(folder / "staytrue.yaml")
        self.run = train(self.project)
        self.store = Store(self.project.store)
        self.bundle: Bundle = publish_run(self.store, self.run, self.project)
        self.store.promote("notes", self.bundle.version, reason="test")
        self.folder = self.store.path("notes", self.bundle.version)
        self.file = self.bundle.signature.inputs[1].tokenizer

    def expected(self, texts: list[str]) -> np.ndarray:
        """What the model itself predicts, built again from the checkpoint."""
        _, _, model = checkpoints.load(self.run)
        notes = np.array(texts, dtype=object)
        assert isinstance(model, Regressor)
        return model.predict({"x": np.ones(len(texts), dtype=np.float32), "note": notes})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Once."""
    return Made(tmp_path_factory.mktemp("notes"))


@pytest.fixture
def house(made: Made, tmp_path: Path) -> Iterator[House]:
    """A server of it."""
    there = House(made.store, tmp_path)
    yield there
    there.close()


def asking(*texts: str, **more: Any) -> dict[str, Any]:
    """A request."""
    shape = [len(texts), 1]
    note = {"name": "note", "datatype": "BYTES", "shape": shape, "data": list(texts)} | more
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": shape, "data": [1.0] * len(texts)}, note]}


def test_the_file_lies_in_run_and_bundle_with_its_digest(made: Made) -> None:
    spec = made.bundle.signature.inputs[1]
    assert (spec.label(), spec.tokens, spec.categories) == ("BYTES [-1,1]", 6, [])
    content = (made.folder / made.file).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert made.bundle.files[made.file].sha256 == digest
    assert made.file == f"tokenizer-{digest[:12]}.json"
    assert (made.run / made.file).read_bytes() == content
    vocabulary = json.loads(content)["model"]["vocab"]
    assert vocabulary.keys() == {"[PAD]", "[UNK]", ",", *re.findall(r"\w+", " ".join(WORDS).lower()), *"0123456"}
    [state] = json.loads((made.run / "checkpoint.json").read_text())["preprocessing"]["columns"][1:]
    assert (state["vocabulary"], state["sha256"]) == (len(vocabulary), digest)
    assert "content" not in state


def test_the_card_tells_who_sends_what(made: Made) -> None:
    card = (made.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"| note | BYTES [-1,1], 6 tokens by {made.file} |" in card


def test_it_was_proven_on_texts_in_both_forms(made: Made) -> None:
    assert {(proof.format, proof.batch) for proof in made.bundle.parity} == {
        (kind, batch) for kind in ("onnx", "torchscript") for batch in (1, 2, 7, 8)
    }
    sample = json.loads((made.run / checkpoints.TEXTS).read_text())
    assert set(sample) == {"note"}
    assert any("smoke" in text for text in sample["note"])


def test_callers_send_the_text_and_get_what_the_model_says(made: Made, house: House) -> None:
    answer = house.client.post(INFER, json=asking(*ASKED))
    assert answer.status_code == 200, answer.text
    got = answer.json()["outputs"][0]["data"]
    np.testing.assert_allclose(got, made.expected(ASKED), rtol=1e-4, atol=1e-5)
    assert len(set(got[:3])) > 1
    (event,) = house.events()
    assert event.inputs[1].array().ravel().tolist() == ASKED
    assert [row["input_note"] for row in event_rows(event)] == ASKED


def test_bytes_behind_the_json_are_read_as_utf_8(made: Made, house: House) -> None:
    for raw, status in (("Zoë".encode(), 200), (b"Zo\xeb", 400)):
        body = asking("")
        data = struct.pack("<I", len(raw)) + raw
        body["inputs"][1] = {"name": "note", "datatype": "BYTES", "shape": [1, 1]}
        body["inputs"][1]["parameters"] = {"binary_data_size": len(data)}
        head = json.dumps(body).encode()
        headers = {"Inference-Header-Content-Length": str(len(head))}
        answer = house.client.post(INFER, content=head + data, headers=headers)
        assert answer.status_code == status, answer.text
        if status == 200:
            np.testing.assert_allclose(answer.json()["outputs"][0]["data"], made.expected(["Zoë"]), rtol=1e-4)
        else:
            assert "expected UTF-8, got byte 0xeb at place 2" in answer.text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"shape": [2]}, "expected BYTES [-1,1], got BYTES [2]"),
        ({"shape": [1, 2]}, "expected BYTES [-1,1], got BYTES [1,2]"),
        ({"datatype": "UINT8", "data": [1, 2]}, "expected BYTES [-1,1], got UINT8 [2,1]"),
        ({"data": ["a", 3]}, "data[1]: expected BYTES, got a number 3"),
        ({"data": ["a", "\ud83d"]}, "expected text that UTF-8 can write, got half a character"),
    ],
    ids=["one axis", "two a row", "bytes", "a number", "half a character"],
)
def test_what_is_no_text_is_refused(more: dict[str, Any], said: str, house: House) -> None:
    answer = house.client.post(INFER, content=json.dumps(asking("a", "b", **more)))
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_torchscript_takes_the_ids_that_the_file_makes(made: Made) -> None:
    """By whoever loads it, with the library alone."""
    from tokenizers import Tokenizer

    there = Tokenizer.from_file(str(made.folder / made.file))
    ids = torch.tensor([there.encode(text).ids for text in ASKED])
    with torch.no_grad():
        got = torchscript.load(made.folder / "model.ts")(torch.ones(len(ASKED), 1), ids)
    np.testing.assert_allclose(got.numpy().ravel(), made.expected(ASKED), rtol=1e-4, atol=1e-5)


class Context:
    """What TorchServe gives with a request."""

    status = 200

    def get_all_request_header(self, place: int) -> dict[str, str]:
        """Of a stranger."""
        return {} if place == 0 else {"place": str(place)}

    def set_response_status(self, code: int, *_: Any) -> None:
        """As TorchServe's."""
        self.status = code

    def set_response_content_type(self, *_: Any) -> None:
        """As TorchServe's."""


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize(("kind", "file"), [("onnx", "model.onnx"), ("torchscript", "model.ts")])
def test_the_archive_holds_the_file_and_its_handler_makes_tokens(
    kind: Any, file: str, made: Made, tmp_path: Path
) -> None:
    import zipfile

    mar, signature = tmp_path / "model.mar", made.bundle.signature
    to_archive(made.folder / file, kind, signature, mar, name="notes", version="1", max_batch=8)
    with zipfile.ZipFile(mar) as archive:
        archive.extractall(tmp_path)
    context = Context()
    body = json.dumps(asking(*ASKED)).encode()
    [answer] = Handler(tmp_path, ServingSection(log=tmp_path / "events")).handle([{"body": body}], context)
    assert context.status == 200, answer
    np.testing.assert_allclose(json.loads(answer)["outputs"][0]["data"], made.expected(ASKED), rtol=1e-4, atol=1e-5)


def test_a_bundle_with_another_tokenizer_or_none_does_not_load(made: Made) -> None:
    path = made.folder / made.file
    kept = path.read_bytes()
    try:
        path.write_bytes(kept.replace(b"smoke", b"smake"))
        with pytest.raises(CorruptData, match=r"tokenizer-\w+\.json: expected SHA-256"):
            load_bundle(made.folder)
        path.unlink()
        with pytest.raises(CorruptData, match="is named by the bundle and missing"):
            load_bundle(made.folder)
    finally:
        path.write_bytes(kept)
    assert load_bundle(made.folder) == made.bundle


def test_a_server_without_the_library_says_what_the_version_needs(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InvalidConfig, match=r"which makes tokens of texts, is not installed; pip install -e"):
        OnnxRuntime(made.folder / "model.onnx", made.bundle.signature)


def test_nothing_is_published_of_a_run_without_its_tokenizer(made: Made, tmp_path: Path) -> None:
    import shutil

    run = Path(shutil.copytree(made.run, tmp_path / "run"))
    (run / made.file).unlink()
    with pytest.raises(CorruptData, match=r"tokenizer-\w+\.json: cannot be read"):
        publish_run(made.store, run, made.project)
    assert made.store.versions("notes") == [made.bundle.version]


def test_served_texts_come_back_from_the_lake_to_be_learnt_from(made: Made) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    lake, at = made.project.monitoring.data / "lake", START.timestamp() + 480 * 3600.0
    ids = [f"e{place}" for place in range(len(ASKED))]
    shared: dict[str, list[Any]] = {"event_id": ids, "row": [0] * len(ids)}
    events = shared | {"time": [at] * len(ids), "status": ["ok"] * len(ids), "role": ["champion"] * len(ids)}
    events |= {"input_x": [1.0] * len(ids), "input_note": ASKED}
    labels = shared | {"truth": [1.0] * len(ids), "truth_text": [""] * len(ids)}
    labels |= {"known": [at + 1] * len(ids), "received": [at + 1] * len(ids)}
    for kind, columns in (("events/model=notes", events), ("labels", labels)):
        folder = lake / kind / f"day={datetime.datetime.fromtimestamp(at, datetime.UTC):%Y-%m-%d}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table(columns), folder / "part.parquet")
    found = labelled(made.project, since=at - 1, until=at + 10)
    assert found.unfit == 0
    assert found.rows.columns["note"].tolist() == ASKED
