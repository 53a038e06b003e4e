"""Bundles made by hand of graphs made by hand: exporting and proving them would take longer than the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
import onnxruntime as ort

from staytrue.bundle import CARD, MANIFEST, PROFILE, REQUIRED_BATCHES, Bundle, Parity, digest, seal
from staytrue.lineage import Lineage
from staytrue.records import to_json

if TYPE_CHECKING:
    from staytrue.signature import Signature
    from staytrue.store import Store


def publish(
    store: Store, name: str, graph: onnx.ModelProto, signature: Signature, max_batch: int, *, proven: bool = True
) -> str:
    """Publish a version of a model; its number. Without ``proven`` the proof at the largest batch is missing."""
    with store.new_version(name) as (version, folder):
        onnx.save(graph, folder / "model.onnx")
        (folder / PROFILE).write_text("{}")
        (folder / CARD).write_text(f"# {name}\n")
        files = {path.name: digest(path) for path in folder.iterdir()}
        proofs = _proofs(files["model.onnx"].sha256, signature, max_batch)[: None if proven else -1]
        bundle = Bundle(
            name=name,
            version=version,
            created="2026-01-01T00:00:00.000Z",
            task="regression",
            target="none",
            signature=signature,
            max_batch=max_batch,
            artefacts={"onnx": "model.onnx"},
            files=files,
            parity=proofs,
            evaluation={},
            lineage=Lineage(run="none", data_fingerprint="none", project_fingerprint="none"),
        )
        (folder / MANIFEST).write_bytes(to_json(bundle))
        seal(folder)
    return version


def _proofs(sha256: str, signature: Signature, max_batch: int) -> list[Parity]:
    """All that are needed, that of the largest batch last."""
    sizes = sorted({*REQUIRED_BATCHES, max_batch})
    special: list[dict[str, Any]] = [{"arrangement": "in another order"}] if signature.merges and max_batch > 1 else []
    along: list[dict[str, Any]] = [
        {"shapes": {name: []}, "axes": {name: [axis]}} for name, axis in signature.free_axes()
    ]
    return [
        Parity(
            format="onnx",
            runtime=f"onnxruntime {ort.__version__} CPU",
            artefact_sha256=sha256,
            batch=batch,
            rows=batch,
            edge_rows=1,
            max_abs_error=0.0,
            max_rel_error=0.0,
            absolute_tolerance=1e-4,
            relative_tolerance=1e-4,
            passed=True,
            **more,
        )
        for batch, more in [*((2, more) for more in (*special, *along)), *((size, {}) for size in sizes)]
    ]
