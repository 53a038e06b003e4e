"""Draws: published vectors of the hash, and numbers that belong to a row alone."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from training.augment.draws import Draws, philox


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, 0xFFFFFFFFFFFFFFFF, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            0x299F31D0A4093822,
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_the_hash_gives_the_published_words(counter: tuple[int, ...], key: int, expected: tuple[int, ...]) -> None:
    """Of the authors' known answers (Random123, philox4x32-10)."""
    words = philox(tuple(np.array([word], dtype=np.uint64) for word in counter), key)
    assert tuple(words[0].tolist()) == expected


def test_a_row_has_its_numbers_in_any_company() -> None:
    draws, order = Draws(seed=-3, stream=2), np.random.default_rng(0).permutation(100)
    together = draws.rows(np.arange(100), 5, 7)
    assert (draws.rows(order, 5, 7) == together[order]).all()
    assert (draws.rows(np.array([41]), 5, 3) == together[41, :3]).all()


@pytest.mark.parametrize(
    ("draws", "epoch", "place"),
    [(Draws(8, 1), 0, 0), (Draws(7, 2), 0, 0), (Draws(7, 1), 1, 0), (Draws(7, 1), 0, 2**32)],
    ids=["seed", "stream", "epoch", "place beyond 32 bits"],
)
def test_seed_stream_epoch_and_place_each_give_other_numbers(draws: Draws, epoch: int, place: int) -> None:
    found = Draws(7, 1).rows(np.array([0]), 0, 50)
    assert not np.isin(draws.rows(np.array([place]), epoch, 50), found).any()


def test_numbers_are_uniform_and_those_of_neighbours_have_nothing_to_do_with_each_other() -> None:
    numbers = Draws(0, 1).rows(np.arange(20_000), 0, 4)
    assert ((numbers > 0) & (numbers < 1)).all()
    assert scipy.stats.kstest(numbers.ravel(), "uniform").pvalue > 0.001
    for first, second in ((numbers[:-1, 0], numbers[1:, 0]), (numbers[:, 0], numbers[:, 1])):
        assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(20_000)
