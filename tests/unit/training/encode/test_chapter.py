"""The chapter says of each column what the model sees of it."""

from __future__ import annotations

import msgspec
import numpy as np

from staytrue.feature import Feature
from tests.encoders import learnt
from training.data.encode.chapter import chapter

FEATURES = {
    "speed": Feature(kind="numeric", scale="robust", fill="mean"),
    "level": Feature(kind="numeric", scale="quantile", quantiles=4),
    "raw": Feature(kind="numeric", scale="none"),
    "sky": Feature(kind="category", unknown="bucket"),
    "town": Feature(kind="category", encoding="embedding", width=3),
    "at": Feature(kind="date", parts=["year", "hour"]),
    "view": Feature(kind="image", shape=[4, 4, 1], layout="channels_last", channel_order="reversed", crop=[2, 2]),
    "note": Feature(kind="text", shape=[5]),
    "path": Feature(kind="sequence", shape=[2, 1]),
}
NUMBERS = np.array([1, 2, 3, 4, 5], dtype=np.float32)
COLUMNS = {
    "speed": NUMBERS,
    "level": NUMBERS,
    "raw": NUMBERS,
    "sky": np.array(["sun", "sun", "sun", "sun", "fog"], dtype=object),
    "town": np.array(["ulm"] * 5, dtype=object),
    "at": np.array([0, 0, 0, 0, 0]),
    "view": np.zeros((5, 4, 4, 1), dtype=np.uint8),
    "note": np.full((5, 5), 65, dtype=np.uint8),
    "path": np.ones((5, 2, 1), dtype=np.float32),
}


def test_every_kind_is_told_with_its_statistics_and_width() -> None:
    made = chapter(learnt(COLUMNS, FEATURES).states)
    assert made.summary == "9 columns become 30 numbers a row, inside the exported graph."
    expected = [
        ["speed", "numeric", "FP32 [-1,1]", "scale robust, missing as 3", "median 3, distance of the quartiles 2", 1],
        ["level", "numeric", "FP32 [-1,1]", "scale quantile, missing as 3", "4 quantiles from 1 to 5", 1],
        ["raw", "numeric", "FP32 [-1,1]", "scale none, missing as 3", "cut at -11.1421 and 17.1421", 1],
        ["sky", "category", "BYTES [-1,1]", "one-hot, unknown as bucket", "fog 20.0%, sun 80.0%", 3],
        ["town", "category", "BYTES [-1,1]", "embedding of 3, unknown as average", "ulm 100.0%", 3],
        ["at", "date", "INT64 [-1,1]", "year, hour", "year: mean 1970, deviation 1", 3],
        [
            "view",
            "image",
            "UINT8 [-1,4,4,1]",
            "normalise channel, channels last, channels reversed, crop 2 x 2",
            "mean 0; deviation 1",
            4,
        ],
        ["note", "text", "UINT8 [-1,5]", "UTF-8 bytes, at most 5, and a mask", "5 bytes in the mean", 10],
        ["path", "sequence", "FP32 [-1,2,1]", "at most 2 steps of 1, and a mask", "mean 1; deviation 1", 4],
    ]
    assert made.tables[0].rows == expected
    assert made.warnings == ['column "town" has one value that counts: it tells a model nothing']
    assert msgspec.json.decode(msgspec.json.encode(made), type=type(made)) == made


def test_a_year_that_is_not_taken_has_no_statistics() -> None:
    made = chapter(learnt({"at": COLUMNS["at"]}, {"at": Feature(kind="date", parts=["hour"])}).states)
    assert made.tables[0].rows[0][3:5] == ["hour", "nothing"]


def test_what_another_chapter_warns_of_is_not_told_twice() -> None:
    assert chapter(learnt(COLUMNS, FEATURES).states, ["town"]).warnings == []
