"""Chunks: large pictures are predicted some megabytes at a time, small ones and rows of a table many at once."""

from __future__ import annotations

import numpy as np
import pytest

from staytrue.feature import Feature
from training.data.encode.encoder import CHUNK, CHUNK_BYTES, ROWS, Encoder, learn
from training.data.rows import Rows, TrainingRows


@pytest.mark.parametrize(
    ("shape", "chunk"), [([1, 8, 8], CHUNK), ([3, 32, 32], CHUNK_BYTES // (4 * 3 * 32 * 32)), ([3, 700, 700], 1)]
)
def test_pictures_are_predicted_some_bytes_at_a_time(shape: list[int], chunk: int) -> None:
    rows = TrainingRows.of(Rows(np.arange(2.0), {"p": np.zeros((2, *shape), np.uint8)}, np.zeros(2)))
    assert Encoder(learn(rows, {"p": Feature(kind="image", shape=shape)})).chunk == chunk


def test_rows_of_a_table_are_predicted_many_at_once() -> None:
    rows = TrainingRows.of(Rows(np.arange(2.0), {"x": np.arange(2, dtype=np.float32)}, np.zeros(2)))
    assert Encoder(learn(rows, {"x": Feature(kind="numeric")})).chunk == ROWS
