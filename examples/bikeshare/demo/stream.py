"""The bike-sharing year as a stream of hours: what was known when, and how many bikes were rented."""

from __future__ import annotations

import csv
import datetime
from dataclasses import dataclass
from pathlib import Path

CSV = Path(__file__).resolve().parent.parent / "hourly.csv"
NEW_YEAR = datetime.datetime(2011, 1, 1, tzinfo=datetime.UTC)
DAY = 86400.0
DRIFT_BEGINS = datetime.datetime(2011, 5, 1, tzinfo=datetime.UTC).timestamp()
"""The model is trained on what was before."""


@dataclass(frozen=True)
class Row:
    """One hour: its time (Unix seconds), the columns of the file as text, the bikes rented."""

    time: float
    values: dict[str, str]
    truth: float


def read() -> list[Row]:
    """All hours of the file, in order."""
    with CSV.open(newline="", encoding="utf-8") as file:
        rows = [
            Row(
                (NEW_YEAR + datetime.timedelta(days=int(values["day"]) - 1, hours=int(values["hr"]))).timestamp(),
                values,
                float(values["bikers"]),
            )
            for values in csv.DictReader(file)
        ]
    return sorted(rows, key=lambda row: row.time)


def day(seconds: float) -> str:
    """A time as people say it: ``14 May``."""
    moment = datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC)
    return f"{moment.day:2d} {moment:%b}"
