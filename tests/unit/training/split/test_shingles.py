"""Shingles: texts of which few words were changed are together, others apart."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.split.shingles import clusters

WORDS = np.array([f"word{place}" for place in range(2000)])


def written(seed: int, count: int = 100) -> list[str]:
    """Words drawn alike."""
    return [str(word) for word in np.random.default_rng(seed).choice(WORDS, count)]


def with_changed(words: list[str], count: int) -> str:
    """Every so many words another one."""
    changed = list(words)
    for place in np.linspace(3, len(words) - 4, count).astype(int):
        changed[place] = f"changed{place}"
    return " ".join(changed)


@pytest.mark.parametrize(("changed", "together"), [(0, 50), (1, 50), (2, 45), (10, 5), (25, 0)])
def test_texts_with_few_changed_words_are_together(changed: int, together: int) -> None:
    """2 of 100 words changed leave 92 of 104 runs in all in common; 10 leave 0.53, where hashes seldom agree in 0.8."""
    pairs = [(" ".join(written(seed)), with_changed(written(seed), changed)) for seed in range(50)]
    found = clusters([text for pair in pairs for text in pair])
    same = int((found[::2] == found[1::2]).sum())
    assert same >= together if changed < 5 else same <= together


def test_texts_that_have_nothing_in_common_are_apart() -> None:
    """Three thousand of them, of a small vocabulary."""
    found = clusters([" ".join(written(seed, 40)) for seed in range(3000)])
    assert len(np.unique(found)) == 3000


def test_short_and_empty_texts_are_compared_as_a_whole() -> None:
    """No run of three words is in them."""
    assert clusters(["", "yes", "Yes!", "no", "yes no", "", "no yes"]).tolist() == [0, 1, 1, 2, 3, 0, 4]


def test_many_copies_of_one_text_are_one_cluster() -> None:
    """In time that does not grow with their pairs."""
    assert set(clusters([" ".join(written(1))] * 20_000).tolist()) == {0}
