"""The archive holds what it says, in the same bytes each time."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from export import handler
from export.archive import to_archive
from export.handler import CONTENTS, Contents
from serving.runtimes.torchserve import runtime, server
from staytrue.records import from_json
from tests.unit.export.conftest import SIGNATURE

if TYPE_CHECKING:
    from pathlib import Path


def archive(folder: Path, name: str, kind: Any = "torchscript") -> Path:
    """An archive around bytes that nobody looks into here."""
    artefact = folder / "artefact"
    artefact.write_bytes(b"weights")
    path = folder / name
    to_archive(artefact, kind, SIGNATURE, path, name="houses", version="3", max_batch=32)
    return path


def test_one_model_makes_one_archive_byte_for_byte(tmp_path: Path) -> None:
    first, second = archive(tmp_path, "one.mar"), archive(tmp_path, "two.mar")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(("kind", "file"), [("torchscript", "model.ts"), ("onnx", "model.onnx")])
def test_it_holds_the_model_the_handler_and_what_torchserve_reads(tmp_path: Path, kind: str, file: str) -> None:
    with zipfile.ZipFile(archive(tmp_path, "model.mar", kind)) as made:
        assert sorted(made.namelist()) == sorted(["MAR-INF/MANIFEST.json", "handler.py", CONTENTS, file])
        assert made.read(file) == b"weights"
        with open(handler.__file__, "rb") as source:  # noqa: PTH123 - a module's own path is a text
            assert made.read("handler.py") == source.read()
        manifest = json.loads(made.read("MAR-INF/MANIFEST.json"))
        contents = from_json(Contents, made.read(CONTENTS), CONTENTS)
    assert manifest["runtime"] == "python"
    assert manifest["model"] == {"modelName": "houses", "modelVersion": "3", "handler": "handler.py"}
    assert (contents.name, contents.version, contents.kind, contents.file) == ("houses", "3", kind, file)
    assert (contents.max_batch, contents.signature) == (32, SIGNATURE)
    assert contents.runs.startswith({"torchscript": "TorchScript torch 2.", "onnx": "onnxruntime 1."}[kind])


def test_server_and_handler_agree_on_their_words() -> None:
    assert runtime.CONTENTS == CONTENTS
    assert server.MARK.lower() == handler.MARK
