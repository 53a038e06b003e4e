"""Pictures: order, size and scale, each against plain numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from staytrue.errors import InvalidInput
from staytrue.feature import Feature
from staytrue.modelling import ModelSection
from tests.encoders import encoded, learnt
from training.data.encode.pictures import ImageState
from training.models.architectures import arguments_of
from training.models.assembly import assemble
from training.models.classifier import Classifier
from training.models.layout import Layout
from training.tasks.classification import Classification

if TYPE_CHECKING:
    from staytrue.project import Project

DRAW = np.random.default_rng(3)
VIEWS = np.stack(
    [DRAW.integers(0, 60, (30, 7, 10)), DRAW.integers(50, 180, (30, 7, 10)), DRAW.integers(150, 256, (30, 7, 10))],
    axis=1,
).astype(np.uint8)
"""Shapes: [30,3,7,10]."""


def made(views: np.ndarray = VIEWS, seen: np.ndarray = VIEWS, **settings: Any) -> np.ndarray:
    """Pictures as the model sees them. Shapes: → [N,C,h,w]."""
    values = {"kind": "image", "shape": list(seen.shape[1:])} | settings
    feature = Feature.model_validate(values)
    rows = encoded(learnt({"p": seen}, {"p": feature}), {"p": views})
    return rows.reshape(-1, *feature.encoded_shape)


def bilinear(views: np.ndarray, height: int, width: int) -> Any:
    """Each new pixel between its four neighbours, by the distance of their middles; the border goes on outside."""

    def weights(new: int, old: int) -> Any:
        places = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(old)[None, :]))  # [new,old]

    return weights(height, views.shape[2]) @ views.astype(np.float64) @ weights(width, views.shape[3]).T


def test_half_brings_bytes_to_minus_1_to_1() -> None:
    np.testing.assert_allclose(made(normalise="half"), (VIEWS - 127.5) / 127.5, atol=1e-6)


def test_none_brings_bytes_to_0_to_1() -> None:
    np.testing.assert_allclose(made(normalise="none"), VIEWS / 255, atol=1e-6)


def test_given_statistics_take_the_place_of_those_of_training() -> None:
    """Those that are usual for ImageNet."""
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    expected = (VIEWS / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(deviation, (3, 1, 1))
    np.testing.assert_allclose(made(normalise="given", mean=mean, deviation=deviation), expected, atol=1e-5)


def test_each_picture_by_its_own_statistics_has_mean_0_and_deviation_1() -> None:
    got = made(VIEWS // 3 + 20, normalise="picture").reshape(30, -1)
    np.testing.assert_allclose(got.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(got.std(axis=1), 1, rtol=1e-5)


def test_a_picture_of_one_colour_becomes_zeros_by_its_own_statistics() -> None:
    assert np.abs(made(np.full_like(VIEWS[:1], 77), normalise="picture")).max() < 1e-6


@pytest.mark.parametrize("size", [(14, 20), (3, 4), (9, 5), (1, 1)], ids=str)
def test_resizing_is_bilinear(size: tuple[int, int]) -> None:
    got = made(normalise="none", resize=list(size))
    np.testing.assert_allclose(got, bilinear(VIEWS / 255, *size), atol=1e-5)


def test_half_the_size_is_the_mean_of_four() -> None:
    even = VIEWS[:, :, :6, :]
    expected = (even / 255).reshape(30, 3, 3, 2, 5, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(made(even, even, normalise="none", resize=[3, 5]), expected, atol=1e-6)


def test_the_middle_is_cut_out_after_resizing() -> None:
    np.testing.assert_allclose(made(normalise="none", crop=[3, 6]), VIEWS[:, :, 2:5, 2:8] / 255, atol=1e-6)
    both = made(normalise="none", resize=[14, 20], crop=[4, 4])
    np.testing.assert_allclose(both, bilinear(VIEWS / 255, 14, 20)[:, :, 5:9, 8:12], atol=1e-5)


@pytest.mark.parametrize("normalise", ["channel", "picture", "half", "none"])
def test_channels_may_be_sent_last_and_backwards(normalise: str) -> None:
    """As OpenCV reads files: the model sees what it sees of the usual form."""
    backwards = np.ascontiguousarray(VIEWS[:, ::-1].transpose(0, 2, 3, 1))
    settings = {"layout": "channels_last", "channel_order": "reversed"}
    got = made(backwards, backwards, normalise=normalise, resize=[5, 8], crop=[5, 5], **settings)
    np.testing.assert_allclose(got, made(normalise=normalise, resize=[5, 8], crop=[5, 5]), atol=1e-6)


@pytest.mark.parametrize("normalise", ["channel", "half", "none"])
def test_a_gap_in_a_picture_of_numbers_takes_the_mean_before_it_is_resized(normalise: str) -> None:
    """So that no neighbour is lost with it."""
    numbers = DRAW.normal(100, 20, (40, 1, 4, 4)).astype(np.float32)
    holed, filled = numbers[:1].copy(), numbers[:1].copy()
    holed[0, 0, 1, 2], filled[0, 0, 1, 2] = np.nan, numbers.mean(dtype=np.float64)
    settings = {"datatype": "FP32", "normalise": normalise, "resize": [2, 2]}
    np.testing.assert_allclose(
        made(holed, numbers, **settings), made(filled, numbers, **settings), rtol=1e-5, atol=1e-5
    )


def test_numbers_are_cut_at_ten_deviations_whatever_they_are_scaled_by() -> None:
    numbers = DRAW.normal(100, 20, (40, 1, 2, 2)).astype(np.float32)
    odd = np.full((1, 1, 2, 2), np.inf, dtype=np.float32)
    most = numbers.mean(dtype=np.float64) + 10 * numbers.std(dtype=np.float64)
    assert made(odd, numbers, datatype="FP32", normalise="none").ravel() == pytest.approx([most] * 4, rel=1e-5)
    half = made(odd, numbers, datatype="FP32", normalise="half")
    assert half.ravel() == pytest.approx([(most - 127.5) / 127.5] * 4, rel=1e-5)


def test_a_state_of_an_older_run_is_still_read() -> None:
    """It knew of one order, size and scale."""
    old = {"name": "p", "datatype": "UINT8", "unit": "", "shape": [1, 2, 2], "mean": [0.2], "deviation": [0.1]}
    module = ImageState(**old).module()  # type: ignore[arg-type]
    assert module.width == 4


def test_a_residual_network_sees_the_size_that_is_left(project: Project) -> None:
    """Of pictures of 40 by 60, sent with the channels last."""
    told = {"kind": "image", "shape": [40, 60, 3], "layout": "channels_last", "resize": [12, 18], "crop": [12, 12]}
    feature = Feature.model_validate(told)
    model = ModelSection(architecture="resnet", task="classification", width=4, depth=1)
    data = project.data.model_copy(update={"features": {"p": feature}})
    arguments = arguments_of(project.model_copy(update={"data": data, "model": model}))
    views = DRAW.integers(0, 256, (5, 40, 60, 3)).astype(np.uint8)
    states, task = learnt({"p": views}, {"p": feature}).states, Classification("y", ("cat", "dog"))
    assert Layout.of(states).one("image").shape == [3, 12, 12]
    network = assemble(states, "resnet", arguments, task)
    assert isinstance(network, Classifier)
    assert network.probabilities({"p": views}).shape == (5, 2)


@pytest.mark.parametrize("still", [np.full((1, 1, 3, 3), 29, np.uint8), np.full((9, 1, 3, 3), 0.1, np.float32)])
def test_pictures_of_one_value_divide_by_nothing_small(still: Any) -> None:
    """The mean of nine 29s as shares of 255 is not theirs to the last bit: the next grey level would be enormous."""
    values = {"kind": "image", "shape": [1, 3, 3], "datatype": "UINT8" if still.dtype == np.uint8 else "FP32"}
    encoder = learnt({"p": still}, {"p": Feature.model_validate(values)})
    assert np.abs(encoded(encoder, {"p": still + still.dtype.type(1)})).max() <= 1.0


def test_pictures_of_numbers_that_stand_for_none_are_refused() -> None:
    """By which every mean would be one of them, and squares of differences infinite."""
    column = np.zeros((10, 1, 2, 2), dtype=np.float32)
    column[3, 0, 1, 1] = -3.4e38
    with pytest.raises(InvalidInput, match=r"data\.features\.p: expected channels whose .* within 1e\+15"):
        learnt({"p": column}, {"p": Feature(kind="image", shape=[1, 2, 2], datatype="FP32")})
