"""Shingles: texts of which few words were changed are together, others apart."""

from __future__ import annotations

import tracemalloc

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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "我们昨天在北京的一家小餐馆里吃了非常好吃的饺子然后去看了电影",
            "在上海工作的朋友告诉我今年冬天那里下了很大的雪道路都封闭了",
        ),
        (
            "きのうはともだちといっしょにえいがをみてからばんごはんをたべました",
            "あしたのかいぎはじゅうじからはじまりますのでおくれないでください",
        ),
        ("เมื่อวานฉันไปตลาดกับแม่เพื่อซื้อผักและผลไม้สำหรับทำอาหารเย็น", "พรุ่งนี้เราจะเดินทางไปเชียงใหม่โดยรถไฟขบวนแรกของวันตอนเช้าตรู่"),
    ],
    ids=["Chinese", "Japanese", "Thai"],
)
def test_texts_without_spaces_are_compared_by_characters(one: str, other: str) -> None:
    """Of sixty sentences' worth, a word at the end is another; the other text has nothing to do with it."""
    said = one * 2
    assert clusters([said, said + other[:2], other * 2]).tolist() == [0, 0, 1]


def test_a_shared_beginning_makes_no_copies() -> None:
    """A letterhead of four thousand characters before letters of twice as many words."""
    head = " ".join(written(0, 450))
    found = clusters([head + " " + " ".join(written(seed, 900)) for seed in range(1, 50)])
    assert len(np.unique(found)) == 49


def test_copies_with_another_beginning_are_found() -> None:
    """A note of forty words before a letter of 1,500; all of it is looked at."""
    letters = [" ".join(written(seed, 1500)) for seed in range(20)]
    answers = [" ".join(written(100 + seed, 40)) + "\n" + letter for seed, letter in enumerate(letters)]
    found = clusters([*letters, *answers])
    assert (found[:20] == found[20:]).mean() >= 0.9
    assert len(np.unique(found[:20])) == 20


def test_a_text_of_megabytes_takes_no_more_memory_than_some_of_its_parts() -> None:
    """Two of twelve million characters that differ in a word, and another."""
    long = " ".join(written(1, 1_500_000))
    tracemalloc.start()
    found = clusters(iter([long, "changed " + long, long[::-1]]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.tolist() == [0, 0, 1]
    assert peak < 10 * len(long)
