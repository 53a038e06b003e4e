"""Recurrent networks: what is exported gives what packed sequences give, whatever fills a row up."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from staytrue.errors import InvalidConfig, InvalidInput
from training.models.architectures import ARCHITECTURES, build
from training.models.layout import Layout, Piece
from training.models.recurrent import Recurrent

STEPS, CHANNELS, WIDTH = 6, 3, 4
LENGTHS = [6, 1, 4, 2]
SEQUENCES = Layout([Piece(name="s", kind="sequence", begin=0, end=STEPS * CHANNELS + STEPS, shape=[STEPS, CHANNELS])])
TEXTS = Layout([Piece(name="t", kind="text", begin=0, end=40, shape=[20], vocabulary=256)])
CELLS = ("rnn", "lstm", "gru")


def sequences(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers of so many steps, and how an encoder writes them."""
    steps = torch.randn(len(lengths), STEPS, CHANNELS, generator=torch.Generator().manual_seed(0))
    there = (torch.arange(STEPS) < torch.tensor(lengths).unsqueeze(1)).float()
    return steps, torch.cat([(steps * there.unsqueeze(2)).flatten(1), there], dim=1)


def encoded(*texts: bytes) -> torch.Tensor:
    """Texts of at most 20 bytes as an encoder writes them."""
    numbers = torch.tensor([list(text.ljust(20, b"\0")) for text in texts]) / 255
    return torch.cat([numbers, (numbers > 0).float()], dim=1)


def body(name: str, layout: Layout = SEQUENCES, **settings: Any) -> Recurrent:
    """A small network."""
    torch.manual_seed(1)
    made = build(name, layout, {"width": WIDTH} | settings, outputs=2)
    assert isinstance(made, Recurrent)
    return made


def pytorch_own(network: Recurrent, name: str) -> nn.RNNBase:
    """PyTorch's bidirectional cell of two layers, with the network's weights."""
    own: nn.RNNBase = getattr(nn, name.upper())(CHANNELS, WIDTH, num_layers=2, bidirectional=True, batch_first=True)
    for place, layer in enumerate(network.layers):
        for suffix, cell in (("", layer.ahead), ("_reverse", layer.back)):
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(own, f"{kind}_l{place}{suffix}").data = getattr(cell, f"{kind}_l0").data
    return own


@pytest.mark.parametrize("name", CELLS)
def test_the_exported_form_gives_what_pytorch_gives_of_packed_sequences(name: str) -> None:
    """Two layers in both directions: the last step's memory, and the mean of all."""
    network = body(name, depth=2).eval()
    steps, matrix = sequences(LENGTHS)
    packed = pack_padded_sequence(steps, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    out, last = pytorch_own(network, name)(packed)
    state = (last[0] if name == "lstm" else last)[-2:]  # [2,N,width]: ahead, back
    expected = network.last(torch.cat([state[0], state[1]], dim=1))
    torch.testing.assert_close(network(matrix), expected)
    averaged = body(name, depth=2, pooling="mean").eval()
    averaged.load_state_dict(network.state_dict())
    every = pad_packed_sequence(out, batch_first=True)[0]  # zeros behind a row's end
    expected = averaged.last(every.sum(dim=1) / torch.tensor(LENGTHS).unsqueeze(1))
    torch.testing.assert_close(averaged(matrix), expected)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("name", CELLS)
def test_training_and_serving_agree_of_rows_without_a_step_too(name: str, pooling: str) -> None:
    """Packed in training, filled up elsewhere; gradients are finite."""
    network = body(name, pooling=pooling)
    matrix = sequences([*LENGTHS, 0])[1]
    packed = network.train()(matrix)
    torch.testing.assert_close(network.eval()(matrix), packed)
    assert torch.isfinite(packed).all()
    packed.sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters() if weight.grad is not None)


def test_a_gap_inside_a_row_is_a_step_of_zeros_that_no_pooling_counts() -> None:
    """So that what comes after it is read as well."""
    matrix = sequences([3])[1]
    gap = matrix.clone()
    gap[0, CHANNELS : 2 * CHANNELS] = 0
    gap[0, STEPS * CHANNELS + 1] = 0
    network = body("gru").eval()
    zeros = gap.clone()
    zeros[0, STEPS * CHANNELS + 1] = 1
    torch.testing.assert_close(network(gap), network(zeros))
    assert not torch.allclose(network(gap), network(matrix))


def test_one_direction_has_half_the_memory() -> None:
    """And knows nothing of later steps before they come."""
    ahead, both = body("gru", bidirectional=False), body("gru")
    assert (ahead.last.in_features, both.last.in_features) == (WIDTH, 2 * WIDTH)
    assert all(layer.back is None for layer in ahead.layers)


@pytest.mark.parametrize("stride", [1, 3, None])
def test_a_text_gives_the_same_however_much_fills_it_up(stride: int | None) -> None:
    """The layout's 20 bytes, or 26; the convolution's windows reach beyond the text's end in both."""
    longer = Layout([Piece(name="t", kind="text", begin=0, end=52, shape=[26], vocabulary=256)])
    short = encoded(b"hello", b"", b"a longer one")
    more = torch.cat([short[:, :20], torch.zeros(3, 6), short[:, 20:], torch.zeros(3, 6)], dim=1)
    networks = [body("gru", layout, stride=stride).eval() for layout in (TEXTS, longer)]
    torch.testing.assert_close(networks[0](short), networks[1](more))


def test_a_text_has_a_step_for_each_stride() -> None:
    """Of 20 bytes at a stride of 8: bytes 0 to 7, 8 to 15, 16 to 19."""
    steps = body("lstm", TEXTS).steps
    vectors, there = steps(encoded(b"x" * 20, b"x" * 10, b"x", b""))
    assert vectors.shape == (4, 3, WIDTH)
    assert there.tolist() == [[True] * 3, [True, True, False], [True, False, False], [False] * 3]
    assert vectors[~there].abs().sum() == 0


def test_what_a_convolution_finds_does_not_depend_on_where_in_a_stride_it_stands() -> None:
    """A byte among others, one of which is looked at on each side; in the next stride it is another step's."""
    steps = body("lstm", TEXTS, kernel=3, stride=10).steps
    made = [steps(encoded(b"." * place + b"!" + b"." * (19 - place)))[0] for place in (4, 6, 14)]
    torch.testing.assert_close(made[0], made[1])
    assert not torch.allclose(made[0], made[2])


def test_an_even_kernel_keeps_the_number_of_steps() -> None:
    network = body("gru", kernel=2).eval()
    assert network.steps(sequences(LENGTHS)[1])[0].shape == (4, STEPS, WIDTH)


def test_settings_and_features_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidConfig, match=r"model\.pooling: expected last, mean, max or attention here, got token"):
        body("gru", pooling="token")
    with pytest.raises(InvalidInput, match="expected one sequence or text alone"):
        body("gru", Layout.numbers(3))


def test_the_three_cells_are_pytorchs() -> None:
    cells = [ARCHITECTURES[name].CELL for name in CELLS]  # type: ignore[attr-defined]
    assert cells == [nn.RNN, nn.LSTM, nn.GRU]
