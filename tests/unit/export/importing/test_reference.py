"""Reference rows: an import is proven on them, and drift is seen by them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from onnx import TensorProto, helper
from pyarrow import csv, parquet

from staytrue.bundle import load_profile
from staytrue.command import main
from staytrue.errors import CorruptData, InvalidConfig
from staytrue.store import Store
from tests.unit.export.importing.conftest import graph_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.bundle import Bundle

DAYS = ["2026-01-03", "2026-01-01", "2026-01-02"]
COLUMNS: dict[str, list[Any]] = {"size": [3.0, 1.0, None], "place": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "day": DAYS}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Sum of a number and two others: y = size + places."""
    nodes = [helper.make_node("ReduceSum", ["place", "axes"], ["s"]), helper.make_node("Add", ["size", "s"], ["y"])]
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    model = graph_model(nodes, {"size": ["n", 1], "place": ["n", 2]}, {"y": ["n", 1]}, weights=[axes])
    onnx.save(model, tmp_path / "sum.onnx")
    return tmp_path / "sum.onnx"


def _written(form: str, folder: Path) -> Path:
    target = folder / f"rows.{form}"
    if form == "parquet":
        parquet.write_table(pa.table(COLUMNS), target)
    elif form == "jsonl":
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]
        target.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    else:
        days = np.array(DAYS, dtype="datetime64[D]")
        size = np.array([3.0, 1.0, np.nan], np.float32)
        np.savez(target, size=size[:, None], place=np.array(COLUMNS["place"]), day=days)
    return target


@pytest.mark.parametrize("form", ["parquet", "jsonl", "npz"])
def test_rows_of_any_form_prove_it_and_make_its_profile(
    form: str, path: Path, take: Callable[..., Bundle], store: Store, tmp_path: Path
) -> None:
    bundle = take(path, {"time": "day"}, reference=_written(form, tmp_path))
    plain = [proof for proof in bundle.parity if not proof.arrangement]
    assert [(proof.batch, proof.rows - proof.edge_rows) for proof in plain] == [(1, 3), (2, 3), (7, 3), (32, 8)]
    assert all(f"on rows of rows.{form}" in proof.against for proof in bundle.parity)
    profile = load_profile(store.path("foreign", "1"))
    assert [day / 86400 for day in np.diff(profile.time)] == [1.0, 1.0]
    assert [(column.name, column.values) for column in profile.columns] == [("size", [1.0, None, 3.0])]
    assert profile.prediction == [8.0, 7.0, 6.0]  # the row that lacks its size has no number for an answer
    assert set(profile.split) == {"train"}
    card = (store.path("foreign", "1") / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Made elsewhere, of sum.onnx, SHA-256" in card
    assert "Drift is seen by reference rows" in card
    assert "serving changes none of its answers, not that these are right" in card


def test_a_model_without_reference_says_so(path: Path, take: Callable[..., Bundle], store: Store) -> None:
    take(path)
    folder = store.path("foreign", "1")
    assert load_profile(folder).rows == 0
    assert "its drift cannot be seen" in (folder / "MODEL_CARD.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("columns", "amend", "message"),
    [
        ({"size": [1.0]}, {}, 'has no column for input "place"; it has size'),
        ({"size": ["big"], "place": [[1.0, 2.0]]}, {}, r'column "size": is not what the input takes.*FP32 \[-1,1\]'),
        ({"size": [1.0], "place": [[1.0]]}, {}, 'column "place": is not what the input takes'),
        (COLUMNS, {"time": "when"}, "expected a column of the reference, got when"),
        (COLUMNS, {"time": "place"}, "holds what is no time"),
    ],
)
def test_rows_that_do_not_fit(
    columns: dict[str, Any],
    amend: dict[str, Any],
    message: str,
    path: Path,
    take: Callable[..., Bundle],
    tmp_path: Path,
) -> None:
    parquet.write_table(pa.table(columns), tmp_path / "rows.parquet")
    with pytest.raises(InvalidConfig, match=message):
        take(path, amend, reference=tmp_path / "rows.parquet")


def test_files_that_hold_no_rows(path: Path, take: Callable[..., Bundle], tmp_path: Path) -> None:
    for name in ("rows.txt", "rows"):
        with pytest.raises(InvalidConfig, match=r"expected \.parquet, \.csv"):
            take(path, reference=tmp_path / name)
    for name in ("rows.parquet", "rows.npz", "rows.jsonl"):
        (tmp_path / name).write_bytes(b"\x93nothing of the kind")
        with pytest.raises(CorruptData, match=r"is no whole|cannot be read"):
            take(path, reference=tmp_path / name)


def test_the_command_imports_tells_and_promotes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nodes = [helper.make_node("Neg", ["x"], ["y"])]
    onnx.save(graph_model(nodes, {"x": ["n", 1]}, {"y": ["n", 1]}), tmp_path / "neg.onnx")
    csv.write_csv(pa.table({"x": [1.0, 2.0]}), tmp_path / "x.csv")
    arguments = ["--name", "neg", "--store", "models", "--reference", "x.csv"]
    assert main(["import", "neg.onnx", *arguments]) == 0
    said = capsys.readouterr().out
    assert "takes x FP32 [-1,1]\ngives y FP32 [-1,1]\nrows are answered each for itself, at most 32 a request" in said
    assert "champion of neg is version 1" in said
    how = "at batch 7 in another order, and beside other rows: largest error 0, each within 0% of what is allowed"
    assert f"proven onnx {how} (onnxruntime" in said
    assert main(["show", "neg", "--store", "models"]) == 0
    shown = capsys.readouterr().out
    assert "  file      neg.onnx, SHA-256 " in shown
    assert "\n  reference fingerprint " in shown
    assert "settings" not in shown
    assert Store(tmp_path / "models").aliases("neg").champion == "1"
    assert main(["import", "neg.onnx", *arguments]) == 0
    said = capsys.readouterr().out
    assert "champion" not in said
    assert "`staytrue promote neg 2 --reason TEXT` lets it answer\n" in said
    assert main(["verify", "neg", "--store", "models"]) == 0
    assert main(["import", "x.csv", *arguments]) == 1
    assert "x.csv: is no ONNX model" in capsys.readouterr().err
    assert main(["import", "neg.onnx", "--name", "neg"]) == 2  # neither a project nor a store
    assert "staytrue.yaml" in capsys.readouterr().err


def test_the_command_promotes_nothing_that_the_trusted_keys_did_not_sign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nodes = [helper.make_node("Neg", ["x"], ["y"])]
    onnx.save(graph_model(nodes, {"x": ["n", 1]}, {"y": ["n", 1]}), tmp_path / "neg.onnx")
    key = ed25519.Ed25519PrivateKey.generate()
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "trusted.pem").write_bytes(key.public_key().public_bytes(pem, public))
    project = (
        "name: neg\ndata: {source: x.csv, time: t, target: y, features: {x: {kind: numeric}}}\n"
        "store: models\nserving: {trusted_keys: trusted.pem}\n"
    )
    (tmp_path / "staytrue.yaml").write_text(project)
    assert main(["import", "neg.onnx", "--name", "neg"]) == 1
    told = capsys.readouterr()
    assert "published neg version 1" in told.out
    assert "is not signed" in told.err
    assert Store(tmp_path / "models").standing("neg").champion == ""
    (tmp_path / "staytrue.yaml").write_text(project + "export: {signing_key: key.pem}\n")
    assert main(["import", "neg.onnx", "--name", "neg"]) == 0
    assert Store(tmp_path / "models").standing("neg").champion == "2"
