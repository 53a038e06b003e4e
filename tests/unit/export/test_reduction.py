"""Artefacts of fewer bits: what is made smaller, what stays whole, what cannot be done, and what it may cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch import nn

from export.card import card
from export.comparison import Reduced
from export.half import to_half
from export.held import Held
from export.int8 import to_dynamic, to_static
from export.onnx import to_onnx
from export.parity import prove
from export.publish import publish
from serving.loading import Loader
from serving.runtimes.factory import maker
from serving.runtimes.onnx import OnnxMaker
from staytrue.bundle import check_proof
from staytrue.errors import CorruptData, InvalidConfig
from staytrue.reduction import ReductionSection
from staytrue.sections import ExportSection
from staytrue.server import ServingSection
from staytrue.showing import described
from staytrue.signature import Signature, TensorSpec
from tests.unit.export.conftest import NAMED, SIGNATURE, Small
from training.reference import held as of_reference

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.checkpoint import Checkpoint
    from staytrue.profile import ReferenceProfile
    from staytrue.store import Store

    Rows = dict[str, NDArray[Any]]

REDUCTION = ReductionSection()


class Scaled(nn.Module):
    """Numbers far beyond 16 bits in and out, a body of small ones between."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,…] → [N,2]."""
        made: torch.Tensor = self.body(torch.clamp((x.float() - 1e6) / 1e5, -10, 10))
        return 1e6 + 1e5 * made


class Last(nn.Module):
    """The last step of recurrent cells."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.cells = getattr(nn, kind)(4, 32, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,T,4] → [N,32]."""
        made: torch.Tensor = self.cells(x)[0][:, -1]
        return made


def attention() -> nn.Module:
    layer = nn.TransformerEncoderLayer(4, 2, 64, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), nn.Flatten(), nn.Linear(24, 2))


def convolutions() -> nn.Module:
    first = (nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3))
    return nn.Sequential(*first, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2))


BODIES: dict[str, tuple[Callable[[], nn.Module], list[int]]] = {
    "mlp": (lambda: nn.Sequential(nn.Linear(6, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 2)), [6]),
    "convolutions": (convolutions, [1, 8, 8]),
    "lstm": (lambda: nn.Sequential(Last("LSTM"), nn.Linear(32, 2)), [6, 4]),
    "gru": (lambda: nn.Sequential(Last("GRU"), nn.Linear(32, 2)), [6, 4]),
    "attention": (attention, [6, 4]),
}
OUT = [TensorSpec(name="y", datatype="FP32", shape=[-1, 2])]
WRITE: dict[str, Callable[..., str]] = {
    "int8_dynamic": lambda graph, path, _: to_dynamic(graph, path),
    "int8_static": lambda graph, path, rows: to_static(graph, path, rows, REDUCTION),
    "fp16": lambda graph, path, _: to_half(graph, path),
}
LEFT = {("gru", "int8_dynamic"), ("gru", "int8_static"), ("lstm", "int8_static")}
"""Whose cells ONNX Runtime cannot quantise."""


@pytest.fixture(scope="module", params=BODIES)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A module's name, its graph, rows, and what it gives of them."""
    torch.manual_seed(0)
    build, shape = BODIES[request.param]
    module = Scaled(build()).eval()
    signature = Signature(inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, *shape])], outputs=OUT)
    path = tmp_path_factory.mktemp(request.param) / "model.onnx"
    to_onnx(module, signature, path, 64)
    x = np.random.default_rng(0).normal(1e6, 1e5, (64, *shape)).astype(np.float32)
    with torch.no_grad():
        return request.param, path, signature, x, module(torch.from_numpy(x)).numpy()


@pytest.mark.parametrize("kind", WRITE)
def test_weights_take_fewer_bits_inputs_and_outputs_keep_theirs(written: Any, kind: str, tmp_path: Path) -> None:
    name, graph, signature, x, want = written
    path = tmp_path / "reduced.onnx"
    said = WRITE[kind](graph, path, {"x": x})
    before, after = onnx.load(graph), onnx.load(path)
    whole = [sum(numbers(tensor) for tensor in model.graph.initializer) for model in (before, after)]
    if (name, kind) in LEFT:
        assert "left in 32" in said
        assert f"1 {name.upper()}" in said
    else:
        assert whole[1] < 0.4 * whole[0], "biases and scales alone"
    for side in ("input", "output"):
        kinds = [[v.type.tensor_type.elem_type for v in getattr(model.graph, side)] for model in (before, after)]
        assert kinds[0] == kinds[1]
    with OnnxMaker(artefact=kind) as make:  # type: ignore[arg-type]
        got = make(path, signature).run({"x": x})["y"]
        far = make(path, signature).run({"x": np.full_like(x[:1], 3e38)})["y"]
    assert got.dtype == np.float32
    assert np.abs(got - want).mean() < 0.05 * want.std() + 100, "16 bits of 1e6 would be infinite"
    assert np.isfinite(far).all()
    again = tmp_path / "again.onnx"
    assert WRITE[kind](graph, again, {"x": x}) == said
    assert again.read_bytes() == path.read_bytes()


def numbers(tensor: onnx.TensorProto) -> int:
    """Of 32 bits that it holds."""
    return int(np.prod(tensor.dims)) if tensor.data_type == TensorProto.FLOAT else 0


def test_what_has_no_weights_is_refused_clearly(tmp_path: Path) -> None:
    signature = Signature(inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, 2])], outputs=OUT)
    to_onnx(Scaled(nn.Hardtanh()), signature, tmp_path / "m.onnx", 8)
    for kind in ("int8_dynamic", "int8_static"):
        with pytest.raises(InvalidConfig, match=rf"export\.formats: {kind}: expected weights of Conv.*got no weights"):
            WRITE[kind](tmp_path / "m.onnx", tmp_path / "r.onnx", {"x": np.zeros((4, 2), np.float32)})
    with pytest.raises(InvalidConfig, match=r"export\.formats: fp16: expected weights that 16 bits hold, got no weig"):
        to_half(tmp_path / "m.onnx", tmp_path / "r.onnx")
    assert not (tmp_path / "r.onnx").exists()


def test_weights_beyond_16_bits_stay_in_32_or_are_refused(tmp_path: Path) -> None:
    layers = (nn.Linear(2, 8), nn.Linear(8, 2))
    body = nn.Sequential(*layers)
    signature = Signature(inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, 2])], outputs=OUT)
    with torch.no_grad():
        layers[0].weight[0, 0] = 1e5
    to_onnx(Scaled(body), signature, tmp_path / "m.onnx", 8)
    assert to_half(tmp_path / "m.onnx", tmp_path / "r.onnx") == "weights of 1 nodes in 16 bits (1 left in 32)"
    with torch.no_grad():
        layers[1].weight[0, 0] = -1e5
    to_onnx(Scaled(body), signature, tmp_path / "m.onnx", 8)
    with pytest.raises(InvalidConfig, match="got 2 nodes of larger ones"):
        to_half(tmp_path / "m.onnx", tmp_path / "r.onnx")


def test_ranges_come_from_the_calibration_rows(tmp_path: Path) -> None:
    """Of rows in a narrow range the steps are narrow, and what lies outside is cut."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 2)).eval()
    signature = Signature(inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, 6])], outputs=OUT)
    to_onnx(module, signature, tmp_path / "m.onnx", 8)
    scales = []
    for reach, how in ((1.0, "minmax"), (10.0, "minmax"), (10.0, "percentile")):
        x = np.random.default_rng(0).uniform(-1, 1, (40_000 if how == "percentile" else 64, 6)).astype(np.float32)
        x[0, 0], x[1, 1] = reach, -reach
        to_static(tmp_path / "m.onnx", tmp_path / "r.onnx", {"x": x}, ReductionSection(calibration=how))
        held = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "r.onnx").graph.initializer}
        scales.append(float(held["x_scale"]))
    assert scales[0] == pytest.approx(2 / 255, rel=0.02)
    assert scales[1] == pytest.approx(20 / 255, rel=0.02)
    assert scales[2] == pytest.approx(2 / 255, rel=0.1), "two of 240000 numbers are cut"


@pytest.fixture
def judged(rows: Rows, profile: ReferenceProfile) -> Held:
    """Rows of four days."""
    days = np.repeat(np.arange(4, dtype=np.float64), len(rows["size"]) // 4) * 86400
    return Held(rows, days, np.array(profile.truth, dtype=np.float64), {name: some[:8] for name, some in rows.items()})


def published(
    store: Store,
    checkpoint: Checkpoint,
    profile: ReferenceProfile,
    rows: Rows,
    held: Held | None,
    **reduction: Any,
) -> Any:
    """Of the small module, whose weights 8 bits hold, wherever it was called with small numbers."""
    formats = ["onnx", "torchscript", "int8_dynamic", "fp16"]
    settings = ExportSection(max_batch=32, formats=formats, reduction=ReductionSection(**reduction))
    return publish(store, Tame(), checkpoint, profile, rows, settings, held=held)


class Tame(Small):
    """Cuts its inputs, as our encoders do."""

    def forward(self, size: torch.Tensor, rooms: torch.Tensor, town: torch.Tensor) -> torch.Tensor:
        """Shapes: each [N,1] → [N,1]."""
        return super().forward(size.clamp(0, 10), rooms.clamp(0, 10), town)


def test_each_artefact_is_told_with_size_error_and_change(
    store: Store, checkpoint: Checkpoint, profile: ReferenceProfile, rows: Rows, judged: Held
) -> None:
    bundle = published(store, checkpoint, profile, rows, judged)
    folder = store.path("houses", bundle.version)
    assert [one.format for one in bundle.fidelity] == ["onnx", "int8_dynamic", "fp16", "torchscript"]
    for one in bundle.fidelity:
        path = folder / bundle.artefacts[one.format]
        assert one.bytes == path.stat().st_size
        assert one.artefact_sha256 == bundle.files[path.name].sha256
        assert (one.rows, one.metric, one.differing) == (64, "mae", None)
        truth, own = np.array(profile.truth), Tame()(*tensors_of(rows)).detach().numpy().ravel()
        assert one.own == pytest.approx(np.abs(own - truth).mean(), rel=1e-5)
        with OnnxMaker(artefact=one.format) as make:
            if one.format != "torchscript":
                got = make(path, SIGNATURE).run(rows)["price"].ravel()
                assert one.apart == pytest.approx(np.abs(got - own).mean() / truth.std(), rel=0.2, abs=1e-6)
                assert one.apart <= one.far <= np.abs(got - own).max() / truth.std() + 1e-6
        assert one.change is not None
        assert one.change.low <= one.change.value <= one.change.high
    exact, eight, *_ = bundle.fidelity
    assert exact.apart < 1e-5 < eight.apart
    assert exact.bounds == {}
    assert eight.bounds == {"differing": 0.02, "apart": 0.05, "far": 0.2, "lost": 0.01}
    for text in (card(bundle), described(bundle)):
        assert "weights of 1 Gemm in 8 bits, ranges of a run" in text
        assert "changed by" in text
    assert "0.05 apart in the mean of real rows" in card(bundle)


def tensors_of(rows: Rows) -> list[torch.Tensor]:
    """As the module takes them."""
    town = np.where(rows["town"] == "north", 1, 2)
    return [torch.from_numpy(some) for some in (rows["size"], rows["rooms"], town)]


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"apart": 1e-6}, r"model\.int8_dynamic\.onnx at batch 1: expected real rows within .* in the mean .*apart"),
        ({"lost": 0.0}, r"validation rows: expected a loss of at most 0 \(export\.reduction\.lost\), got .*\(mae"),
    ],
)
def test_an_artefact_that_costs_more_than_is_allowed_is_refused_with_the_figures(
    store: Store,
    checkpoint: Checkpoint,
    profile: ReferenceProfile,
    rows: Rows,
    judged: Held,
    bounds: dict[str, float],
    said: str,
) -> None:
    own = Tame()(*tensors_of(rows)).detach().numpy().ravel()
    with pytest.raises(CorruptData, match=said):
        published(store, checkpoint, profile, rows, judged._replace(truth=own.astype(np.float64)), **bounds)
    assert store.versions("houses") == []


def test_without_rows_to_judge_by_nothing_is_reduced(
    store: Store, checkpoint: Checkpoint, profile: ReferenceProfile, rows: Rows
) -> None:
    with pytest.raises(InvalidConfig, match=r"export\.formats: int8_dynamic: expected a run with training and valid"):
        published(store, checkpoint, profile, rows, None)


def test_an_unmeasured_artefact_of_fewer_bits_does_not_load(
    store: Store, checkpoint: Checkpoint, profile: ReferenceProfile, rows: Rows, judged: Held
) -> None:
    bundle = published(store, checkpoint, profile, rows, judged)
    check_proof(bundle, "fp16", "here")
    without = msgspec.structs.replace(bundle, fidelity=[one for one in bundle.fidelity if one.format != "fp16"])
    check_proof(without, "int8_dynamic", "here")
    with pytest.raises(CorruptData, match=r'artefact "model\.fp16\.onnx" has no record of what it costs'):
        check_proof(without, "fp16", "here")


def test_one_setting_says_which_artefact_is_served(
    store: Store, checkpoint: Checkpoint, profile: ReferenceProfile, rows: Rows, judged: Held
) -> None:
    version = published(store, checkpoint, profile, rows, judged).version
    answers = {}
    for kind in ("onnx", "int8_dynamic", "fp16"):
        with maker(ServingSection(artefact=kind)) as make:
            loaded = Loader(store, make, None).load("houses", version)
            answers[kind] = loaded.runtime.run(rows)["price"]
    assert 0 < np.abs(answers["onnx"] - answers["int8_dynamic"]).mean() < 0.3
    with (
        maker(ServingSection(artefact="int8_static")) as make,
        pytest.raises(CorruptData, match=r"has no artefact int8_static, which onnxruntime .* CPU runs, but fp16, int8"),
    ):
        Loader(store, make, None).load("houses", version)
    with pytest.raises(ValueError, match="artefact fp16 is for runtime onnx"):
        ServingSection(artefact="fp16", runtime="torchserve")


OUTPUT = {"kind": np.array([["large"]], dtype=object), "probabilities": np.array([[0.9, 0.1]], np.float32)}


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"kind": np.array([["huge"]], dtype=object)}, 'expected one of its categories, got "huge"'),
        ({"probabilities": np.array([[np.nan, 0.1]], np.float32)}, "row 0: expected 0.899999976 as the model .* nan"),
        ({"probabilities": np.array([[0.9]], np.float32)}, r"expected float32 \[1, 2\], got float32 \[1, 1\]"),
    ],
)
def test_edge_rows_too_get_an_answer_that_is_one(output: Any, said: str) -> None:
    compared = Reduced(NAMED, {}, REDUCTION)
    with pytest.raises(CorruptData, match=said):
        compared.add(OUTPUT, OUTPUT | output, np.array([False]), "model.onnx")


def test_only_real_rows_count_in_the_mean() -> None:
    signature = Signature(inputs=[], outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1, 1])])
    want, got = ({"y": np.array([[a], [b]], np.float32)} for a, b in ((1.0, 0.0), (1.4, 50.0)))
    compared = Reduced(signature, {"y": 10.0}, REDUCTION)
    compared.add(want, got, np.array([True, False]), "model.onnx")
    compared.end("model.onnx")
    assert compared.absolute == pytest.approx(0.04, rel=1e-3)
    compared.add(want, got, np.array([True, True]), "model.onnx")
    with pytest.raises(CorruptData, match=r"model\.onnx: expected real rows within 0\.05 .* got 1\.693"):
        compared.end("model.onnx")


def test_without_validation_rows_exact_artefacts_are_published_and_those_of_fewer_bits_refused(
    store: Store, checkpoint: Checkpoint, profile: ReferenceProfile, rows: Rows
) -> None:
    """As of a run that trained on all its rows."""
    held = of_reference(profile, checkpoint, 16)
    assert (len(held.times), len(held.calibration["size"])) == (0, 16)
    bundle = publish(store, Tame(), checkpoint, profile, rows, ExportSection(max_batch=2, formats=["onnx"]), held=held)
    assert bundle.fidelity == []
    assert {proof.batch for proof in bundle.parity} == {1, 2}
    with pytest.raises(InvalidConfig, match=r"export\.formats: int8_dynamic: expected a run with .* validation rows"):
        published(store, checkpoint, profile, rows, held)
    assert store.versions("houses") == [bundle.version]


CLASSES = [f"class {place}" for place in range(100)]
HUNDRED = Signature(
    inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, 8])],
    outputs=[
        TensorSpec(name="kind", datatype="BYTES", shape=[-1, 1], categories=CLASSES),
        TensorSpec(name="probabilities", datatype="FP32", shape=[-1, 100]),
    ],
)


class Hundred(nn.Module):
    """A hundred classes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 100)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Shapes: [N,8] → codes [N,1], probabilities [N,100]."""
        likely = torch.softmax(4 * self.linear(torch.nan_to_num(x).clamp(-3, 3)), dim=1)
        return likely.argmax(dim=1, keepdim=True) + 1, likely


def test_garbage_is_refused_of_a_hundred_classes_too(tmp_path: Path) -> None:
    """Each of its probabilities is near the model's, whatever it answers: there are a hundred, and they sum to 1."""
    torch.manual_seed(0)
    module, path = Hundred().eval(), tmp_path / "model.int8_dynamic.onnx"
    rows = {"x": np.random.default_rng(0).normal(0, 1, (64, 8)).astype(np.float32)}
    to_onnx(module, HUNDRED, tmp_path / "model.onnx", 16)
    to_dynamic(tmp_path / "model.onnx", path)
    proofs = prove("int8_dynamic", path, module, HUNDRED, rows, 1.0, ExportSection(max_batch=16))
    assert all(0 < proof.max_abs_error < 0.2 for proof in proofs)
    model = onnx.load(path)
    (held,) = (tensor for tensor in model.graph.initializer if sorted(tensor.dims) == [8, 100])
    assert held.data_type == TensorProto.INT8
    values = numpy_helper.to_array(held)
    held.CopyFrom(numpy_helper.from_array(np.roll(values, 7, axis=values.shape.index(100)), held.name))
    onnx.save(model, path)
    with OnnxMaker(artefact="int8_dynamic") as make:
        got = make(path, HUNDRED).run(rows)["probabilities"]
    own = module(torch.from_numpy(rows["x"]))[1].detach().numpy()
    assert np.abs(own - got).mean() < REDUCTION.apart
    with pytest.raises(
        CorruptData, match=r"at batch 1: expected real rows within 0\.05 .* mean .*apart\), got 0\.[5-9]"
    ):
        prove("int8_dynamic", path, module, HUNDRED, rows, 1.0, ExportSection(max_batch=16))
