"""A bundle holds artefacts that give the model's outputs, or there is no bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch

from export import torchscript
from export.example import codes, eager_inputs, edge_rows
from export.parity import eager
from export.publish import publish
from serving.runtimes.onnx import OnnxRuntime
from staytrue.errors import CorruptData
from staytrue.sections import ExportSection
from tests.unit.export.conftest import SIGNATURE, Small, Unfaithful

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.checkpoint import Checkpoint
    from staytrue.profile import ReferenceProfile
    from staytrue.store import Store

    Rows = dict[str, NDArray[Any]]


@pytest.fixture
def folder(store: Store, checkpoint: Checkpoint, profile: ReferenceProfile, rows: Rows, settings: ExportSection) -> Any:
    """A published version."""
    return store.path("houses", publish(store, Small(), checkpoint, profile, rows, settings).version)


def test_every_artefact_is_proven_at_every_batch_size(folder: Any, store: Store) -> None:
    bundle = store.load("houses", "1")
    assert {(p.format, p.batch) for p in bundle.parity} == {
        (kind, batch) for kind in ("onnx", "torchscript") for batch in (1, 2, 7, 32)
    }
    assert all(p.passed and p.max_abs_error <= p.absolute_tolerance for p in bundle.parity)
    assert {p.name for p in folder.iterdir()} == {
        "bundle.json",
        "bundle.sha256",
        "model.onnx",
        "model.ts",
        "profile.json",
        "MODEL_CARD.md",
    }


def test_onnx_is_one_file_that_takes_text_and_any_batch(folder: Any, rows: Rows) -> None:
    assert not [
        t for t in onnx.load(folder / "model.onnx", load_external_data=False).graph.initializer if t.external_data
    ]
    runtime = OnnxRuntime(folder / "model.onnx", SIGNATURE)
    for count in (1, 3, 50):
        got = runtime.run({name: array[:count] for name, array in rows.items()})["price"]
        town = np.where(rows["town"][:count] == "north", 1, 2)
        assert np.allclose(got, 3 * rows["size"][:count] + rows["rooms"][:count] + 10 * town, atol=1e-4)


def test_missing_and_unknown_values_are_served_as_the_model_takes_them(folder: Any) -> None:
    runtime = OnnxRuntime(folder / "model.onnx", SIGNATURE)
    row: Rows = {
        "size": np.array([[np.nan]], dtype=np.float32),
        "rooms": np.array([[2]]),
        "town": np.array([["the moon"]], dtype=object),
    }
    assert runtime.run(row)["price"].tolist() == [[15.0 + 2.0]]


def test_torchscript_gives_the_same_for_codes(folder: Any, rows: Rows) -> None:
    loaded = torchscript.load(folder / "model.ts")
    assert torch.equal(loaded(*eager_inputs(SIGNATURE, rows)), Small()(*eager_inputs(SIGNATURE, rows)))


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_an_export_that_does_not_match_is_refused_and_nothing_is_published(
    store: Store, checkpoint: Checkpoint, profile: ReferenceProfile, rows: Rows, kind: Any
) -> None:
    settings = ExportSection(max_batch=32, formats=[kind])
    with pytest.raises(CorruptData, match=r"at batch 1, output .price., row 0: expected .* got .*no proof, no bundle"):
        publish(store, Unfaithful(), checkpoint, profile, rows, settings)
    assert store.versions("houses") == []
    assert not [path for path in store.root.rglob("*") if path.is_file() and path.name != ".lock"]


def test_tolerance_is_in_units_of_the_target(
    store: Store, checkpoint: Checkpoint, profile: ReferenceProfile, rows: Rows
) -> None:
    loose = ExportSection(max_batch=32, absolute_tolerance=1.0, formats=["onnx"])
    bundle = publish(store, Unfaithful(), checkpoint, profile, rows, loose)  # wrong by 1, deviation is about 6
    assert bundle.parity[0].absolute_tolerance == pytest.approx(np.std(profile.truth))
    assert bundle.parity[0].max_abs_error == pytest.approx(1.0, abs=1e-4)


def test_the_card_tells_evaluation_proof_and_how_often_the_test_split_was_opened(folder: Any) -> None:
    card = (folder / "MODEL_CARD.md").read_text()
    assert "# houses, version 1" in card
    assert "| validation | mae | 1 | 0.5 to 1.5 (95%) |" in card
    assert "opened once" in card
    assert "| onnx | onnxruntime" in card
    assert "north, south" in card


def test_codes_are_places_from_one_and_zero_for_the_unknown() -> None:
    spec = SIGNATURE.inputs[2]
    assert codes(spec, np.array([["south"], ["north"], ["x"]], dtype=object)).tolist() == [[2], [1], [0]]


def test_edges_hold_missing_and_unknown_values(rows: Rows) -> None:
    edges = edge_rows(SIGNATURE, rows)
    assert np.isnan(edges["size"]).any()
    assert "never seen before" in edges["town"].ravel()
    assert 0 in edges["rooms"]
    assert len({len(array) for array in edges.values()}) == 1
    assert eager(Small(), SIGNATURE, edges)["price"].shape == (len(edges["size"]), 1)


def test_a_second_version_leaves_the_first_alone(
    folder: Any, store: Store, checkpoint: Checkpoint, profile: ReferenceProfile, rows: Rows, settings: ExportSection
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert publish(store, Small(), checkpoint, profile, rows, settings).version == "2"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
