"""Pictures: colours and erasing against their formulas, and the whole of a column as it is sent."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import pytest
import torch

from staytrue.augmentation import ImageVariation
from staytrue.feature import Feature
from training.augment import erasing
from training.augment.colours import Colours, recolour
from training.augment.draws import Draws
from training.augment.erasing import Erasure, erase
from training.augment.pictures import Pictures

GENERATOR = torch.Generator().manual_seed(4)
COLOURED = torch.rand(4, 3, 6, 5, generator=GENERATOR)
GREY = torch.rand(4, 1, 6, 5, generator=GENERATOR)
AMOUNTS = np.array([-0.2, 0.0, 0.1, 0.3])
BYTES = torch.randint(0, 256, (8, 3, 10, 10), dtype=torch.uint8, generator=GENERATOR)
ALL = ImageVariation(
    flip_horizontally=0.5,
    flip_vertically=0.5,
    rotate=20,
    scale=[0.8, 1.2],
    crop_padding=2,
    brightness=0.2,
    contrast=0.3,
    saturation=0.4,
    hue=0.1,
    erase=0.5,
)
PLACES = np.arange(8)


def pictures(settings: ImageVariation, **feature: Any) -> Pictures:
    """What varies a column of pictures of 3 by 10 by 10."""
    return Pictures(settings, Feature(kind="image", **({"shape": [3, 10, 10]} | feature)), Draws(0, 1))


def test_brightness_is_added() -> None:
    expected = (GREY + torch.from_numpy(AMOUNTS).float()[:, None, None, None]).clamp(0, 1)
    torch.testing.assert_close(recolour(GREY, Colours(brightness=AMOUNTS)), expected)


def test_contrast_stretches_around_the_mean() -> None:
    mean, factor = GREY.mean(dim=(1, 2, 3), keepdim=True), torch.from_numpy(1 + AMOUNTS).float()[:, None, None, None]
    torch.testing.assert_close(
        recolour(GREY, Colours(contrast=1 + AMOUNTS)), (mean + factor * (GREY - mean)).clamp(0, 1)
    )


def test_without_saturation_a_picture_is_grey() -> None:
    """By the weights of ITU-R BT.601."""
    found = recolour(COLOURED, Colours(saturation=np.zeros(4)))
    luma = (COLOURED * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1, keepdim=True)
    torch.testing.assert_close(found, luma.expand(-1, 3, -1, -1), rtol=0, atol=1e-5)


def test_hue_turns_as_colorsys_turns_it() -> None:
    found = recolour(COLOURED, Colours(hue=AMOUNTS))
    pixels = COLOURED[:, :, 2, 3].tolist()
    hsv = [colorsys.rgb_to_hsv(*pixel) for pixel in pixels]
    expected = [colorsys.hsv_to_rgb((h + amount) % 1, s, v) for (h, s, v), amount in zip(hsv, AMOUNTS, strict=True)]
    torch.testing.assert_close(found[:, :, 2, 3], torch.tensor(expected).float(), rtol=0, atol=1e-4)


def test_a_missing_pixel_stays_missing_and_spoils_no_other() -> None:
    gappy = GREY.clone()
    gappy[:, :, 1, 1] = torch.nan
    found = recolour(gappy, Colours(contrast=1 + AMOUNTS))
    assert torch.isnan(found).sum() == 4
    assert torch.isnan(found[:, :, 1, 1]).all()


def test_the_rectangle_erased_has_its_area_and_takes_the_mean_colour() -> None:
    erasure = Erasure(np.array([[1, 2], [0, 0]]), np.array([[3, 2], [0, 0]]))
    found = erase(COLOURED[:2], erasure)
    assert torch.equal(found[1], COLOURED[1])
    changed = (found[0] != COLOURED[0]).all(dim=0)
    assert torch.nonzero(changed).tolist() == [[row, column] for row in (1, 2, 3) for column in (2, 3)]
    torch.testing.assert_close(found[0][:, 1:4, 2:4], COLOURED[0].mean(dim=(1, 2))[:, None, None].expand(-1, 3, 2))


def test_erased_shares_and_ratios_are_those_asked_for() -> None:
    """On a picture so large that rounding to whole pixels does not matter; a third of the pictures stay whole."""
    settings = ImageVariation(erase=2 / 3, erase_area=[0.1, 0.2], erase_ratio=[0.5, 2])
    numbers = np.random.default_rng(5).uniform(size=(6_000, erasing.NUMBERS))
    erasure = Erasure.drawn(settings, numbers, (1000, 2000))
    pixels = erasure.pixels[erasure.pixels[:, 0] > 0]
    assert len(pixels) / 6_000 == pytest.approx(2 / 3, abs=0.03)
    area, ratio = pixels.prod(axis=1) / 2e6, 2 * pixels[:, 0] / pixels[:, 1]
    assert [area.min(), area.mean(), area.max()] == pytest.approx([0.1, 0.15, 0.2], abs=2e-3)
    assert [ratio.min(), np.median(ratio), ratio.max()] == pytest.approx([0.5, 1, 2], rel=0.05)
    assert (erasure.first >= 0).all()
    assert (erasure.first + erasure.pixels <= [1000, 2000]).all()


def test_the_same_picture_comes_out_in_any_batch_whatever_torchs_generator_says() -> None:
    vary, order = pictures(ALL), np.array([5, 2, 7])
    together = vary(BYTES, PLACES, 3)
    torch.manual_seed(99)
    assert torch.equal(vary(BYTES[order], order, 3), together[order])
    alone = torch.cat([vary(BYTES[place : place + 1], np.array([place]), 3) for place in range(8)])
    assert torch.equal(alone, together)
    assert together.dtype == torch.uint8
    assert not torch.equal(vary(BYTES, PLACES, 4), together)


def test_layouts_and_orders_of_channels_are_varied_alike() -> None:
    expected = pictures(ALL)(BYTES, PLACES, 0)
    last = pictures(ALL, shape=[10, 10, 3], layout="channels_last", channel_order="reversed")
    found = last(BYTES.flip(1).permute(0, 2, 3, 1), PLACES, 0)
    assert torch.equal(found.permute(0, 3, 1, 2).flip(1), expected)


def test_numbers_are_varied_as_bytes_are_but_for_rounding() -> None:
    settings = ALL.model_copy(update={"range": [0.0, 255.0]})
    found = pictures(settings, datatype="FP32")(BYTES.float(), PLACES, 0)
    assert found.dtype == torch.float32
    assert torch.equal(found.round().clamp(0, 255).to(torch.uint8), pictures(ALL)(BYTES, PLACES, 0))


def test_some_may_stay_as_they_are() -> None:
    many = BYTES[:1].expand(400, -1, -1, -1)
    found = pictures(ImageVariation(share=0.25, rotate=40))(many, np.arange(400), 0)
    same = (found == many).flatten(1).all(dim=1)
    assert float(same.float().mean()) == pytest.approx(0.75, abs=0.07)
    assert torch.equal(pictures(ImageVariation(share=1e-9, rotate=40))(many[:3], np.arange(3), 0), many[:3])
