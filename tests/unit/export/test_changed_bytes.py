"""A thousand single bytes changed all over a version of every artefact that there is: none of them is let through."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import pytest
import torch
from fsspec.registry import _registry
from torch import nn

from export.held import Held
from export.parity import examine
from export.publish import FILES, publish
from serving.runtimes.tokens import Tokenizer
from staytrue.bundle import CARD, MANIFEST, PROFILE, REDUCED, SEAL, SETTINGS, digest
from staytrue.checkpoint import CONFIGURATION
from staytrue.errors import CorruptData
from staytrue.profile import ReferenceColumn, ReferenceProfile
from staytrue.proof import BOUNDS
from staytrue.reduction import ReductionSection
from staytrue.sections import ExportSection
from staytrue.signature import Signature, TensorSpec
from staytrue.signing import SIGNATURE
from staytrue.store import Store
from tests import tokenizers
from tests.buckets import Bucket
from tests.unit.staytrue.test_signing import pair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.bundle import Fidelity, Format, Parity
    from staytrue.checkpoint import Checkpoint

ROWS, LENGTH, TOKENIZER = 64, 6, "tokenizer-0.json"
FILE_NAMES = {*FILES.values(), PROFILE, CARD, SETTINGS, MANIFEST, SEAL, SIGNATURE, TOKENIZER}
TAKEN = Signature(
    inputs=[
        TensorSpec(name="x", datatype="FP32", shape=[-1, 1]),
        TensorSpec(name="note", datatype="BYTES", shape=[-1, 1], tokenizer=TOKENIZER, tokens=LENGTH),
    ],
    outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1, 1])],
)


class Noted(nn.Module):
    """A number and a note."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(len(tokenizers.WORDS), 7)
        self.layers = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, x: torch.Tensor, note: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,1], ids [N,6] → [N,1]."""
        seen = torch.cat([torch.nan_to_num(x).clamp(-9, 9), self.words(note.long()).mean(dim=1)], dim=1)
        return self.layers(seen)  # type: ignore[no-any-return]


class Whole(NamedTuple):
    """A version, whose signature is trusted."""

    store: Store
    trusted: Path
    files: dict[str, bytes]


def _examined(kind: Format, path: Path, *how: Any) -> tuple[list[Parity], list[Fidelity]]:
    """Proven; an archive by what it holds, as to start what runs one takes as long as all others together."""
    if kind != "mar":
        return examine(kind, path, *how)
    parity, fidelity = examine("torchscript", path.with_name(FILES["torchscript"]), *how)
    here = {"format": kind, "artefact_sha256": digest(path).sha256}
    replace = msgspec.structs.replace
    return [replace(proof, **here) for proof in parity], [replace(told, **here) for told in fidelity]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint) -> Whole:
    """Every format, with its settings, its tokenizer and its signature."""
    torch.manual_seed(0)
    draw, folder, model = np.random.default_rng(0), tmp_path_factory.mktemp("every"), Noted().eval()
    rows = {
        "x": draw.normal(0, 2, (ROWS, 1)).astype(np.float32),
        "note": draw.choice(np.array(["good day", "bad night", "a day", ""], dtype=object), (ROWS, 1)),
    }
    (folder / CONFIGURATION).write_text("name: noted\n", encoding="utf-8")
    made = Tokenizer(tokenizers.wordpiece().to_str(), "here", LENGTH)
    (folder / TOKENIZER).write_text(made.written(), encoding="utf-8")
    with torch.no_grad():
        ids = torch.from_numpy(made.encode(rows["note"], "note"))
        truth = model(torch.from_numpy(rows["x"]), ids).numpy().ravel() + draw.normal(size=ROWS)
    profile = ReferenceProfile(
        columns=[ReferenceColumn(name="x", kind="numeric", values=rows["x"].ravel().tolist())],
        time=[float(row) for row in range(ROWS)],
        split=["train"] * ROWS,
        prediction=truth.tolist(),
        truth=truth.tolist(),
    )
    private, trusted = pair(folder, "ours")
    loose = ReductionSection(apart=10.0, lost=10.0)  # it never learnt anything that could be lost
    settings = ExportSection(max_batch=7, formats=[*FILES], signing_key=private, reduction=loose)
    store = Store(folder / "store", trusted)
    held = Held(rows, np.arange(ROWS, dtype=np.float64), truth, rows)
    named = msgspec.structs.replace(checkpoint, signature=TAKEN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.publish.examine", _examined)
        publish(store, model, named, profile, rows, settings, folder, held)
    there = sorted(store.path("houses", "1").iterdir())
    return Whole(store, trusted, {path.name: path.read_bytes() for path in there})


def test_the_version_holds_all_that_an_export_can_write(whole: Whole) -> None:
    assert set(whole.files) == FILE_NAMES
    bundle = whole.store.load("houses", "1")
    assert set(bundle.artefacts) == set(FILES)
    assert {frozenset(one.bounds) for one in bundle.fidelity if one.format in REDUCED} == {frozenset(BOUNDS)}


def drawn(files: dict[str, bytes], count: int) -> list[tuple[str, int, int]]:
    """File, place and change of so many bytes: of each file its ends and some, of large ones more to fill up."""
    draw, each = np.random.default_rng(0), count // len(files)
    chosen = {(name, place) for name, data in files.items() for place in (0, len(data) - 1)}
    for name, data in files.items():
        chosen |= {(name, int(place)) for place in draw.choice(len(data), min(each, len(data)), replace=False)}
    large = max(files, key=lambda name: len(files[name]))
    while len(chosen) < count:
        chosen.add((large, int(draw.integers(len(files[large])))))
    return [(name, place, int(draw.integers(1, 256))) for name, place in sorted(chosen)]


def change(path: Path, place: int, by: int) -> None:
    """Change one byte of a file where it lies; once more, and it is what it was."""
    with path.open("r+b", buffering=0) as file:
        found = os.pread(file.fileno(), 1, place)
        os.pwrite(file.fileno(), bytes([found[0] ^ by]), place)


def test_a_thousand_of_them_in_a_folder_are_all_refused(whole: Whole, tmp_path: Path) -> None:
    shutil.copytree(whole.store.root, tmp_path, dirs_exist_ok=True)
    store, chosen = Store(tmp_path, whole.trusted), drawn(whole.files, 1000)
    let_through = list[tuple[str, int, int]]()
    for name, place, by in chosen:
        path = store.path("houses", "1") / name
        change(path, place, by)
        try:
            store.load("houses", "1")
            let_through.append((name, place, by))
        except CorruptData:
            pass
        change(path, place, by)
    assert (let_through, len(chosen) >= 1000) == ([], True)
    assert store.load("houses", "1").version == "1"


def test_no_byte_of_a_signature_can_be_another(whole: Whole, tmp_path: Path) -> None:
    """Text that stands for bytes often has spellings that mean the same: each but one is refused too."""
    shutil.copytree(whole.store.root, tmp_path, dirs_exist_ok=True)
    store, file, data = Store(tmp_path, whole.trusted), tmp_path / "houses" / "1" / SIGNATURE, whole.files[SIGNATURE]
    last = len(data.rstrip(b"=\n")) - 1
    for place in (last, len(data) - 1, len(data) - 2):
        for other in sorted(
            {*b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\n\r \0"} - {data[place]}
        ):
            file.write_bytes(data[:place] + bytes([other]) + data[place + 1 :])
            with pytest.raises(CorruptData):
                store.load("houses", "1")
    for longer in (data + b"\n", data.strip(), b" " + data, data[:-1] + b"\r\n"):
        file.write_bytes(longer)
        with pytest.raises(CorruptData):
            store.load("houses", "1")


@pytest.fixture
def address(whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The same version at an address, read by another machine."""
    monkeypatch.setitem(_registry, "s3", Bucket)
    for name, data in whole.files.items():
        Bucket().pipe_file(f"/changed/store/houses/1/{name}", data)
    yield Store("s3://changed/store", whole.trusted, tmp_path / "cache")
    Bucket().rm("/changed", recursive=True)


def test_those_at_an_address_are_refused_and_those_in_a_copy_undone(address: Store, whole: Whole) -> None:
    """Nothing of what is refused stays behind to be served."""
    for turn, (name, place, by) in enumerate(drawn(whole.files, 60)):
        if turn % 2:
            copy = address.path("houses", "1") / name
            change(copy, place, by)
            assert address.load("houses", "1").version == "1"
            assert copy.read_bytes() == whole.files[name]
            continue
        bad = bytearray(whole.files[name])
        bad[place] ^= by
        Bucket().pipe_file(f"/changed/store/houses/1/{name}", bytes(bad))
        with pytest.raises(CorruptData):
            address.load("houses", "1", anew=True)
        Bucket().pipe_file(f"/changed/store/houses/1/{name}", whole.files[name])
    assert address.load("houses", "1", anew=True).version == "1"
