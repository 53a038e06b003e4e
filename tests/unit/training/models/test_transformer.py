"""The Transformer: tokens of each kind of feature, attention that sees what is there and nothing else."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from staytrue.errors import InvalidConfig
from training.models.architectures import build
from training.models.layout import Layout, Piece
from training.models.pooling import Pooling
from training.models.tokens import Numbers, Patches, waves
from training.models.transformer import Block, Transformer

STEPS, CHANNELS = 5, 2
SEQUENCES = Layout([Piece(name="s", kind="sequence", begin=0, end=15, shape=[STEPS, CHANNELS])])


def body(layout: Layout, **settings: Any) -> Transformer:
    """A small one, as it predicts."""
    torch.manual_seed(1)
    made = build("transformer", layout, {"width": 8, "heads": 2, "depth": 1} | settings, outputs=3)
    assert isinstance(made, Transformer)
    return made.eval()


def test_a_block_gives_what_pytorchs_own_layer_gives_with_its_weights() -> None:
    """Norm first, without dropout; what is not to be seen is masked in both."""
    torch.manual_seed(0)
    block = Block(8, 2, 16, "gelu", 0.0).eval()
    own = nn.TransformerEncoderLayer(8, 2, 16, 0.0, activation="gelu", batch_first=True, norm_first=True).eval()
    pairs = {
        "self_attn.in_proj_": "questions_keys_values.",
        "self_attn.out_proj.": "joined.",
        "linear1.": "feed.0.",
        "linear2.": "feed.3.",
        "norm1.": "before_look.",
        "norm2.": "before_feed.",
    }
    state = block.state_dict()
    own.load_state_dict({a + kind: state[b + kind] for a, b in pairs.items() for kind in ("weight", "bias")})
    tokens, there = torch.randn(2, 4, 8), torch.tensor([[True, True, False, False], [True] * 4])
    expected = own(tokens, src_key_padding_mask=~there)
    got = block(tokens, there[:, None, None, :])
    torch.testing.assert_close(got[there], expected[there])


@pytest.mark.parametrize("pooling", ["token", "mean", "max", "attention"])
def test_what_fills_a_row_up_changes_nothing_and_a_row_of_nothing_is_finite(pooling: str) -> None:
    network = body(SEQUENCES, pooling=pooling)
    matrix = torch.zeros(2, 15)
    matrix[0, :6], matrix[0, 10:13] = torch.randn(6), 1.0  # three steps; the other row has none
    filled = matrix.clone()
    filled[0, 6:10] = 7.0  # numbers of steps that are not there
    torch.testing.assert_close(network(filled), network(matrix))
    assert torch.isfinite(network(matrix)).all()


def test_each_number_and_each_category_of_a_table_is_a_token() -> None:
    """Three numbers of two features and two categories, and one to read the answer off."""
    pieces = [
        Piece(name="a", kind="numbers", begin=0, end=2, shape=[2]),
        Piece(name="b", kind="category", begin=2, end=5, shape=[3]),
        Piece(name="c", kind="numbers", begin=5, end=6, shape=[1]),
        Piece(name="d", kind="category", begin=6, end=8, shape=[2]),
    ]
    network = body(Layout(pieces))
    seen: list[tuple[int, ...]] = []
    network.blocks[0].register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    matrix = torch.rand(4, 8)
    plain = network(matrix)
    assert seen == [(4, 1 + 3 + 2, 8)]
    for column in range(8):
        changed = matrix.clone()
        changed[:, column] += 1
        assert not torch.equal(network(changed), plain)


def test_a_number_is_its_value_times_a_vector_plus_another() -> None:
    """Gorishniy et al., 2021, equation of the feature tokenizer."""
    network = body(Layout([Piece(name="a", kind="numbers", begin=0, end=2, shape=[2])]))
    numbers = network.kinds[0]
    assert isinstance(numbers, Numbers)
    tokens, there = numbers(torch.tensor([[0.0, 1.0], [2.0, 0.0]]))
    torch.testing.assert_close(tokens[0, 0], numbers.bias[0])
    torch.testing.assert_close(tokens[1, 0], numbers.bias[0] + 2 * numbers.weight[0])
    assert there.all()


def test_a_picture_is_cut_into_patches_row_by_row() -> None:
    """5 by 6 pixels at 4 by 4: two rows of two patches; each sees its own pixels."""
    patches = Patches(Piece(name="p", kind="image", begin=0, end=30, shape=[1, 5, 6]), 8, 4, "none")
    plain = patches(torch.zeros(1, 30))[0]
    assert plain.shape == (1, 4, 8)
    for pixel, patch in ((0, 0), (5, 1), (24, 2), (29, 3)):
        changed = patches(torch.eye(30)[pixel : pixel + 1])[0]
        differs = (changed != plain).any(dim=2)[0]
        assert differs.nonzero().flatten().tolist() == [patch]


def test_positions_are_the_papers_waves() -> None:
    """PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i+1) the cosine."""
    table = waves(50, 6)
    for place, column in ((0, 0), (1, 0), (7, 3), (49, 4), (49, 5)):
        angle = place / 10_000 ** (column // 2 * 2 / 6)
        expected = math.cos(angle) if column % 2 else math.sin(angle)
        assert table[place, column].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("positions", "differ"), [("learnt", True), ("sinusoidal", True), ("none", False)])
def test_the_order_of_steps_counts_only_by_their_positions(positions: str, differ: bool) -> None:
    network = body(SEQUENCES, positions=positions)
    numbers = torch.randn(1, STEPS, CHANNELS)
    forward, back = (torch.cat([part.flatten(1), torch.ones(1, STEPS)], dim=1) for part in (numbers, numbers.flip(1)))
    assert torch.allclose(network(forward), network(back), atol=1e-6) is not differ


def test_poolings_against_their_formulas() -> None:
    vectors = torch.tensor([[[1.0, -2.0], [3.0, -4.0], [50.0, 60.0]], [[5.0, 5.0]] * 3])
    there = torch.tensor([[True, True, False], [False] * 3])
    assert Pooling("mean", 2)(vectors, there).tolist() == [[2.0, -3.0], [0.0, 0.0]]
    assert Pooling("max", 2)(vectors, there).tolist() == [[3.0, -2.0], [0.0, 0.0]]
    attention = Pooling("attention", 2)
    assert attention.score is not None
    nn.init.zeros_(attention.score.weight)
    assert attention(vectors, there).tolist() == [[2.0, -3.0], [0.0, 0.0]]


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(InvalidConfig, match=r"model\.heads: expected a divisor of width 8, got 3"):
        body(SEQUENCES, heads=3)
