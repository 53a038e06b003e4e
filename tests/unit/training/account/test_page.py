"""The page of a run: it shows what evaluation and run say, nothing of the test split, and data as text alone."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from examples.digits.prepare import prepare as write_digits
from staytrue.evaluation import EVALUATION, Evaluation
from staytrue.feature import Feature
from staytrue.project import load
from staytrue.records import read
from tests.command import run as command
from training import checkpoint as checkpoints
from training.account.examples import PIXELS, shown
from training.account.page import write
from training.curve import draw
from training.evaluate.worst import ROWS
from training.history import History
from training.prepare import prepare
from training.report import PAGE

DIGITS = Path(__file__).parents[4] / "examples" / "digits"
EVIL = "<script>alert(1)</script>"
LINES = [{"epoch": place, "loss": 1 / place, "validation_log_loss": 0.5, "learning_rate": 0.1} for place in (1.0, 2.0)]
SEALED = "nobody-may-see-this"
CLASSES = ("<b>yes</b>", '"><img src=x onerror=alert(2)>')


def page_of(run: Path) -> str:
    """Its text."""
    return (run / PAGE).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on texts, a number and a category, whose names and values would be HTML; its test rows bear a mark."""
    folder, draw = tmp_path_factory.mktemp("hostile"), np.random.default_rng(0)
    with (folder / "d.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["when", "part", EVIL, "note", "x", "answer"])
        for row in range(240):
            part = ("train", "train", "train", "validation", "test")[row % 5]
            name = f"{SEALED}-{row % 3}" if part == "test" else f"{EVIL}{row % 3}"
            note = f"{SEALED if part == 'test' else '<iframe src=//evil.example>'} {draw.integers(0, 10**9)}"
            x = draw.normal()
            writer.writerow([f"2026-01-{1 + row // 24:02} {row % 24:02}:00", part, name, note, x, CLASSES[int(x > 0)]])
    project = {
        "name": "evil",
        "data": {
            "source": "d.csv",
            "time": "when",
            "target": "answer",
            "features": {
                EVIL: {"kind": "category"},
                "note": {"kind": "text", "shape": [64]},
                "x": {"kind": "numeric"},
            },
        },
        "split": {"method": "given", "column": "part", "allow": ["duplicates", "time"]},
        "model": {"task": "classification", "architecture": "transformer", "width": 8, "depth": 1},
        "training": {"epochs": 2},
        "evaluation": {"slices": {EVIL: None, "<i>": "x > 0"}, "minimum_rows": 5},
    }
    (folder / "staytrue.yaml").write_text(yaml.safe_dump(project), encoding="utf-8")
    command(folder, "train", "--test", "once")
    return checkpoints.newest_run(folder / "runs", "evil")


def test_what_the_data_hold_is_shown_as_text(hostile: Path) -> None:
    shown = page_of(hostile)
    for tag in ("<script", "<iframe", "<img src=x", "<b>", "<i>"):
        assert tag not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "&lt;iframe src=//evil.example&gt;" in shown
    assert "&lt;b&gt;yes&lt;/b&gt;" in shown


def test_a_page_needs_nothing_from_elsewhere(hostile: Path) -> None:
    assert re.findall(r'(?:src|href)="(?!#|data:)[^"]*"|url\(|@import', page_of(hostile)) == []


def test_nothing_of_the_test_split_is_on_the_page_even_where_it_was_opened(hostile: Path) -> None:
    """Neither a row nor a figure; evaluation.json has the figures, and no row."""
    parts = read(Evaluation, hostile / EVALUATION).parts
    assert set(parts) == {"train", "validation", "test"}
    assert parts["test"].worst is None
    assert SEALED not in (hostile / EVALUATION).read_text(encoding="utf-8")
    page = page_of(hostile)
    assert SEALED not in page
    assert "<h2>Test rows</h2>" not in page
    assert "<td>test</td>" not in page
    assert f"{parts['test'].metrics['log_loss'].value:.4g}" not in page


def test_the_page_shows_what_evaluation_and_run_say(hostile: Path) -> None:
    shown, checkpoint = page_of(hostile), checkpoints.load(hostile)[0]
    for name in ("validation", "train"):
        part = read(Evaluation, hostile / EVALUATION).parts[name]
        for metric in part.metrics.values():
            assert all(f"{value:.4g}</td>" in shown for value in (metric.value, metric.low, metric.high))
        assert f"With 95% intervals, {part.blocks} {part.blocked_by} drawn." in shown
        assert part.blocks > 1
        assert part.worst is not None
        assert (len(part.worst.rows), len(part.slices)) == (ROWS, 4)
        assert all(f">{one.loss:.4g}</td>" in shown for one in part.worst.rows if one.loss is not None)
    for title in ("Confusion", "Calibration", "ROC", "Precision and recall", "Slices"):
        assert shown.count(f'aria-label="{title}"') + shown.count(f"<h3>{title}</h3>") == 2
    data = json.loads((hostile / checkpoints.DATA).read_text(encoding="utf-8"))["fingerprint"]
    assert checkpoint.environment is not None
    for words in (data["sha256"], checkpoint.weights_sha256, checkpoint.environment.processor, "training.epochs"):
        assert words in shown


def test_the_learning_curve_is_on_the_page(hostile: Path, tmp_path: Path) -> None:
    project, checkpoint = load(hostile.parents[1] / "staytrue.yaml"), checkpoints.load(hostile)[0]
    prepared, parts = prepare(project), read(Evaluation, hostile / EVALUATION).parts
    draw(History("validation_log_loss", LINES, 1), "answer", tmp_path / checkpoints.CURVE)
    write(project, checkpoint, parts, {"train": prepared.training, "validation": prepared.validation}, tmp_path)
    curve = base64.b64encode((tmp_path / checkpoints.CURVE).read_bytes()).decode()
    assert f'class="large" src="data:image/png;base64,{curve}"' in page_of(tmp_path)


def test_worst_answers_are_those_that_the_model_gives_to_these_rows(hostile: Path) -> None:
    project = load(hostile.parents[1] / "staytrue.yaml")
    rows, (_, _, model) = prepare(project).validation, checkpoints.load(hostile)
    likely = model.answers(rows.only(project.data.features).columns)[1].astype(np.float64)
    losses = [-math.log(likely[place, sorted(CLASSES).index(name)]) for place, name in enumerate(rows.target)]
    worst = read(Evaluation, hostile / EVALUATION).parts["validation"].worst
    assert worst is not None
    assert [one.row for one in worst.rows] == np.argsort(-np.array(losses), kind="stable")[:ROWS].tolist()
    first = worst.rows[0]
    assert first.loss == pytest.approx(max(losses))
    assert (first.truth, first.inputs[EVIL]) == (rows.target[first.row], rows.columns[EVIL][first.row])
    assert first.inputs["note"].startswith("<iframe")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the digits of one epoch."""
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder)
    text = (DIGITS / "staytrue.yaml").read_text(encoding="utf-8").replace("epochs: 30", "epochs: 1")
    (folder / "staytrue.yaml").write_text(text, encoding="utf-8")
    command(folder, "train", "--test", "skip")
    return checkpoints.newest_run(folder / "runs", "digits")


def test_pictures_are_shown_as_pictures(digits: Path) -> None:
    """Each has the very pixels of its row."""
    found = re.findall(
        r'<img src="data:image/png;base64,([^"]+)" alt="validation row (\d+): (\d), answered', page_of(digits)
    )
    assert len(found) == ROWS
    rows = prepare(load(digits.parents[1] / "staytrue.yaml")).validation
    for content, row, truth in found:
        pixels = np.array(Image.open(io.BytesIO(base64.b64decode(content))))
        np.testing.assert_array_equal(pixels, rows.columns["image"][int(row), 0])
        assert truth == rows.target[int(row)]


@pytest.mark.parametrize(
    ("settings", "shape", "size"),
    [
        ({"shape": [3, 4, 4]}, (3, 4, 4), (3, 4, 4)),
        ({"shape": [4, 5, 3], "layout": "channels_last"}, (4, 5, 3), (3, 4, 5)),
        ({"shape": [1, 600, 300]}, (1, 600, 300), (1, 200, 100)),
    ],
)
def test_a_picture_has_its_channels_first_and_no_more_pixels_than_are_looked_at(
    settings: dict[str, Any], shape: tuple[int, ...], size: tuple[int, ...]
) -> None:
    feature = Feature.model_validate({"kind": "image"} | settings)
    assert shown(np.zeros(shape, np.uint8), feature).shape == size
    assert max(size) <= PIXELS


def test_reversed_channels_are_shown_as_red_green_blue() -> None:
    feature = Feature.model_validate({"kind": "image", "shape": [3, 1, 1], "channel_order": "reversed"})
    assert shown(np.array([1, 2, 3], np.uint8).reshape(3, 1, 1), feature).ravel().tolist() == [3, 2, 1]
