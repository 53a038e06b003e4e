"""Movement: mirrors, quarter turns, shifts and crops against what indexing and interpolation give."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from staytrue.augmentation import ImageVariation
from training.augment.movement import NUMBERS, Movement, move

SIZE = (12, 12)
PICTURES = torch.randint(0, 256, (6, 2, *SIZE), generator=torch.Generator().manual_seed(0)).to(torch.float32)


def still(rows: int, size: tuple[int, int] = SIZE, **changed: Any) -> Movement:
    """A movement that changes nothing but this."""
    middle = np.tile((np.array(size) - 1) / 2, (rows, 1))
    none = np.zeros(rows, dtype=bool)
    return dataclasses.replace(Movement(none, none, np.zeros(rows), middle, np.ones((rows, 2))), **changed)


def test_what_stands_still_is_the_same_bit_for_bit_where_nothing_is_interpolated() -> None:
    assert torch.equal(move(PICTURES, still(6, interpolated=False)), PICTURES)
    torch.testing.assert_close(move(PICTURES, still(6)), PICTURES, rtol=0, atol=1e-2)


@pytest.mark.parametrize(("name", "axis"), [("mirrored", 3), ("upset", 2)])
def test_a_flip_is_exactly_the_mirrored_picture_and_so_within_the_map(name: str, axis: int) -> None:
    which = np.array([True, False] * 3)
    for interpolated in (False, True):
        moved = move(PICTURES, still(6, SIZE, interpolated=interpolated, **{name: which}))
        moved = moved.round() if interpolated else moved
        assert torch.equal(moved[::2], PICTURES[::2].flip(axis))
        assert torch.equal(moved[1::2], PICTURES[1::2])


def test_mirrors_come_before_what_else_is_done() -> None:
    pictures = PICTURES[:, :, :, :9]
    middle = np.tile([4.5, 5.0], (6, 1))
    both = still(
        6, (12, 9), mirrored=np.ones(6, bool), degrees=np.full(6, 25.0), middle=middle, factors=np.full((6, 2), 1.3)
    )
    later = dataclasses.replace(both, mirrored=np.zeros(6, bool))
    torch.testing.assert_close(move(pictures, both), move(pictures.flip(3), later), rtol=0, atol=1e-2)


@pytest.mark.parametrize(("degrees", "quarters"), [(90, 1), (180, 2), (-90, 3)])
@pytest.mark.parametrize("size", [(12, 12), (11, 11)], ids=["even", "odd"])
def test_a_quarter_turn_to_the_left_is_exactly_rot90(degrees: float, quarters: int, size: tuple[int, int]) -> None:
    pictures = PICTURES[:, :, : size[0], : size[1]]
    moved = move(pictures, still(6, size, degrees=np.full(6, float(degrees))))
    assert torch.equal(moved.round(), pictures.rot90(quarters, (2, 3)))
    torch.testing.assert_close(moved, pictures.rot90(quarters, (2, 3)), rtol=0, atol=1e-2)


def test_pictures_turn_by_their_own_angle_to_the_left() -> None:
    """A dot right of the centre goes up."""
    pictures = torch.zeros(2, 1, 5, 5)
    pictures[:, 0, 2, 4] = 1
    moved = move(pictures, still(2, (5, 5), degrees=np.array([0.0, 90.0])))
    assert [tuple(torch.nonzero(picture[0] > 0.99)[0].tolist()) for picture in moved] == [(2, 4), (0, 2)]


@pytest.mark.parametrize(("outside", "mode"), [("border", "edge"), ("zeros", "constant"), ("reflection", "reflect")])
def test_padding_and_cropping_is_a_shift_of_the_padded_picture(outside: str, mode: Any) -> None:
    settings = ImageVariation(crop_padding=2)
    numbers = np.random.default_rng(1).uniform(size=(6, NUMBERS))
    moved = move(PICTURES, Movement.drawn(settings, numbers, SIZE), outside).round().numpy()
    padded = np.pad(PICTURES.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode=mode)
    places = np.floor(numbers[:, 4:6] * 5).astype(int)
    assert len(set(map(tuple, places.tolist()))) > 3
    for found, picture, (down, right) in zip(moved, padded, places, strict=True):
        assert (found == picture[:, down : down + 12, right : right + 12]).all()


def test_a_crop_is_the_part_brought_to_the_old_size() -> None:
    """A quarter of the area at ratio 1: half of each side, as interpolation enlarges it, but for its border."""
    settings = ImageVariation(crop_area=[0.25, 0.25], crop_ratio=[1, 1])
    numbers = np.full((6, NUMBERS), 0.5)
    numbers[:, 4], numbers[:, 5] = 1 / 3, 2 / 3  # of six pixels that are left over: two above, four to the left
    moved = move(PICTURES, Movement.drawn(settings, numbers, SIZE))
    part = PICTURES[:, :, 2:8, 4:10]
    expected = torch.nn.functional.interpolate(part, size=SIZE, mode="bilinear", align_corners=False)
    torch.testing.assert_close(moved[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1], rtol=0, atol=1e-2)


def test_scaling_enlarges_around_the_centre() -> None:
    """A straight slope of one a pixel has half a one in a picture twice as large."""
    slope = torch.arange(9.0).expand(1, 1, 9, 9).contiguous()
    moved = move(slope, still(1, (9, 9), factors=np.full((1, 2), 2.0)))
    torch.testing.assert_close(moved[0, 0, 4], 2 + torch.arange(9.0) / 2)


def test_each_amount_is_spread_evenly_over_what_the_setting_says() -> None:
    numbers = np.random.default_rng(2).uniform(size=(20_000, NUMBERS))
    settings = ImageVariation(rotate=30, scale=[0.5, 1.5], flip_horizontally=0.25, flip_vertically=1)
    movement = Movement.drawn(settings, numbers, (10, 20))
    assert movement.mirrored.mean() == pytest.approx(0.25, abs=0.015)
    assert movement.upset.all()
    assert [movement.degrees.min(), movement.degrees.max()] == pytest.approx([-30, 30], abs=0.01)
    assert movement.degrees.std() == pytest.approx(30 / np.sqrt(3), rel=0.02)
    assert [movement.factors.min(), movement.factors.max()] == pytest.approx([0.5, 1.5], abs=0.001)


def test_crops_keep_the_area_and_ratio_asked_for_and_stay_within_the_picture() -> None:
    numbers = np.random.default_rng(3).uniform(size=(5_000, NUMBERS))
    movement = Movement.drawn(ImageVariation(crop_area=[0.2, 0.5]), numbers, (10, 20))
    kept = 1 / movement.factors
    area, ratio = kept.prod(axis=1), kept[:, 1] / kept[:, 0]
    assert [area.min(), area.max()] == pytest.approx([0.2, 0.5], abs=0.01)
    assert [ratio.min(), ratio.max()] == pytest.approx([0.75, 1.33], abs=0.01)
    ends = movement.middle[:, None] + 0.5 + np.array([-0.5, 0.5])[:, None] * (kept * [10, 20])[:, None]
    assert (ends >= -1e-9).all()
    assert (ends <= np.array([10, 20]) + 1e-9).all()
    assert ends[:, 0].min() < 0.1
