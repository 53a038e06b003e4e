"""A bundle holds artefacts that give the model's outputs, or there is no bundle."""

from __future__ import annotations

import math
import zipfile
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import onnx
import pytest
import torch

from export import torchscript
from export.example import eager_inputs
from export.publish import publish
from serving.runtimes.onnx import OnnxRuntime
from staytrue.errors import CorruptData, InvalidConfig, InvalidInput
from staytrue.sections import ExportSection
from staytrue.store import Store
from tests.unit.export.conftest import SIGNATURE, Small, Unfaithful
from tests.unit.staytrue.test_signing import pair

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.checkpoint import Checkpoint
    from staytrue.profile import ReferenceProfile

    Rows = dict[str, NDArray[Any]]


class Double(Small):
    """Answers in double precision, which its signature does not say."""

    def forward(self, size: torch.Tensor, rooms: torch.Tensor, town: torch.Tensor) -> torch.Tensor:
        """Shapes: each [N,1] → [N,1]."""
        return super().forward(size, rooms, town).double()


class Pooled(Small):
    """Gives one answer for all rows."""

    def forward(self, size: torch.Tensor, rooms: torch.Tensor, town: torch.Tensor) -> torch.Tensor:
        """Shapes: each [N,1] → [1,1]."""
        return super().forward(size, rooms, town).mean(dim=0, keepdim=True)


@pytest.fixture
def folder(published: Store) -> Any:
    """A published version, to read."""
    return published.path("houses", "1")


def test_every_artefact_is_proven_at_every_batch_size(folder: Any, published: Store) -> None:
    bundle = published.load("houses", "1")
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
    assert bundle.parity[0].absolute_tolerance == pytest.approx(np.std(np.array(profile.truth, dtype=np.float64)))
    assert bundle.parity[0].max_abs_error == pytest.approx(1.0, abs=1e-4)


def test_a_second_version_leaves_the_first_alone(
    store: Store, checkpoint: Checkpoint, profile: ReferenceProfile, rows: Rows
) -> None:
    quick = ExportSection(max_batch=32, formats=["torchscript"])
    folder = store.path("houses", publish(store, Small(), checkpoint, profile, rows, quick).version)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert publish(store, Small(), checkpoint, profile, rows, quick).version == "2"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_profile_that_could_not_be_read_again_is_not_published(
    store: Store, checkpoint: Checkpoint, profile: ReferenceProfile, rows: Rows
) -> None:
    quick = ExportSection(max_batch=2, formats=["torchscript"])
    broken = msgspec.structs.replace(profile, prediction=[math.nan] * profile.rows)
    with pytest.raises(CorruptData, match=r"profile\.json"):
        publish(store, Small(), checkpoint, broken, rows, quick)
    assert store.versions("houses") == []


def test_a_target_that_never_changed_is_measured_by_its_size(
    store: Store, checkpoint: Checkpoint, profile: ReferenceProfile, rows: Rows
) -> None:
    quick = ExportSection(max_batch=2, formats=["torchscript"])
    for truth, scale in ((-20.0, 20.0), (0.0, 1.0)):
        constant = msgspec.structs.replace(profile, truth=[truth] * profile.rows)
        bundle = publish(store, Small(), checkpoint, constant, rows, quick)
        assert bundle.parity[0].absolute_tolerance == pytest.approx(1e-4 * scale)


def test_a_model_without_the_outputs_of_its_signature_is_not_published(
    store: Store, checkpoint: Checkpoint, profile: ReferenceProfile, rows: Rows
) -> None:
    quick = ExportSection(max_batch=2, formats=["torchscript"])
    with pytest.raises(InvalidInput, match=r"output .price.: expected FP32 \[-1,1\], got FP64 \[1,1\]"):
        publish(store, Double(), checkpoint, profile, rows, quick)
    with pytest.raises(InvalidInput, match=r"output .price.: expected 2 rows for as many, got 1"):
        publish(store, Pooled(), checkpoint, profile, rows, quick)
    assert store.versions("houses") == []


def test_probabilities_are_measured_in_their_own_unit(named: Store, settings: ExportSection) -> None:
    """Names have no deviation."""
    bundle = named.load("houses", "1")
    assert (bundle.task, bundle.classes) == ("classification", ["large", "small"])
    assert {proof.absolute_tolerance for proof in bundle.parity} == {settings.absolute_tolerance}


def test_a_version_is_signed_as_it_is_made(
    store: Store, checkpoint: Checkpoint, profile: ReferenceProfile, rows: Rows, settings: ExportSection, tmp_path: Path
) -> None:
    private, trusted = pair(tmp_path, "a")
    both = [settings.model_copy(update={"formats": ["onnx"], "signing_key": key}) for key in (private, trusted)]
    publish(store, Small(), checkpoint, profile, rows, both[0])
    assert Store(store.root, trusted).load("houses", "1").version == "1"
    with pytest.raises(InvalidConfig, match="expected PEM of a private Ed25519 key"):
        publish(store, Small(), checkpoint, profile, rows, both[1])
    assert store.versions("houses") == ["1"]


def test_files_for_pytorch_and_for_devices_are_proven_and_say_nothing_of_where_they_were_made(
    store: Store, checkpoint: Checkpoint, profile: ReferenceProfile, rows: Rows, settings: ExportSection
) -> None:
    both = settings.model_copy(update={"formats": ["pt2", "ort"]})
    bundle = publish(store, Small(), checkpoint, profile, rows, both)
    folder = store.path("houses", "1")
    assert set(bundle.files) == {"model.pt2", "model.ort", "profile.json", "MODEL_CARD.md"}
    assert {(proof.format, proof.batch) for proof in bundle.parity} == {
        (kind, batch) for kind in ("pt2", "ort") for batch in (1, 2, 7, 32)
    }
    with zipfile.ZipFile(folder / "model.pt2") as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    assert not [name for name, data in inside.items() if b"conftest" in data or b"Small" in data or data[:1] == b"\x80"]
    loaded = torch.export.load(folder / "model.pt2").module()
    asked = (torch.tensor([[2.0]]), torch.tensor([[3]]), torch.tensor([[1]]))
    assert loaded(*asked).item() == pytest.approx(3 * 2 + 3 + 10)
    got = OnnxRuntime(folder / "model.ort", SIGNATURE).run({name: values[:3] for name, values in rows.items()})
    assert np.array_equal(got["price"], OnnxRuntime(folder / "model.ort", SIGNATURE).run(rows)["price"][:3])
