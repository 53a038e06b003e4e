"""Split: whole blocks, spread over time, the test part sealed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staytrue.errors import InvalidInput
from staytrue.records import DAY_SECONDS
from staytrue.splitting import SplitSection
from training.data.rows import Rows
from training.data.split.plan import blocks_of, split, spread


def hourly(days: float, seed: int = 0) -> Rows:
    """Hourly rows that all differ."""
    time = np.arange(int(days * 24), dtype=np.float64) * 3600.0 + 11574 * DAY_SECONDS
    values = np.random.default_rng(seed).normal(size=len(time))
    return Rows(time, {"x": values.astype(np.float32)}, values)


def test_every_row_is_in_exactly_one_part_and_blocks_stay_whole() -> None:
    """No week is in two parts."""
    rows = hourly(70)
    plan = split(rows, SplitSection())
    everything = sorted(itertools.chain.from_iterable(plan.parts.values()))
    assert everything == list(range(len(rows)))
    blocks = blocks_of(rows.time, 7)
    weeks = [set(blocks[indices]) for indices in plan.parts.values()]
    assert [len(part) for part in weeks] == [7, 2, 1]
    assert not weeks[0] & weeks[1] | weeks[0] & weeks[2] | weeks[1] & weeks[2]


def test_the_newest_block_trains() -> None:
    """What comes next is most like the newest rows."""
    rows = hourly(70)
    assert split(rows, SplitSection()).parts["train"][-1] == len(rows) - 1


@pytest.mark.parametrize(("days", "blocks"), [(14, 2), (17, 2), (18, 3)], ids=["even", "short tail", "long tail"])
def test_a_closing_block_shorter_than_half_joins_the_one_before(days: int, blocks: int) -> None:
    """A week of one day would be no week."""
    assert blocks_of(hourly(days).time, 7)[-1] + 1 == blocks


def test_blocks_are_numbered_without_gaps() -> None:
    """A month without rows makes no empty blocks."""
    times = np.array([0.0, 1.0, 40.0, 41.0]) * DAY_SECONDS
    assert blocks_of(times, 1).tolist() == [0, 1, 2, 2]  # the last, a moment long, joins the one before


@given(
    st.lists(st.floats(0.01, 1), min_size=2, max_size=4).map(lambda raw: [s / sum(raw) for s in raw]),
    st.integers(1, 200),
)
def test_spread_keeps_each_share_within_a_block_or_two_at_every_prefix(shares: list[float], count: int) -> None:
    """Even over time: at no point is a part far behind its share."""
    dealt = spread(shares, [1] * count)
    for part, share in enumerate(shares):
        lag = np.cumsum(dealt == part) - share * np.arange(1, count + 1)
        assert np.abs(lag).max() < len(shares)


def test_blocks_of_unequal_size_are_dealt_by_their_rows() -> None:
    """Every third week has ten times the rows; by their number alone the test part would get a fifth."""
    weeks = [1000 if week % 10 == 5 else 20 for week in range(40)]
    time = np.concatenate([np.linspace(7 * week, 7 * week + 6.9, count) for week, count in enumerate(weeks)])
    rows = Rows(time * DAY_SECONDS, {"x": np.arange(float(len(time)))}, np.arange(float(len(time))))
    by_number = spread((0.7, 0.2, 0.1), [1] * 40)[::-1]
    held = np.bincount(by_number, weights=weeks) / sum(weeks)
    assert np.abs(held - (0.7, 0.2, 0.1)).max() > 0.1
    shares = [len(part) / len(rows) for part in split(rows, SplitSection()).parts.values()]
    assert np.abs(np.array(shares) - (0.7, 0.2, 0.1)).max() < np.abs(held - (0.7, 0.2, 0.1)).max()


@given(st.lists(st.integers(0, 60), min_size=30, max_size=200), st.sampled_from(["blocks", "time"]))
def test_rows_of_one_time_are_in_one_part(days: list[int], method: str) -> None:
    """Midnights, on which blocks begin and end, among them."""
    time = np.sort(np.array([*range(0, 90, 3), *days], dtype=np.float64)) * DAY_SECONDS
    rows = Rows(time, {"x": time}, time)
    plan = split(
        rows,
        SplitSection.model_validate({"method": method, "block_days": 3} if method == "blocks" else {"method": method}),
    )
    times = [set(time[part].tolist()) for part in plan.parts.values()]
    assert sum(map(len, times)) == len(set(time.tolist()))


def test_too_few_blocks_say_so() -> None:
    """Two weeks cannot make three parts."""
    with pytest.raises(InvalidInput, match=r"2 blocks of 7 days leave none for validation, test.*block_days"):
        split(hourly(14), SplitSection())
