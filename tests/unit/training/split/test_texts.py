"""Texts that make up a row, or are long, are nobody else's by chance: their copies across parts fail a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from staytrue.feature import Feature
from staytrue.splitting import SplitSection
from training.data.distinct import distinct
from training.data.keys import keys_of
from training.data.rows import Rows
from training.data.split.leakage import Finding, find
from training.data.split.neighbours import neighbours
from training.data.split.plan import split

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAW = np.random.default_rng(0)
WORDS = np.array([f"w{place}" for place in range(2000)])


def texts(count: int, words: int) -> list[str]:
    """So many, of words drawn alike."""
    return [" ".join(DRAW.choice(WORDS, words)) for _ in range(count)]


def looked_for(values: list[str], **beside: NDArray[np.object_]) -> list[Finding]:
    """What validation shares with train, where each text has a truth of its own; dealt at random."""
    count = len(values)
    rows = Rows(np.arange(float(count)), {"text": np.array(values, object), **beside}, np.arange(float(count)))
    settings, features = SplitSection(method="random"), {name: Feature(kind="category") for name in rows.columns}
    every = find(rows, split(rows, settings), settings, features)
    return [one for one in every if (one.part, one.other) == ("validation", "train")]


def test_copies_of_mails_with_other_truths_are_leakage() -> None:
    """A single column that meets itself; whoever labels a mail twice may label it otherwise."""
    mails = texts(1000, 80)
    exact, near = looked_for(mails + mails[:100])
    assert (exact.kind, exact.verdict, near.rows) == ("duplicates", "leakage", 0)
    assert exact.rows > 20


def test_where_every_mail_stands_there_twice_it_is_leakage() -> None:
    mails = texts(500, 12)
    assert looked_for(mails + mails)[0].verdict == "leakage"


def test_nearly_the_same_mails_are_leakage() -> None:
    mails = texts(500, 40)
    exact, near = looked_for(mails + [f"Re: {mail}" for mail in mails[:100]])
    assert (exact.rows, near.verdict) == (0, "leakage")


@pytest.mark.parametrize(
    ("words", "kinds", "verdict"), [(3, 500, "by chance"), (8, 50, "by chance"), (8, 500, "leakage")]
)
def test_short_texts_and_such_as_come_many_times_are_values_that_rows_take(
    words: int, kinds: int, verdict: str
) -> None:
    some = texts(kinds, words)
    assert looked_for([some[place] for place in DRAW.integers(0, kinds, 1000)])[0].verdict == verdict


def test_a_long_text_beside_a_code_is_past_doubt_and_a_title_is_not() -> None:
    sites = np.array(DRAW.choice(["north", "south"], 1100), object)
    for words, verdict in ((60, "leakage"), (6, "by chance")):
        some = texts(1000, words)
        assert looked_for(some + some[:100], site=sites)[0].verdict == verdict


def test_each_column_is_coded_once_for_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three pairs and five columns of texts it would be sixty times, which takes a minute for millions of rows."""
    columns = {f"c{place}": np.array(DRAW.choice(["x", "y", "z"], 300), object) for place in range(5)}
    rows = Rows(np.arange(300.0), columns, np.arange(300.0))
    whole, asked = keys_of(columns), list[int]()

    def counted(column: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        asked.append(len(column))
        return distinct(column)

    monkeypatch.setattr("training.data.keys.distinct", counted)
    thirds = np.split(np.arange(300), 3)
    found = neighbours(rows, whole, [(thirds[1], thirds[0]), (thirds[2], thirds[0]), (thirds[2], thirds[1])])
    assert asked == [300] * 5
    assert [len(has) for has in found] == [100, 100, 100]
