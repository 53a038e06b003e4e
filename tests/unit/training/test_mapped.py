"""Arrays that live in files: what they hold, when they are made, and that nothing of them stays."""

from __future__ import annotations

import errno
import gc
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from staytrue.errors import Unavailable
from staytrue.preparation import CleaningSection
from training.data import mapped
from training.data.clean.cleaning import clean, duplicates, is_missing
from training.data.keys import keys_of
from training.data.rows import Rows, join

PLACES = [np.array([4, 0, 0, 3]), np.array([1, 2, 3]), np.array([], dtype=np.int64), np.arange(6) % 2 == 0]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows a part."""
    monkeypatch.setattr(mapped, "PART_BYTES", 2 * 3 * 4 * 4)


def pictures(rows: int = 6, seed: int = 0) -> np.ndarray:
    """Some of floats, one without a pixel, one with an infinite one, two alike."""
    made = np.random.default_rng(seed).normal(size=(rows, 3, 4, 4)).astype(np.float32)
    made[1, 0, 0, 0], made[2, 2, 1, 1], made[-1] = np.nan, np.inf, made[0]
    return made


def rows(most: int, seed: int = 0, begin: float = 0.0) -> Rows:
    """Of one picture and one number each; the last repeats the first but for its time."""
    column = mapped.kept(pictures(seed=seed), most)
    number = mapped.kept(np.array([1, 2, 3, 4, 5, 1], dtype=np.float32), most)
    return Rows(begin + np.arange(6.0), {"p": column, "x": number}, np.zeros(6), {}, most)


def test_only_what_is_larger_than_it_may_be_lies_in_a_file() -> None:
    assert not mapped.is_mapped(mapped.empty((4, 2), np.float32, 32))
    found = mapped.empty((4, 2), np.float32, 31)
    assert mapped.is_mapped(found)
    assert mapped.is_mapped(found[1:].reshape(-1)), "nor is a view of it in memory"
    assert found.flags.writeable
    assert (found == 0).all()


@pytest.mark.parametrize("which", PLACES, ids=["any order", "neighbours", "none", "mask"])
def test_rows_of_a_mapped_column_are_those_of_one_in_memory(which: np.ndarray) -> None:
    column = mapped.kept(pictures(), 1)
    found = mapped.taken(column, which, 1)
    np.testing.assert_array_equal(found, pictures()[which])
    assert mapped.is_mapped(found) == (len(found) > 0)


def test_neighbouring_rows_are_a_view() -> None:
    column = mapped.kept(pictures(), 1)
    assert np.shares_memory(mapped.taken(column, np.array([2, 3]), 1), column)
    assert not np.shares_memory(mapped.taken(column, np.array([3, 2]), 1), column)


def test_few_rows_of_a_large_column_come_into_memory() -> None:
    column = mapped.kept(pictures(), 1)
    assert not mapped.is_mapped(mapped.taken(column, np.array([5, 0]), 2 * column[0].nbytes))


def test_mapped_rows_join_in_the_order_of_time() -> None:
    whole = join([rows(1), rows(1, seed=1, begin=0.5)])
    assert all(mapped.is_mapped(column) for column in whole.columns.values())
    expected = np.stack([pictures(), pictures(seed=1)], axis=1).reshape(12, 3, 4, 4)
    np.testing.assert_array_equal(whole.columns["p"], expected)
    assert whole.digest() == join([rows(10**6), rows(10**6, seed=1, begin=0.5)]).digest()
    np.testing.assert_array_equal(join([rows(1), rows(1, seed=1)], np.array([2, 3])).columns["x"], [2, 2])


def test_steps_by_parts_find_what_they_find_in_memory() -> None:
    """The expected figures are of whole columns, by numpy."""
    one, other = rows(1), rows(10**6)
    assert is_missing(one.columns["p"]).tolist() == np.isnan(pictures()).any(axis=(1, 2, 3)).tolist()
    np.testing.assert_array_equal(keys_of(one.columns), keys_of(other.columns))
    alike = Rows(np.zeros(6), one.columns, np.zeros(6), {}, 1)
    assert duplicates(alike).tolist() == [False] * 5 + [True]


def test_cleaning_maps_what_it_changes() -> None:
    found, report = clean(rows(1), CleaningSection())
    assert report.infinite == {"p": 1}
    assert np.isnan(found.columns["p"][2, 2, 1, 1])
    assert mapped.is_mapped(found.columns["p"])
    assert found.digest() == clean(rows(10**6), CleaningSection())[0].digest()


def test_a_file_is_gone_with_its_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never has a name, so that no end of the process leaves it; and its room is given back."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    opened = len(list(Path("/proc/self/fd").iterdir()))
    column: Any = mapped.kept(pictures(), 1)
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == opened + 1
    del column
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == opened


def test_a_full_disk_is_told_and_kills_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        Unavailable, match=r"room for an array, got No space left on device for 1,152 bytes; set TMPDIR"
    ):
        mapped.kept(pictures(), 1)
