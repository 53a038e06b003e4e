"""Resident memory: what is done with mapped columns holds little of them, as the kernel counts it."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.training.memory import anonymous_bytes
from staytrue.preparation import CleaningSection
from training.data import keys, mapped
from training.data.clean.cleaning import clean
from training.data.rows import Rows, join

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPE, COUNT = (3, 64, 64), 3000
BYTES = 3 * 64 * 64 * COUNT
"""Of all pictures: 37 MB."""


def grown(work: Callable[[], Any]) -> int:
    """Bytes of anonymous memory that this process grows by while something is done, at the most."""
    before, most, done = anonymous_bytes(), [0], threading.Event()

    def look() -> None:
        while not done.wait(0.002):
            most[0] = max(most[0], anonymous_bytes() - before)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        kept = work()
        most[0] = max(most[0], anonymous_bytes() - before)
        del kept
    finally:
        done.set()
        looking.join()
    return most[0]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the columns are small themselves."""
    monkeypatch.setattr(mapped, "PART_BYTES", 1 << 19)
    monkeypatch.setattr(keys, "_AT_ONCE", 1 << 16)


def pictures(most: int) -> np.ndarray:
    """Made some at a time."""
    made = mapped.empty((COUNT, *SHAPE), np.uint8, most)
    draw = np.random.default_rng(0)
    for some in mapped.parts(made):
        made[some] = draw.integers(0, 256, (some.stop - some.start, *SHAPE), dtype=np.uint8)
    return made


def passed_over(most: int) -> Rows:
    """Rows that are cleaned, dealt, joined again and told by their digest."""
    given = Rows(np.arange(float(COUNT)), {"p": pictures(most)}, np.arange(float(COUNT)), {}, most)
    rows, _ = clean(given, CleaningSection())
    order = np.random.default_rng(1).permutation(COUNT)
    whole = join([rows.take(order[::2]), rows.take(order[1::2])])
    assert whole.digest()
    return whole


def test_rows_that_are_mapped_take_a_part_of_the_memory_of_their_pictures() -> None:
    """Of the same in memory there are the pictures, both parts and both joined."""
    assert grown(lambda: passed_over(1 << 20)) < 0.3 * BYTES
    assert grown(lambda: passed_over(sys.maxsize)) > 2 * BYTES
