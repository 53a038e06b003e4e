"""Imports in other forms than ONNX: each is proven in what will run it, against the file as it was given."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from export import program, torchscript
from serving.loading import Loader
from serving.runtimes.torchserve.runtime import TorchServeMaker
from staytrue.command import main
from staytrue.errors import CorruptData, InvalidConfig, Unsupported
from staytrue.sections import ExportSection
from staytrue.server import TorchServeSection
from tests.needs import needs
from tests.unit.export.importing.conftest import graph_model
from tests.unit.export.importing.test_modules import HERE, PAIR, Along, Steps, made

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from staytrue.bundle import Bundle
    from staytrue.store import Store

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
ASKED = np.array([[1, 2], [5, 3]], np.float32)
STEPS = {"max_batch": 3, "inputs": {"steps": {"shape": [-1, -1, 3], "typical": [1, 4, 3]}}}


class Decided(nn.Module):
    """Turns rows around where their sum is below zero: what is done hangs on the data."""

    def forward(self, row: torch.Tensor) -> dict[str, torch.Tensor]:
        """Shapes: [N,2] → [N,2]."""
        if bool(row.sum() < 0):
            row = -row
        return {"turned": row}


def formats(*kinds: str, **how: Any) -> ExportSection:
    """Settings that ask for some forms."""
    return ExportSection.model_validate({"importing": {"formats": kinds}, **how})


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Of a module that doubles."""
    torch.save(made().state_dict(), tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


@pytest.fixture
def scripted(tmp_path: Path) -> Callable[[nn.Module], Path]:
    """Writes a module as a script."""

    def write(module: nn.Module) -> Path:
        torch.jit.save(torch.jit.script(module.eval()), tmp_path / "model.pt")
        return tmp_path / "model.pt"

    return write


@pytest.fixture(scope="module")
def torchserve() -> Iterator[TorchServeMaker]:
    """One for all proofs."""
    needs("java")
    with TorchServeMaker(TorchServeSection()) as maker:
        yield maker


@pytest.fixture
def _by_one(torchserve: TorchServeMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("export.parity.TorchServeMaker", lambda _: contextlib.nullcontext(torchserve))


def proven(bundle: Bundle) -> dict[str, list[int]]:
    """Batches at which each form was proven."""
    found: dict[str, list[int]] = {}
    for proof in (proof for proof in bundle.parity if not (proof.arrangement or proof.shapes)):
        found.setdefault(proof.format, []).append(proof.batch)
    return found


def test_weights_become_every_form(take: Callable[..., Bundle], store: Store, weights: Path) -> None:
    settings = formats("ort", "pt2", "torchscript", "onnx")
    bundle = take(weights, PAIR | {"max_batch": 3}, factory=f"{HERE}:Doubler", settings=settings)
    assert proven(bundle) == {kind: [1, 2, 3] for kind in ("onnx", "torchscript", "pt2", "ort")}
    folder, asked = store.path("foreign", "1"), torch.from_numpy(ASKED)
    for run in (torchscript.load(folder / "model.ts"), program.load(folder / "model.pt2")):
        twice, above = run(asked)
        assert (twice.ravel().tolist(), above.ravel().tolist()) == ([6.0, 16.0], [0.0, 2.0])
    session = onnxruntime.InferenceSession(str(folder / "model.ort"))
    assert session.run(["twice"], {"pair": ASKED})[0].ravel().tolist() == [6.0, 16.0]


def test_a_form_that_another_is_made_of_stays_only_if_asked_for(
    take: Callable[..., Bundle], store: Store, weights: Path
) -> None:
    bundle = take(weights, PAIR, factory=f"{HERE}:Doubler", settings=formats("ort"))
    assert bundle.artefacts == {"ort": "model.ort"}
    assert not (store.path("foreign", "1") / "model.onnx").exists()


def test_a_script_keeps_its_branches_and_loops(
    take: Callable[..., Bundle], store: Store, scripted: Callable[[nn.Module], Path]
) -> None:
    """A trace of it would take the branch, and the number of steps, of its example."""
    take(
        scripted(Decided()),
        {"rows": "dependent", "inputs": {"row": {"shape": [-1, 2]}}},
        settings=formats("torchscript"),
    )
    take(scripted(Steps()), STEPS, settings=formats("torchscript"), name="steps")
    turned = torchscript.load(store.path("foreign", "1") / "model.ts")
    for row in ([1.0, 2.0], [-1.0, -2.0]):
        assert turned(torch.tensor([row]))[0].tolist() == [[1.0, 2.0]]
    mean = torchscript.load(store.path("steps", "1") / "model.ts")
    assert torch.equal(mean(torch.ones(2, 9, 3))[0], torch.ones(2, 3))


@pytest.mark.usefixtures("_by_one")
def test_a_script_is_proven_and_served_by_torchserve(
    take: Callable[..., Bundle],
    store: Store,
    scripted: Callable[[nn.Module], Path],
    torchserve: TorchServeMaker,
) -> None:
    """Also one that has no ONNX form."""
    bundle = take(scripted(Steps()), STEPS, settings=formats("mar"))
    assert bundle.artefacts == {"mar": "model.mar"}
    assert {proof.runtime.split(",")[0].split()[0] for proof in bundle.parity} == {"TorchServe"}
    loaded = Loader(store, torchserve, None).load("foreign", "1")
    try:
        asked = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
        assert np.allclose(loaded.runtime.run({"steps": asked})["output"], asked.mean(axis=1))
    finally:
        loaded.runtime.close()


@pytest.mark.usefixtures("_by_one")
def test_an_onnx_file_goes_into_an_archive_as_it_is(
    take: Callable[..., Bundle], tmp_path: Path, store: Store, torchserve: TorchServeMaker
) -> None:
    onnx.save(
        graph_model([onnx.helper.make_node("Neg", ["x"], ["y"])], {"x": ["n", 2]}, {"y": ["n", 2]}), tmp_path / "m.onnx"
    )
    take(tmp_path / "m.onnx", {"max_batch": 2}, settings=formats("mar"))
    loaded = Loader(store, torchserve, None).load("foreign", "1")
    try:
        assert loaded.runtime.run({"x": ASKED})["y"].tolist() == (-ASKED).tolist()
    finally:
        loaded.runtime.close()


def test_forms_that_a_file_has_not_are_told_and_nothing_is_published(
    take: Callable[..., Bundle], store: Store, tmp_path: Path, scripted: Callable[[nn.Module], Path]
) -> None:
    onnx.save(
        graph_model([onnx.helper.make_node("Neg", ["x"], ["y"])], {"x": ["n", 2]}, {"y": ["n", 2]}), tmp_path / "m.onnx"
    )
    with pytest.raises(InvalidConfig, match=r"expected forms of an ONNX file, got pt2 of m\.onnx"):
        take(tmp_path / "m.onnx", settings=formats("onnx", "pt2"))
    with pytest.raises(Unsupported, match=r"has no form pt2; leave it out of export\.importing\.formats"):
        take(scripted(Steps()), STEPS, settings=formats("onnx", "pt2"))
    torch.save(Along().state_dict(), tmp_path / "along.pth")
    free = {"inputs": {"steps": {"shape": [-1, -1, 2], "typical": [1, 4, 2]}}}
    with pytest.raises(Unsupported, match="has inputs with a free axis behind the first: steps; a pt2 of it would fix"):
        take(tmp_path / "along.pth", free, factory=f"{HERE}:Along", settings=formats("pt2"))
    assert store.versions("foreign") == []
    assert not [path for path in store.root.rglob("*") if path.is_file() and path.name != ".lock"]


def test_another_form_that_answers_otherwise_is_not_published(
    take: Callable[..., Bundle], store: Store, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = torchscript.load

    def off(path: Path) -> Callable[..., Any]:
        run = plain(path)
        return lambda *inputs: tuple(1.01 * value for value in run(*inputs))

    monkeypatch.setattr(torchscript, "load", off)
    with pytest.raises(CorruptData, match="nothing was published: no proof, no bundle"):
        take(weights, PAIR, factory=f"{HERE}:Doubler", settings=formats("onnx", "torchscript"))
    assert store.versions("foreign") == []


def test_the_command_takes_forms(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pair.yaml").write_text("inputs: {pair: {shape: [-1, 2]}}\n")
    arguments = ["import", str(weights), "--name", "pairs", "--amend", str(tmp_path / "pair.yaml")]
    arguments += ["--factory", f"{HERE}:Doubler", "--store", str(tmp_path / "store")]
    arguments += ["--format", "onnx", "--format", "torchscript"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "proven onnx at batch 32" in said
    assert "proven torchscript at batch 32" in said
