"""A bundle loads only with every byte and every proof in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from onnx import TensorProto, helper

from staytrue.bundle import MANIFEST, REDUCED, SEAL, Bundle, Fidelity, digest, load, seal
from staytrue.errors import CorruptData
from staytrue.proof import BOUNDS
from staytrue.records import read, to_json
from staytrue.reduction import ReductionSection
from staytrue.signature import Signature, TensorSpec
from staytrue.store import Store
from tests import bundles
from tests.unit.serving.conftest import publish

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.bundle import Format, Parity


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A proven bundle."""
    store = Store(tmp_path)
    return store.path("tiny", publish(store, 2.0))


def rewrite(folder: Path, **changes: Any) -> None:
    """Change the manifest and seal it again, as somebody would who means to."""
    bundle = msgspec.structs.replace(read(Bundle, folder / MANIFEST), **changes)
    (folder / MANIFEST).write_bytes(to_json(bundle))
    seal(folder)


def test_a_whole_bundle_loads(folder: Path) -> None:
    assert load(folder).name == "tiny"


@pytest.mark.parametrize("name", ["model.onnx", "profile.json", "MODEL_CARD.md", MANIFEST, SEAL])
def test_any_changed_byte_is_noticed(folder: Path, name: str) -> None:
    original = (folder / name).read_bytes()
    for place in sorted({0, len(original) // 3, len(original) // 2, len(original) - 2}):
        changed = bytearray(original)
        changed[place] ^= 1
        (folder / name).write_bytes(changed)
        with pytest.raises(CorruptData):
            load(folder)
    (folder / name).write_bytes(original)
    load(folder)


def test_what_stands_behind_the_seal_is_a_change_too(folder: Path) -> None:
    sealed = (folder / SEAL).read_bytes()
    for changed in (sealed + b"\n", sealed.strip(), b" " + sealed, sealed.upper(), sealed[:-1] + b"\x0b", b"\xff"):
        (folder / SEAL).write_bytes(changed)
        with pytest.raises(CorruptData, match=SEAL):
            load(folder)


@pytest.mark.parametrize("name", [MANIFEST, SEAL])
def test_a_manifest_and_a_seal_that_differ_are_both_named(folder: Path, name: str) -> None:
    changed = bytearray((folder / name).read_bytes())
    changed[5] ^= 1
    (folder / name).write_bytes(changed)
    with pytest.raises(CorruptData, match=rf"{MANIFEST}: is not what its seal {SEAL} says"):
        load(folder)


@pytest.mark.parametrize("name", ["model.onnx", "profile.json", MANIFEST, SEAL])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CorruptData, match=name):
        load(folder)


def test_a_missing_proof_is_named_by_its_batch(folder: Path) -> None:
    parity = load(folder).parity
    rewrite(folder, parity=[proof for proof in parity if proof.batch != 7])
    with pytest.raises(CorruptData, match=r"no passed parity proof at batch 7; an unproven model is never served"):
        load(folder)


NAMED: dict[str, Callable[[Parity], bool] | None] = {
    "in another order and company of rows": lambda proof: bool(proof.arrangement),
    "on edge rows": None,
    'at another size along axis 1 of "x"': lambda proof: bool(proof.shapes),
    "at batch 2": lambda proof: proof.batch == 2 and not (proof.arrangement or proof.shapes),
}


@pytest.mark.parametrize("missing", NAMED)
def test_each_kind_of_proof_is_needed_and_none_stands_for_another(missing: str, tmp_path: Path) -> None:
    """A permuted batch of 2 and one of another width are no plain batch of 2, nor are two of them one of the other."""
    inputs, outputs = ([TensorSpec(name=name, datatype="FP32", shape=[-1, -1])] for name in ("x", "y"))
    signature, store = Signature(inputs=inputs, outputs=outputs), Store(tmp_path)
    sides = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "t"]) for name in ("x", "y"))
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "made", *([side] for side in sides))
    version = bundles.publish(store, "m", helper.make_model(graph), signature, 16)
    folder, chosen = store.path("m", version), NAMED[missing]
    parity = load(folder).parity
    if chosen is None:
        kept = [msgspec.structs.replace(proof, edge_rows=0) for proof in parity]
    else:
        kept = [proof for proof in parity if not chosen(proof)]
        assert len(kept) < len(parity)
    rewrite(folder, parity=kept)
    with pytest.raises(CorruptData, match=f"no passed parity proof {missing}; an unproven model is never served"):
        load(folder)


def test_a_failed_proof_is_none(folder: Path) -> None:
    parity = load(folder).parity
    rewrite(folder, parity=[msgspec.structs.replace(proof, passed=proof.batch != 2) for proof in parity])
    with pytest.raises(CorruptData, match="at batch 2"):
        load(folder)


def test_a_proof_of_other_bytes_is_none(folder: Path) -> None:
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes() + b"\0")
    files = {**load_files(folder), "model.onnx": digest(folder / "model.onnx")}
    rewrite(folder, files=files)
    with pytest.raises(CorruptData, match="at batch 1, 2, 7, 16"):
        load(folder)


def load_files(folder: Path) -> dict[str, Any]:
    """Digests as the manifest has them."""
    return read(Bundle, folder / MANIFEST).files


def test_an_artefact_without_digest_is_refused(folder: Path) -> None:
    rewrite(folder, artefacts={"onnx": "other.onnx"})
    with pytest.raises(CorruptData, match=r"other\.onnx"):
        load(folder)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname"])
def test_a_file_outside_the_bundle_is_refused(folder: Path, name: str) -> None:
    rewrite(folder, files={**load_files(folder), name: digest(folder / "model.onnx")})
    with pytest.raises(CorruptData):
        load(folder)


@pytest.mark.parametrize("name", ["model.onnx", "profile.json"])
def test_a_link_to_itself_is_told(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to(name)
    with pytest.raises(CorruptData, match=f"{name}: is named by the bundle and cannot be read: Symlink loop"):
        load(folder)


def test_a_name_that_no_file_can_have_is_told(folder: Path) -> None:
    rewrite(folder, files={**load_files(folder), "a\0b": digest(folder / "model.onnx")})
    with pytest.raises(CorruptData, match="is named by the bundle and cannot be read: embedded null byte"):
        load(folder)


def of_fewer_bits(folder: Path, kind: Format, **changes: Any) -> None:
    """Have the artefact be one of fewer bits, whose cost was measured and held to all that there is."""
    bundle = load(folder)
    measured = Fidelity(
        format=kind,
        artefact_sha256=bundle.files["model.onnx"].sha256,
        bytes=bundle.files["model.onnx"].bytes,
        rows=9,
        rows_sha256="",
        apart=0.01,
        bounds=dict.fromkeys(BOUNDS, 0.1),
        passed=True,
    )
    measured = msgspec.structs.replace(measured, **changes)
    parity = [msgspec.structs.replace(proof, format=kind) for proof in bundle.parity]
    rewrite(folder, artefacts={kind: "model.onnx"}, parity=parity, fidelity=[measured])


@pytest.mark.parametrize("kind", REDUCED)
def test_one_of_fewer_bits_from_before_there_was_a_bound_is_to_be_made_anew(folder: Path, kind: Format) -> None:
    """Nothing was ever measured that today's bound would hold it to."""
    of_fewer_bits(folder, kind)
    assert load(folder).fidelity[0].format == kind
    rewrite(folder, fidelity=[msgspec.structs.replace(load(folder).fidelity[0], bounds={"apart": 0.1, "lost": 0.1})])
    told = r'artefact "model\.onnx" was never held to differing, far, as those of .* by now; .*: export it again'
    with pytest.raises(CorruptData, match=told):
        load(folder)
    imported = msgspec.structs.replace(read(Bundle, folder / MANIFEST).lineage, imported="model.onnx")
    rewrite(folder, lineage=imported)
    with pytest.raises(CorruptData, match=r"is never served unmeasured: import it again$"):
        load(folder)


def test_one_of_fewer_bits_that_failed_or_was_measured_by_other_bytes_has_no_record(folder: Path) -> None:
    for changes in ({"passed": False}, {"artefact_sha256": "0" * 64}, {"format": "int8_static"}):
        of_fewer_bits(folder, "fp16", **changes)
        with pytest.raises(CorruptData, match="has no record of what it costs"):
            load(folder)
        rewrite(folder, artefacts={"onnx": "model.onnx"}, parity=of_onnx(folder))


def of_onnx(folder: Path) -> list[Parity]:
    """The proofs, as of the plain artefact."""
    return [msgspec.structs.replace(proof, format="onnx") for proof in read(Bundle, folder / MANIFEST).parity]


def test_each_bound_is_one_that_can_be_set() -> None:
    assert set(ReductionSection.model_fields) > BOUNDS


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data.replace(b'"max_batch"', b'"most_rows"'), "missing required field `max_batch`; another ver"),
        (lambda data: data.replace(b'"onnx"', b'"onyx"'), "Invalid enum value 'onyx' .*; another version of staytrue"),
        (
            lambda data: data.replace(b'"schema": 1', b'"schema": 2'),
            "is a newer Bundle record, expected schema 1 at most, as this staytrue knows it, got 2; .* update this one",
        ),
    ],
    ids=["older", "other", "newer"],
)
def test_a_whole_bundle_of_another_staytrue_says_so(folder: Path, change: Callable[[bytes], bytes], told: str) -> None:
    """Its seal tells that no byte changed since."""
    (folder / MANIFEST).write_bytes(change((folder / MANIFEST).read_bytes()))
    seal(folder)
    with pytest.raises(CorruptData, match=rf"{MANIFEST}: .*{told}"):
        load(folder)
