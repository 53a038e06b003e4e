"""Naming: whether columns are as good as names of their rows, so that no two rows are alike by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.data.distinct import distinct
from training.data.keys import keys_of
from training.data.split.coordinates import SEVERAL, words_in
from training.data.split.neighbours import MANY

if TYPE_CHECKING:
    from training.data.rows import Rows

TELLING = 0.99
"""A column with so many different values for each different row names it."""
LONG = 20
"""Words of a text that is nobody else's by chance, whatever stands beside it."""


def names_of(some: Rows) -> int:
    """How many columns are as good as names of their row, as their values repeat with the whole row alone.

    Such rows are copies where they are alike, however often the data hold each of them. Where the same features came
    with different truths one such column may have met itself by chance, two have not: then they are copies as well, of
    which somebody took the truth down differently, as long as those are few. More than there are columns where rows are
    past doubt.
    """
    if _past_doubt(some):
        return len(some.columns) + 1
    unlike = len(np.unique(keys_of({**some.columns, "": some.target})))  # no column of a source has no name
    different = len(np.unique(keys_of(some.columns)))
    names = sum(len(distinct(column)[0]) >= TELLING * different for column in some.columns.values())
    contradicted = different < unlike
    return 0 if contradicted and (names < 2 or different < TELLING * unlike) else names


def _past_doubt(some: Rows) -> bool:
    """Whether no two rows are alike by chance: pictures, sequences, texts as bytes, and other texts of many words.

    Those of several words where there is nothing else in the rows, or long ones whatever stands beside them. Texts that
    come many times each are values that rows take.
    """
    if any(column.ndim > 1 for column in some.columns.values()):
        return True
    texts = [
        words_in(column)
        for column in some.columns.values()
        if column.dtype == object and len(distinct(column)[0]) * MANY >= len(some)
    ]
    alone = len(texts) == len(some.columns)
    return max(texts, default=0.0) >= (SEVERAL if alone else LONG)
