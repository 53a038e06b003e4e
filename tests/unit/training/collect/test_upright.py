"""Photographs whose EXIF says how the camera was held are read as viewers show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from staytrue.feature import Feature
from training.data.collect.decoder import Decoder
from training.data.collect.source import collected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.preparation import DataSection

    Make = Callable[..., DataSection]

TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: np.rot90,
    7: lambda upright: np.rot90(upright.swapaxes(0, 1), 2),
    8: lambda upright: np.rot90(upright, -1),
}
"""How the pixels of an upright picture lie in the file, by what EXIF says of them."""


def saved(path: Path, upright: NDArray[Any], orientation: int) -> Path:
    """A file of the picture as a camera writes it."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    turned = Image.fromarray(np.ascontiguousarray(TURNS[orientation](upright)))
    turned.save(path, exif=exif, lossless=True)  # as WebP; other forms are
    return path


def decoder(shape: list[int]) -> Decoder:
    """Of channels, height and width."""
    return Decoder("photos", Feature.model_validate({"kind": "image", "shape": shape}))


@pytest.fixture
def photo() -> NDArray[np.uint8]:
    """Five rows of seven pixels, each of another colour. Shapes: [5,7,3]."""
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
@pytest.mark.parametrize("orientation", TURNS)
def test_a_photograph_is_read_upright(orientation: int, suffix: str, photo: NDArray[np.uint8], tmp_path: Path) -> None:
    path, decode = saved(tmp_path / f"p.{suffix}", photo, orientation), decoder([3, 5, 7])
    with Image.open(path) as opened:
        assert np.array_equal(np.asarray(ImageOps.exif_transpose(opened)), photo)
    assert np.array_equal(decode(path).reshape(3, 5, 7), photo.transpose(2, 0, 1))
    assert not any("stretched" in note for note in decode.notes())


@pytest.mark.parametrize("orientation", TURNS)
def test_greys_of_16_bits_and_transparent_ones_are_turned_as_well(
    orientation: int, photo: NDArray[np.uint8], tmp_path: Path
) -> None:
    wide = photo[:, :, 0].astype(np.uint16) << 8
    assert np.array_equal(
        decoder([1, 5, 7])(saved(tmp_path / "w.png", wide, orientation)).reshape(5, 7), photo[:, :, 0]
    )
    clear = np.concatenate([photo, photo[:, :, :1]], axis=2)
    read = decoder([4, 5, 7])(saved(tmp_path / "c.png", clear, orientation)).reshape(4, 5, 7)
    assert np.array_equal(read, clear.transpose(2, 0, 1))


@pytest.mark.parametrize("said", [0, 9, 65535])
def test_what_exif_does_not_know_leaves_a_picture_as_it_is(said: int, photo: NDArray[np.uint8], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = said
    Image.fromarray(photo).save(tmp_path / "p.png", exif=exif)
    Image.fromarray(photo).save(tmp_path / "b.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\xff\x01\x12\0\x03")
    for name in ("p.png", "b.png"):
        decode = decoder([3, 5, 7])
        assert np.array_equal(decode(tmp_path / name).reshape(3, 5, 7), photo.transpose(2, 0, 1))
        assert decode.notes() == []


def test_the_report_says_how_many_were_turned(section: Make, photo: NDArray[np.uint8], tmp_path: Path) -> None:
    """Of a folder of them, and of those that a table names."""
    (tmp_path / "photos" / "a").mkdir(parents=True)
    for orientation in TURNS:
        saved(tmp_path / "photos" / "a" / f"{orientation}.png", photo, orientation)
    (tmp_path / "table.csv").write_text(
        "class,file\n" + "".join(f"a,photos/a/{orientation}.png\n" for orientation in TURNS)
    )
    values = {
        "query": "SELECT *, TIMESTAMP '2024-01-01' + to_days(row_number() OVER ()::INT) AS at FROM source",
        "time": "at",
        "target": "class",
        "features": {"image": {"kind": "image", "shape": [3, 5, 7]}},
    }
    for source in (
        {"path": tmp_path / "photos", "format": "images"},
        {"path": tmp_path / "table.csv", "pictures": "file"},
    ):
        found = collected(section(sources={"s": source}, **values), "classification")
        assert (found.rows.columns["image"] == photo.transpose(2, 0, 1)).all()
        (note,) = [note for note in found.report.notes if "EXIF" in note]
        assert note.startswith("7 of 8 pictures of s say by EXIF how the camera was held, and were made upright")
