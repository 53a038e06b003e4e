"""Bodies for tables and pictures: the sizes that were published, and what their links and attention do."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from staytrue.errors import InvalidConfig
from staytrue.modelling import ModelSection
from training.models.architectures import build
from training.models.dense import DenseBlock
from training.models.excitation import Excitation
from training.models.inception import beside, halving
from training.models.layers import Layers
from training.models.layout import Layout, Piece
from training.models.mlp import Residual
from training.models.resnet import Block
from training.models.stem import stem_of

LAYERS = Layers()
IMAGENET = {"stem": "large", "width": 64}


def of_pictures(*shape: int) -> Layout:
    """Pictures and nothing else."""
    return Layout([Piece(name="p", kind="image", begin=0, end=math.prod(shape), shape=list(shape))])


def counted(module: torch.nn.Module) -> int:
    """Numbers that are learnt."""
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("settings", "published"),
    [
        pytest.param({"stages": [2, 2, 2, 2]}, 11_689_512, id="ResNet-18"),
        pytest.param({"stages": [3, 4, 6, 3]}, 21_797_672, id="ResNet-34"),
        pytest.param({"stages": [3, 4, 6, 3], "block": "bottleneck"}, 25_557_032, id="ResNet-50"),
        pytest.param(
            {"stages": [3, 4, 6, 3], "block": "bottleneck", "attention": "channel"}, 28_088_024, id="SE-ResNet-50"
        ),
        pytest.param(
            {"stages": [6, 12, 24, 16], "block": "bottleneck", "links": "dense", "width": 32},
            7_978_856,
            id="DenseNet-121",
        ),
    ],
)
def test_known_networks_have_the_parameters_that_were_published(settings: dict[str, Any], published: int) -> None:
    """Of 224 pixels and 1,000 classes, as for ImageNet. Nothing is computed: there are shapes alone."""
    with torch.device("meta"):
        assert counted(build("resnet", of_pictures(3, 224, 224), IMAGENET | settings, 1000)) == published


@pytest.mark.parametrize(
    ("stem", "sizes"),
    [("by_size", [14, 16, 56]), ("small", [28, 32, 224]), ("pooled", [14, 16, 112]), ("large", [7, 8, 56])],
)
def test_a_stem_leaves_the_pixels_that_it_says(stem: str, sizes: list[int]) -> None:
    for size, expected in zip([28, 32, 224], sizes, strict=True):
        layers, left = stem_of((1, size, size), 2, LAYERS, stem, None, None)
        assert torch.nn.Sequential(*layers)(torch.zeros(1, 1, size, size)).shape == (1, 2, left, left)
        assert left == expected


def test_kernel_and_stride_stand_in_for_those_of_the_stem() -> None:
    layers, left = stem_of((3, 30, 32), 4, Layers(normalisation="none"), "small", 5, 3)
    assert (str(layers[0]), left) == ("Conv2d(3, 4, kernel_size=(5, 5), stride=(3, 3), padding=(2, 2))", 10)
    assert torch.nn.Sequential(*layers)(torch.zeros(2, 3, 30, 32)).shape == (2, 4, 10, 11)


@pytest.mark.parametrize("bottleneck", [False, True])
def test_a_residual_block_that_learnt_nothing_is_the_identity_and_a_plain_one_is_nothing(bottleneck: bool) -> None:
    """Of what a rectifier leaves, as every block gives it to the next."""
    values = torch.randn(3, 8, 4, 4).relu()
    for shortcut, expected in ((True, values), (False, torch.zeros_like(values))):
        block = Block(8, 8, 1, Layers(attention="channel"), bottleneck=bottleneck, shortcut=shortcut).eval()
        for parameter in block.inner.parameters():
            torch.nn.init.zeros_(parameter)
        assert torch.equal(block(values), expected)


def test_residual_units_that_learnt_nothing_are_the_identity() -> None:
    block = Residual(6, Layers(normalisation="layer"), dropout=0.5).train()
    for parameter in block.inner[-1].parameters():
        torch.nn.init.zeros_(parameter)
    units = torch.randn(4, 6)
    assert torch.equal(block(units), units)


def test_dense_blocks_keep_what_came_in_and_put_what_is_new_beside_it() -> None:
    maps = torch.randn(2, 5, 4, 4)
    made = DenseBlock(5, 3, LAYERS, bottleneck=True).eval()(maps)
    assert made.shape == (2, 8, 4, 4)
    assert torch.equal(made[:, :5], maps)


def test_dense_links_add_their_growth_and_are_halved_between_stages() -> None:
    """Closed form: 2k at first, k more of each block, half of that into the next stage, where k more come."""
    body = build("resnet", of_pictures(1, 16, 16), {"links": "dense", "width": 6, "stages": [3, 2]}, 2)
    norms = [module.num_features for module in body.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms == [12, 12, 18, 24, 30, 15, 21, 27]  # stem; three blocks; between the stages; two blocks; the last


def test_a_dense_mlp_sees_the_input_and_all_layers_in_each() -> None:
    body = build("mlp", Layout.numbers(5), {"links": "dense", "width": 7, "depth": 3}, 2)
    linear = [module.in_features for module in body.modules() if isinstance(module, torch.nn.Linear)]
    assert linear == [5, 12, 19, 26]


def test_excitation_multiplies_each_channel_by_one_number_of_the_means() -> None:
    """By hand: with weights of zero the logistic function of the shift, else read off all means."""
    excitation, maps = Excitation(3), torch.rand(2, 3, 4, 5) + torch.tensor([0.1, 1.1]).reshape(2, 1, 1, 1)
    torch.nn.init.ones_(excitation.squeeze.weight)  # by chance no unit might be above zero, and tell nothing
    torch.nn.init.zeros_(excitation.squeeze.bias)
    torch.nn.init.zeros_(excitation.excite.weight)
    with torch.no_grad():
        excitation.excite.bias.copy_(torch.tensor([0.0, math.log(3), -math.log(3)]))
    expected = maps * torch.tensor([0.5, 0.75, 0.25]).reshape(1, 3, 1, 1)
    torch.testing.assert_close(excitation(maps), expected)
    torch.nn.init.constant_(excitation.excite.weight, 0.1)
    scales = Excitation.forward(excitation, maps) / maps  # [2,3,4,5]
    assert torch.allclose(scales, scales[:, :, :1, :1], atol=1e-4)
    assert not torch.allclose(scales[0], scales[1])


@pytest.mark.parametrize("width", [1, 2, 5, 64])
def test_modules_have_the_channels_that_they_say(width: int) -> None:
    """Those of width 64 as Inception v3's first: 64, 64, 96 and 32."""
    maps = torch.zeros(2, 3, 7, 9)
    side, half = beside(3, width, LAYERS), halving(3, width, LAYERS)
    assert side(maps).shape == (2, 4 * width, 7, 9)
    assert half(maps).shape == (2, 3 + 4 * width, 4, 5)
    if width == 64:
        assert [branch(maps).shape[1] for branch in side.branches] == [64, 64, 96, 32]


@pytest.mark.parametrize("size", [1, 9, 32])
@pytest.mark.parametrize("name", ["resnet", "inception"])
def test_every_choice_of_parts_takes_pictures_of_any_size(name: str, size: int) -> None:
    """Among them more stages than the size has halves for."""
    choices: list[dict[str, Any]] = [
        {"normalisation": "group", "attention": "channel", "activation": "silu", "stages": [1, 1, 1]},
        {"normalisation": "layer", "activation": "tanh", "stem": "large", "memory_format": "channels_first"},
        {"normalisation": "none", "activation": "elu", "stem": "small", "memory_format": "channels_last"},
    ]
    if name == "resnet":
        choices += [{"links": "dense", "stages": [1, 1, 1]}, {"links": "plain", "block": "bottleneck"}]
    for settings in choices:
        body = build(name, of_pictures(2, size, size + 1), {"width": 4, "depth": 1} | settings, 3)
        assert body.eval()(torch.randn(2, 2 * size * (size + 1))).shape == (2, 3)


def test_the_order_in_memory_changes_no_answer() -> None:
    pictures = torch.randn(3, 2 * 14 * 14)
    answers = []
    for memory_format in ("channels_first", "channels_last"):
        torch.manual_seed(0)
        body = build("inception", of_pictures(2, 14, 14), {"width": 4, "memory_format": memory_format}, 3).eval()
        answers.append(body(pictures))
    torch.testing.assert_close(*answers)


@pytest.mark.parametrize(("normalisation", "over"), [("batch", (0, 2, 3)), ("layer", (1, 2, 3)), ("group", (2, 3, 4))])
def test_norms_bring_their_numbers_to_mean_zero_and_deviation_one(normalisation: str, over: tuple[int, ...]) -> None:
    maps = Layers(normalisation=normalisation).norm(16)(torch.randn(4, 16, 6, 6) * 3 + 2)
    if normalisation == "group":
        maps = maps.unflatten(1, (2, 8))  # groups of eight channels
    torch.testing.assert_close(maps.mean(dim=over), torch.zeros(()).expand_as(maps.mean(dim=over)), atol=1e-5, rtol=0)
    deviation = maps.std(dim=over, correction=0)
    torch.testing.assert_close(deviation, torch.ones(()).expand_as(deviation), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("activation", "sigmoid"), ("block", "wide"), ("links", "long"), ("stem", "tiny"), ("normalisation", "weight")],
)
def test_a_part_that_there_is_not_is_refused_with_those_that_there_are(setting: str, value: str) -> None:
    with pytest.raises(InvalidConfig, match=rf"model\.{setting}: expected one of \w+, .* here, got {value}"):
        build("resnet", of_pictures(1, 8, 8), {setting: value}, 2)


def test_depth_and_stages_do_not_go_together() -> None:
    assert ModelSection(architecture="resnet", stages=[1, 2]).stages == [1, 2]
    with pytest.raises(ValueError, match="depth and stages both say how many blocks there are: one of them"):
        ModelSection(architecture="resnet", stages=[1, 2], depth=2)
