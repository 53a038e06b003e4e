"""Pictures and texts that lie in folders or are named by a table; scikit-learn's digits drawn as files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import sklearn.datasets
import torch
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from staytrue.errors import InvalidConfig, InvalidInput, NotFound
from training.data.collect.source import collected
from training.data.encode.encoder import Encoder, learn, tensors
from training.data.rows import TrainingRows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from staytrue.preparation import DataSection

    Make = Callable[..., DataSection]

COUNT = 200
IMAGE = {"image": {"kind": "image", "shape": [1, 8, 8]}}


@pytest.fixture
def digits(tmp_path: Path) -> NDArray[np.uint8]:
    """Some digits, each drawn into the folder of its name."""
    found = load_digits()
    pictures: NDArray[np.uint8] = (found.images[:COUNT] * 15).astype(np.uint8)
    for place, (picture, name) in enumerate(zip(pictures, found.target[:COUNT], strict=True)):
        path = tmp_path / "digits" / str(name) / f"{place:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return pictures


@pytest.fixture
def pictures(section: Make, tmp_path: Path) -> Callable[..., DataSection]:
    """A section over the digits' folder: their number stands for the time."""

    def made(**changes: Any) -> DataSection:
        query = "SELECT *, to_timestamp(regexp_extract(path, '(\\d+)\\.', 1)::INT) AS at FROM digits"
        sources = {"digits": {"path": tmp_path / "digits", "format": "images"}}
        values = {"sources": sources, "query": query, "time": "at", "target": "class", "features": IMAGE}
        return section(**(values | changes))

    return made


def test_pictures_come_with_the_class_of_their_folder(digits: NDArray[np.uint8], pictures: Make) -> None:
    rows = collected(pictures(), "classification").rows
    assert np.array_equal(rows.columns["image"][:, 0], digits)
    assert rows.target.tolist() == [str(name) for name in load_digits().target[:COUNT]]


def test_pictures_are_fitted_to_the_features_shape(digits: NDArray[np.uint8], pictures: Make) -> None:
    """Colours from greys, and twice the size; of a picture of one colour that changes nothing."""
    larger = {"image": {"kind": "image", "shape": [3, 16, 12]}}
    rows = collected(pictures(features=larger), "classification").rows
    assert rows.columns["image"].shape == (COUNT, 3, 16, 12)
    assert np.array_equal(rows.columns["image"][:, 0], rows.columns["image"][:, 2])
    assert abs(rows.columns["image"][:, 0].mean() - digits.mean()) < 2


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [6, 4, 3], "layout": "channels_last"},
        {"channel_order": "reversed"},
        {"shape": [6, 4, 3], "layout": "channels_last", "channel_order": "reversed"},
    ],
)
@pytest.mark.parametrize("named", ["folder", "table"])
def test_pictures_come_as_callers_are_to_send_them(
    changes: dict[str, Any], named: str, section: Make, tmp_path: Path
) -> None:
    """The graph makes the same of them, whatever it is sent."""
    drawn = np.random.default_rng(0).integers(0, 256, (5, 6, 4, 3), dtype=np.uint8)
    for place, picture in enumerate(drawn):
        Image.fromarray(picture).save(tmp_path / f"{place}.png")
    listed = "\n".join(["path", *(f"{place}.png" for place in range(5))])
    (tmp_path / "list.csv").write_text(f"{listed}\n", encoding="utf-8")
    folder = {"path": tmp_path, "format": "images"}
    source = folder if named == "folder" else {"path": tmp_path / "list.csv", "pictures": "path"}
    query = "SELECT *, TIMESTAMP '2024-01-01' AS at, parse_filename(path, true)::INT AS y FROM drawn"
    encoded, columns = [], []
    for feature in ({"kind": "image", "shape": [3, 6, 4]}, {"kind": "image", "shape": [3, 6, 4]} | changes):
        values = {"query": query, "time": "at", "target": "y", "features": {"image": feature}}
        data = section(sources={"drawn": source}, **values)
        rows = collected(data).rows
        assert rows.target.tolist() == [0, 1, 2, 3, 4]
        states = learn(TrainingRows.of(rows), data.features)
        encoded.append(Encoder(states)(*tensors(rows.columns, states)))
        columns.append(rows.columns["image"])
    sent = drawn[..., ::-1] if "channel_order" in changes else drawn
    assert np.array_equal(columns[1], sent if "layout" in changes else sent.transpose(0, 3, 1, 2))
    assert torch.equal(*encoded)


def test_what_is_no_picture_is_set_aside(digits: NDArray[np.uint8], pictures: Make, tmp_path: Path) -> None:
    (tmp_path / "digits" / "3" / "9999.png").write_bytes(b"no picture")
    whole = min((tmp_path / "digits").rglob("*.png"))
    whole.write_bytes(whole.read_bytes()[:60])
    found = collected(pictures(max_bad_rows=0.05), "classification")
    assert (len(found.rows), found.report.bad.rows) == (len(digits) - 1, 2)
    assert {row.file for row in found.report.bad.examples} == {"3/9999.png", f"0/{whole.name}"}
    with pytest.raises(InvalidInput, match="cannot be read"):
        collected(pictures(), "classification")


@pytest.mark.usefixtures("digits")
def test_a_table_of_paths_brings_in_its_pictures(pictures: Make, tmp_path: Path) -> None:
    """With one that is not there."""
    paths = sorted((tmp_path / "digits").rglob("*.png"), key=lambda path: path.name)
    lines = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in paths]
    lines[7] = "digits/none.png,7"
    (tmp_path / "list.csv").write_text("\n".join(["file,class", *lines]) + "\n")
    sources = {"digits": {"path": tmp_path / "list.csv", "pictures": "file"}}
    query = "SELECT *, to_timestamp(regexp_extract(file, '(\\d+)\\.', 1)::INT) AS at FROM digits"
    found = collected(pictures(sources=sources, query=query, max_bad_rows=0.05), "classification")
    kept = np.delete((load_digits().images[:COUNT] * 15).astype(np.uint8), 7, axis=0)
    assert np.array_equal(found.rows.columns["image"][:, 0], kept)
    assert (found.report.bad.examples[0].line, found.report.bad.examples[0].text) == (8, "digits/none.png")
    sources["digits"]["pictures"] = "picture"
    with pytest.raises(InvalidConfig, match='no column "picture"; there are file, class'):
        collected(pictures(sources=sources, query=query), "classification")


def test_texts_come_a_file_a_row(section: Make, tmp_path: Path) -> None:
    texts = {"ham/1.txt": 'Grüße,\n"you"', "spam/a/2.txt": "BUY", "spam/3.eml": "Now"}
    for name, text in texts.items():
        (tmp_path / "mail" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mail" / name).write_text(text, encoding="utf-8")
    (tmp_path / "mail" / "ham" / "4.txt").write_bytes(b"Gr\xfc\xdfe")
    source: dict[str, Any] = {"path": tmp_path / "mail", "format": "texts"}
    features = {"text": {"kind": "category"}}
    query = "SELECT * FROM mail ORDER BY path"
    shape = {"query": query, "time": "modified", "target": "class", "features": features, "max_bad_rows": 0.5}
    found = collected(section(sources={"mail": source}, **shape), "classification")
    pairs = dict(zip(found.rows.columns["text"], found.rows.target, strict=True))
    assert pairs == {'Grüße,\n"you"': "ham", "BUY": "spam/a", "Now": "spam"}
    assert found.report.bad.examples[0].file == "ham/4.txt"
    source["options"] = {"encoding": "latin-1"}
    assert len(collected(section(sources={"mail": source}, **shape), "classification").rows) == 4


def test_a_folder_without_pictures_and_pictures_without_a_size_are_refused(pictures: Make, tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    with pytest.raises(NotFound, match=r"data\.sources\.digits: no files that end in \.png"):
        collected(pictures(), "classification")
    with pytest.raises(InvalidConfig, match="pictures of no size"):
        collected(pictures(features={"class": {"kind": "category"}}, target="path"), "classification")


def test_photographs_of_a_folder_come_as_pillow_reads_them(section: Make, tmp_path: Path) -> None:
    """The two that come with scikit-learn, 427 by 640, in their own size: the means of their channels are known."""
    photographs = dict(zip(("china", "flower"), load_sample_images().images, strict=True))
    for name in photographs:
        (tmp_path / "photographs" / name).mkdir(parents=True)
        source = Path(sklearn.datasets.__file__).parent / "images" / f"{name}.jpg"
        shutil.copy(source, tmp_path / "photographs" / name / "1.jpg")
    features = {"image": {"kind": "image", "shape": [3, 427, 640]}}
    values = {"query": "SELECT * FROM p ORDER BY path", "time": "modified", "target": "class", "features": features}
    rows = collected(
        section(sources={"p": {"path": tmp_path / "photographs", "format": "images"}}, **values), "classification"
    ).rows
    for picture, name in zip(rows.columns["image"], rows.target, strict=True):
        assert picture.mean(axis=(1, 2)) == pytest.approx(photographs[name].mean(axis=(0, 1)))


def test_real_texts_of_a_folder_come_whole(section: Make, tmp_path: Path) -> None:
    """The fifteen descriptions of data that come with scikit-learn, of which six are of data that it holds itself."""
    found = sorted((Path(sklearn.datasets.__file__).parent / "descr").glob("*.rst"))
    held = {"breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine_data"}
    for path in found:
        (tmp_path / "descr" / ("held" if path.stem in held else "fetched")).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "descr" / ("held" if path.stem in held else "fetched"))
    features = {"text": {"kind": "text", "shape": [9000]}}
    values = {"query": "FROM d", "time": "modified", "target": "class", "features": features}
    rows = collected(
        section(sources={"d": {"path": tmp_path / "descr", "format": "texts"}}, **values), "classification"
    ).rows
    assert sorted(rows.target) == ["fetched"] * (len(found) - 6) + ["held"] * 6
    sizes = sorted(min(path.stat().st_size, 9000) for path in found)
    assert sorted((rows.columns["text"] > 0).sum(axis=1)) == sizes
