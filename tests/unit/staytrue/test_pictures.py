"""The five numbers of a picture, against values worked out by hand, and against what they are there to tell."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from staytrue.pictures import BATCH, SUMMARIES, summarise


def one(grey: list[list[float]]) -> dict[str, float]:
    """The numbers of one picture of one channel."""
    return {name: float(values[0]) for name, values in summarise(np.array(grey)[None, None]).items()}


def test_a_checkerboard_by_hand() -> None:
    """Every step is 1, every second difference 2, half of the values are 1."""
    told = one([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    assert told["brightness"] == pytest.approx(4 / 9)
    assert told["contrast"] == pytest.approx(np.sqrt(4 / 9 * 5 / 9))
    assert told["sharpness"] == pytest.approx(1 / told["contrast"])
    assert told["grain"] == pytest.approx(2.0)
    assert told["tilt"] == pytest.approx(0.0)


def test_a_diagonal_is_tilted_and_its_mirror_the_other_way() -> None:
    diagonal = np.pad(np.eye(6), 2)
    assert one(diagonal.tolist())["tilt"] > 0.5
    assert one(diagonal[:, ::-1].tolist())["tilt"] == pytest.approx(-one(diagonal.tolist())["tilt"])


def test_bytes_count_as_shares_of_white() -> None:
    white = np.full((1, 3, 2, 2), 255, dtype=np.uint8)
    assert summarise(white)["brightness"].tolist() == [1.0]
    assert summarise(white.astype(np.float32))["brightness"].tolist() == [255.0]


def test_many_are_taken_in_parts_without_a_difference() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (BATCH // 16 + 3, 1, 4, 4), dtype=np.uint8)
    whole, last = summarise(pictures), summarise(pictures[-2:])
    assert all(np.array_equal(whole[name][-2:], last[name]) for name in SUMMARIES)
    assert {name: len(values) for name, values in summarise(pictures[:0]).items()} == dict.fromkeys(SUMMARIES, 0)


def test_a_picture_of_one_row_has_its_numbers() -> None:
    assert all(np.isfinite(values).all() for values in summarise(np.ones((2, 1, 1, 5))).values())


@pytest.mark.parametrize("name", ["sharpness", "grain"])
def test_blur_lowers_and_noise_raises(name: str) -> None:
    random = np.random.default_rng(1)
    picture = ndimage.gaussian_filter(random.random((40, 40)), 2) * 10
    blurred, noisy = ndimage.gaussian_filter(picture, 2), picture + random.normal(0, 0.3, picture.shape)
    assert one(blurred.tolist())[name] < one(picture.tolist())[name] < one(noisy.tolist())[name]
