"""The ONNX runtime gives what the graph says, and refuses files that are not the signature's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from serving.runtimes.fake import FakeRuntime
from serving.runtimes.onnx import OnnxRuntime
from staytrue.errors import CorruptData, Unavailable

if TYPE_CHECKING:
    from staytrue.store import Store


def test_runs_by_the_signatures_names(store: Store, row: dict[str, Any]) -> None:
    bundle = store.load("tiny", "1")
    runtime = OnnxRuntime(store.path("tiny", "1") / "model.onnx", bundle.signature)
    assert runtime.run(row)["total"].tolist() == [[2 * 1.5 + 2 + 10]]
    assert runtime.description.startswith("onnxruntime ")
    assert runtime.description.endswith(" CPU")


def test_unknown_text_is_the_unknown_category(store: Store, row: dict[str, Any]) -> None:
    bundle = store.load("tiny", "1")
    runtime = OnnxRuntime(store.path("tiny", "1") / "model.onnx", bundle.signature)
    strange = {**row, "kind": np.array([["never seen"]], dtype=object)}
    assert runtime.run(strange)["total"].tolist() == [[13.0]]


def test_a_file_that_is_no_model_is_refused_by_name(store: Store, tmp_path: Any) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(CorruptData, match=r"broken\.onnx: ONNX Runtime cannot load it"):
        OnnxRuntime(path, store.load("tiny", "1").signature)


def test_a_graph_of_another_signature_is_refused(store: Store) -> None:
    signature = store.load("tiny", "1").signature
    other = msgspec.structs.replace(signature, inputs=signature.inputs[:1])
    with pytest.raises(CorruptData, match="inputs"):
        OnnxRuntime(store.path("tiny", "1") / "model.onnx", other)


def test_the_fake_counts_and_closes() -> None:
    fake = FakeRuntime(lambda _: {"y": np.zeros(1)})
    fake.run({})
    fake.close()
    assert fake.runs == 1
    with pytest.raises(Unavailable):
        fake.run({})
