"""Real rows to clean: a year of bike rentals by the hour, and census employment; what is planted is planted openly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from staytrue.feature import Feature
from tests.packages import member
from training.data.rows import TrainingRows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

HOURLY = Path(__file__).parents[4] / "examples" / "bikeshare" / "hourly.csv"
NUMBER = Feature(kind="numeric")
WHOLE = Feature(kind="numeric", datatype="INT64")
CODE = Feature(kind="category", datatype="INT64")
TEXT = Feature(kind="category")
BIKES = {"temp": NUMBER, "atemp": NUMBER, "hum": NUMBER, "windspeed": NUMBER, "hr": CODE, "weathersit": TEXT}
CENSUS = {"AGEP": WHOLE, "SCHL": WHOLE, "ESP": CODE, "MAR": CODE, "RELP": CODE}


def training(columns: Mapping[str, Any], time: Any = None, target: Any = None) -> TrainingRows:
    """Rows that train; an hour apart if nothing else is said."""
    made = {name: np.asarray(values) for name, values in columns.items()}
    count = len(next(iter(made.values())))
    times = np.asarray(np.arange(count) * 3600 if time is None else time, dtype=np.float64)
    return TrainingRows(times, made, np.zeros(count) if target is None else target)


def typed(table: pd.DataFrame, features: dict[str, Feature]) -> dict[str, NDArray[Any]]:
    """Columns as rows hold them."""
    kinds: dict[str, Any] = {"FP32": np.float32, "INT64": np.int64, "BYTES": object}
    return {name: table[name].to_numpy(dtype=kinds[feature.sent_as]) for name, feature in features.items()}


@pytest.fixture(scope="session")
def bikes() -> TrainingRows:
    """8,645 hours of 2011."""
    table = pd.read_csv(HOURLY)
    time = 1293840000.0 + 86400.0 * (table["day"].to_numpy() - 1) + 3600.0 * table["hr"].to_numpy()
    return training(typed(table, BIKES), time, table["bikers"].to_numpy(dtype=np.float64))


@pytest.fixture(scope="session")
def census() -> TrainingRows:
    """The first 6,000 people asked in Massachusetts in 2015; whole numbers and codes."""
    table = pd.read_parquet(member("nannyml==0.13.1", "nannyml/datasets/data/employment_MA_reference.pq"))[:6000]
    return training(typed(table, CENSUS), target=table["employed"].to_numpy(dtype=np.float64))


def without(rows: TrainingRows, name: str, where: NDArray[np.bool_], missing: object = np.nan) -> TrainingRows:
    """The rows with values of a column taken away."""
    column = rows.columns[name].copy()
    column[where] = missing
    return TrainingRows(rows.time, rows.columns | {name: column}, rows.target)
