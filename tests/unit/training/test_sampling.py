"""Sampling: the order of an epoch, from the seed and its number alone."""

from __future__ import annotations

import pytest
import torch

from training.sampling import order

TRUTH = torch.tensor([[0]] * 50 + [[2]] * 7 + [[3]] * 3)
"""Three classes of 50, 7 and 3 rows; one that no row has."""


def test_an_epoch_is_what_one_generator_drew_before() -> None:
    """Models that were trained before come out the same again."""
    generator = torch.Generator().manual_seed(7)
    drawn = [torch.randperm(30, generator=generator) for _ in range(5)]
    assert all(torch.equal(order(30, epoch, seed=7), expected) for epoch, expected in enumerate(drawn))


@pytest.mark.parametrize("truth", [None, TRUTH], ids=["shuffled", "balanced"])
def test_an_epoch_does_not_depend_on_what_was_asked_before(truth: torch.Tensor | None) -> None:
    """Asked for alone, backwards, after other seeds, or with numbers drawn elsewhere."""
    asked = {epoch: order(60, epoch, 3, truth) for epoch in (4, 0, 2, 4, 1)}
    torch.rand(9)
    assert not torch.equal(order(60, 1, 4, truth), asked[1])
    assert all(torch.equal(order(60, epoch, 3, truth), found) for epoch, found in asked.items())
    assert len({tuple(found.tolist()) for found in asked.values()}) == len(asked)


def test_a_shuffled_epoch_has_each_row_once() -> None:
    """No more and no less."""
    assert sorted(order(100, 3, seed=-1).tolist()) == list(range(100))


@pytest.mark.parametrize("epoch", range(3))
def test_a_balanced_epoch_has_as_many_rows_of_each_class(epoch: int) -> None:
    """Rare rows come equally often, up to one; of a common class no row comes twice."""
    places = order(60, epoch, 0, TRUTH)
    assert TRUTH[places].flatten().bincount().tolist() == [20, 0, 20, 20]
    times = places.bincount(minlength=60)
    assert times[:50].max() == 1
    assert set(times[50:57].tolist()) == {2, 3}
    assert set(times[57:].tolist()) == {6, 7}


def test_a_rest_goes_to_classes_in_turn_of_chance() -> None:
    """Of 61 rows in three classes one has 21; over epochs each has had it."""
    truth = torch.cat([TRUTH.flatten(), torch.tensor([3])])
    counts = [truth[order(61, epoch, 0, truth)].bincount() for epoch in range(20)]
    assert {tuple(sorted(count.tolist())) for count in counts} == {(0, 20, 20, 21)}
    assert {int(count.argmax()) for count in counts} == {0, 2, 3}


def test_all_of_a_common_class_is_seen_over_some_epochs() -> None:
    """Each time another part of it."""
    seen = {int(place) for epoch in range(20) for place in order(60, epoch, 0, TRUTH)}
    assert seen == set(range(60))
