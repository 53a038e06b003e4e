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
from training.data.collect.report import chapter
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


def read(folder: Path, section: Make, shape: list[int], **source: Any) -> tuple[NDArray[np.uint8], list[str]]:
    """A folder's pictures in the order of their names, and what the report warns of."""
    features = {"image": {"kind": "image", "shape": shape}}
    query = "SELECT path, image, TIMESTAMP '2024-01-01' AS at, 1 AS y FROM p ORDER BY path"
    values = {"query": query, "time": "at", "target": "y", "features": features}
    found = collected(section(sources={"p": {"path": folder, "format": "images"} | source}, **values))
    return found.rows.columns["image"], chapter(found.report).warnings


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_greys_of_sixteen_bits_come_with_their_upper_byte(suffix: str, section: Make, tmp_path: Path) -> None:
    """As Pillow takes it of colours; cut off at 255, all but black would be white."""
    greys = np.array([[0, 255, 256, 25700], [32768, 40000, 65279, 65535]], dtype=np.uint16)
    path = tmp_path / "wide" / f"0.{suffix}"
    path.parent.mkdir()
    if suffix == "pgm":  # which Pillow does not write
        path.write_bytes(b"P5\n4 2\n65535\n" + greys.astype(">u2").tobytes())
    else:
        Image.fromarray(greys).save(path)
    images, warnings = read(tmp_path / "wide", section, [1, 2, 4])
    assert images[0, 0].tolist() == [[0, 0, 1, 100], [128, 156, 254, 255]]
    assert warnings == ["1 of 1 pictures of p have 16 bits a pixel, of which the upper 8 were taken"]


@pytest.mark.parametrize(("dtype", "what"), [(np.int32, "whole numbers of 32 bits"), (np.float32, "fractions")])
def test_pixels_of_no_known_range_are_refused(dtype: Any, what: str, section: Make, tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    Image.fromarray(np.array([[0, 1], [70000, 5]], dtype=dtype)).save(tmp_path / "odd" / "0.tif")
    with pytest.raises(InvalidInput, match=rf"its pixels are {what}, .* save it with 8 or 16 bits a channel"):
        read(tmp_path / "odd", section, [1, 2, 2])


def test_files_that_are_no_pictures_and_those_without_a_folder_are_told(
    digits: NDArray[np.uint8], pictures: Make, tmp_path: Path
) -> None:
    """With the first three of them; hidden files are none, whatever their suffix."""
    folder = tmp_path / "digits"
    for name in ("README.md", "3/Thumbs.db", "3/.ipynb_checkpoints/0003.png", "4/notes.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"no picture")
    Image.fromarray(digits[0]).save(folder / "5000.png")
    found = collected(pictures(), "classification")
    assert len(found.rows) == COUNT + 1
    left, beside = chapter(found.report).warnings
    assert left.startswith("4 files of digits are hidden or do not end in .png, .jpg")
    assert left.endswith("and were left out: 3/.ipynb_checkpoints/0003.png, 3/Thumbs.db, 4/notes.txt, 1 more")
    assert beside == "1 files of digits lie beside its folders, and have no class: 5000.png"


def test_a_folder_of_other_files_alone_is_told_with_them(pictures: Make, tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "a.heic").touch()
    with pytest.raises(NotFound, match=r"no files that end in .* in .*; there are a\.heic"):
        collected(pictures(), "classification")


@pytest.mark.parametrize("named", ["folder", "table"])
def test_pictures_that_were_stretched_or_lost_what_is_transparent_are_counted(
    named: str, section: Make, tmp_path: Path
) -> None:
    """Of twice the size, of half the height, with a clear corner, and with a channel for it that is full."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "0.png")
    Image.new("RGB", (8, 4)).save(folder / "1.png")
    clear = Image.new("RGBA", (4, 4), (10, 20, 30, 255))
    clear.save(folder / "2.png")
    clear.putpixel((0, 0), (10, 20, 30, 0))
    clear.save(folder / "3.png")
    palette = Image.new("P", (4, 4))
    palette.putpalette([10, 20, 30])
    palette.save(folder / "4.png", transparency=0)
    (folder / "list.csv").write_text("\n".join(["path", *(f"{place}.png" for place in range(5)), ""]))
    source = {} if named == "folder" else {"path": folder / "list.csv", "format": "csv", "pictures": "path"}
    images, warnings = read(folder, section, [3, 4, 4], **source)
    assert images[3, :, 0, 0].tolist() == [10, 20, 30]
    told = [warning for warning in warnings if "left out" not in warning]
    assert told[0].startswith("1 of 5 pictures of p have another aspect than 4 by 4 and were stretched, by up to 2.00")
    assert told[1].startswith("2 of 5 pictures of p have transparent parts, which show the colour that the file keeps")
    _, warnings = read(folder, section, [4, 4, 4], **source)
    assert not any("transparent" in warning for warning in warnings)
