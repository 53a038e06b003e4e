"""The columns of a preparation: figures against numpy's, bars that count everything, pictures that can be opened."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from staytrue.feature import Feature
from training.data.columns import MOST_BARS, MOST_PICTURES, chapter
from training.data.rows import Rows, TrainingRows

NUMBER = Feature(kind="numeric")
CATEGORY = Feature(kind="category")


def rows(target: np.ndarray, **columns: np.ndarray) -> TrainingRows:
    """Rows a second apart."""
    return TrainingRows(np.arange(float(len(target))), columns, target)


def cells(made: Any, title: str, column: str) -> dict[str, Any]:
    """A row of a table by the names of its columns."""
    (table,) = [table for table in made.tables if table.title == title]
    (row,) = [row for row in table.rows if row[0] == column]
    return dict(zip(table.columns, row, strict=True))


def test_numbers_are_told_by_moments_and_quartiles() -> None:
    values = np.random.default_rng(3).normal(5, 2, 401).astype(np.float32)
    values[7] = np.nan
    present = np.delete(values, 7).astype(np.float64)
    told = cells(chapter(rows(np.zeros(401), x=values), {"x": NUMBER}, ["y"]), "Numbers", "x")
    assert (told["missing"], told["different"]) == (1, len(np.unique(present)))
    assert told["mean"] == pytest.approx(present.mean())
    assert told["deviation"] == pytest.approx(present.std())
    assert told["1st quartile"] == pytest.approx(np.percentile(present, 25))
    assert told["maximum"] == present.max()


def test_categories_are_told_by_their_shares_also_where_they_are_numbers() -> None:
    sky = np.array(["sun"] * 6 + ["rain"] * 3 + ["fog", "", ""], dtype=object)
    hour = np.array([4] * 9 + [5] * 3)
    made = chapter(rows(np.zeros(12), sky=sky, hour=hour), {"sky": CATEGORY, "hour": CATEGORY}, ["y"])
    assert cells(made, "Categories", "sky") == {
        "column": "sky",
        "missing": 2,
        "different": 3,
        "most common": "sun (60.0%)",
        "rarest": "fog (10.0%)",
    }
    assert cells(made, "Categories", "hour")["most common"] == "4 (75.0%)"


def test_values_far_from_the_others_are_told_with_the_setting() -> None:
    """By the robust z: of 0 to 99 the median absolute deviation is 25, so that beyond 10 means from 421 on."""
    values = np.tile(np.arange(100.0), 5)
    x, y, heavy = values.copy(), values.copy(), np.exp(values / 10)
    x[:3], y[:2] = [419, 421, -400], [9999, 9999]
    zeros = np.where(np.arange(500) % 3 == 0, 1e6, 0.0)
    features = {"x": NUMBER, "heavy": NUMBER, "zeros": NUMBER}
    made = chapter(rows(y, x=x, heavy=heavy, zeros=zeros), features, ["y"])
    told = "robust z beyond 10): where they are errors, cleaning"
    assert made.warnings == [
        f"x has 2 values far from the others (-400 to 421, {told}.outliers treats them",
        f"y has 2 values far from the others (9999 to 9999, {told}.target treats them",
    ]


@pytest.mark.parametrize("different", [1, MOST_BARS, MOST_BARS + 1, 500])
def test_bars_count_every_value_that_is_there(different: int) -> None:
    draw = np.random.default_rng(different)
    numbers = draw.integers(0, different, 600).astype(np.float32)
    texts = np.array([f"c{number:.0f}" for number in numbers], dtype=object)
    numbers[:50] = np.nan
    texts[:50] = ""
    made = chapter(rows(np.ones(600), n=numbers, t=texts), {"n": NUMBER, "t": CATEGORY}, ["y"])
    counted = {bars.title: sum(bars.counts) for bars in made.bars}
    assert counted == {"n": 550, "t": 550, "y": 600}
    assert all(len(bars.counts) == len(bars.labels) <= MOST_BARS + 1 for bars in made.bars)


def test_dates_are_told_as_moments() -> None:
    days = np.datetime64("2024-01-01") + np.arange(9) * np.timedelta64(1, "D")
    seconds = np.append(days.astype("datetime64[s]").astype(np.int64), np.iinfo(np.int64).min)
    made = chapter(rows(np.arange(10.0), due=seconds), {"due": Feature(kind="date")}, "y")
    midnight = "T00:00:00.000Z"
    assert cells(made, "Dates", "due") == {
        "column": "due",
        "missing": 1,
        "different": 9,
        "earliest": f"2024-01-01{midnight}",
        "1st quartile": f"2024-01-03{midnight}",
        "median": f"2024-01-05{midnight}",
        "3rd quartile": f"2024-01-07{midnight}",
        "latest": f"2024-01-09{midnight}",
    }
    assert [row[0] for table in made.tables if table.title == "Numbers" for row in table.rows] == ["y"]
    assert made.bars[1].labels[0] == f"2024-01-01{midnight}"


def test_texts_and_sequences_are_told_by_their_lengths() -> None:
    """A text of all zeros and a sequence without a step are missing; one as long as may be was perhaps cut."""
    note = np.zeros((4, 6), np.uint8)
    for place, length in enumerate([2, 6, 0, 3]):
        note[place, :length] = 97
    walk = np.full((4, 5, 2), np.nan, np.float32)
    for place, steps in enumerate([1, 2, 4, 0]):
        walk[place, :steps, 0] = 1.0  # the other channel is missing: the step is there
    features = {"note": Feature(kind="text", shape=[6]), "walk": Feature(kind="sequence", shape=[5, 2])}
    made = chapter(rows(np.arange(4.0), note=note, walk=walk), features, "y")
    names = ["missing", "of", "shortest", "mean", "median", "longest", "as long as may be"]
    told = {name: [cells(made, "Texts and sequences", name)[key] for key in names] for name in features}
    assert told["note"] == [1, "bytes, at most 6", 2, pytest.approx(11 / 3), 3.0, 6, 1]
    assert told["walk"] == [1, "steps, at most 5", 1, pytest.approx(7 / 3), 2.0, 4, 0]
    assert {bars.title: sum(bars.counts) for bars in made.bars} == {"y": 4, "bytes of note": 4, "steps of walk": 4}


def test_what_tells_nothing_is_warned_of() -> None:
    empty, still = np.full(4, np.nan, np.float32), np.full(4, 7.0, np.float32)
    made = chapter(rows(np.arange(4.0), empty=empty, still=still), {"empty": NUMBER, "still": NUMBER}, ["y"])
    assert made.warnings == [
        "empty has no value at all",
        "still is the same in every row: it tells a model nothing",
    ]
    assert cells(made, "Numbers", "empty")["mean"] is None


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
@pytest.mark.parametrize("datatype", [np.uint8, np.float32])
def test_pictures_are_shown_with_their_truth(channels: int, mode: str, datatype: type) -> None:
    views: np.ndarray = np.random.default_rng(1).integers(0, 256, (100, channels, 6, 8)).astype(datatype)
    views[:, 0, 0, 0], views[:, 0, 0, 1] = 0, 255  # so that scaling floats changes nothing
    truth = np.array([f"class {place}" for place in range(100)], dtype=object)
    made = chapter(rows(truth, view=views), {"view": Feature(kind="image", shape=[channels, 6, 8])}, ["kind"])
    assert len(made.pictures) == MOST_PICTURES
    last = made.pictures[-1]
    assert last.caption == "view: class 99"
    opened = Image.open(io.BytesIO(base64.b64decode(last.source.partition(",")[2])))
    assert (opened.mode, opened.size) == (mode, (8, 6))
    seen = np.asarray(opened).reshape(6, 8, channels)
    assert np.abs(seen.astype(int) - np.moveaxis(views[-1], 0, -1).astype(int)).max() <= 1


def test_rows_that_do_not_train_are_not_told() -> None:
    everything = Rows(np.arange(2.0), {"x": np.zeros(2, np.float32)}, np.zeros(2))
    with pytest.raises(TypeError, match="training rows alone"):
        chapter(everything, {"x": NUMBER}, ["y"])  # type: ignore[arg-type]
