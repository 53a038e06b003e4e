"""Runs on real data that were built to have one fault each, and healthy ones."""

from __future__ import annotations

import csv
import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from sklearn.datasets import load_digits

from staytrue.project import load

if TYPE_CHECKING:
    from staytrue.project import Project

EXAMPLES = Path(__file__).parents[4] / "examples"
NUMERIC = {"kind": "numeric"}
LONG = {"loss": "mse", "learning_rate": 0.003, "weight_decay": 0.0, "batch_size": 64}


def bikes(folder: Path, fault: str) -> Project:
    """Two months of bike rentals by hour."""
    with (EXAMPLES / "bikeshare" / "hourly.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["day"]) <= 60]
    with (folder / "hourly.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[0], "billed"])
        writer.writeheader()
        writer.writerows(row | {"billed": 2 * int(row["bikers"]) + 3} for row in rows)
    said = yaml.safe_load((EXAMPLES / "bikeshare" / "staytrue.yaml").read_text(encoding="utf-8"))
    del said["tuning"]
    said["training"] |= {"epochs": 30, "patience": 30, "averaging": 0.9}
    changes: dict[str, dict[str, Any]] = {
        "healthy": {},
        "fast": {"training": {"epochs": 20, "learning_rate": 1.0, "schedule": "fixed", "averaging": 0.0}},
        "slow": {"training": {"epochs": 15, "learning_rate": 1e-5}},
        "small": {"model": {"width": 1}, "training": {"epochs": 40}},
        "brief": {"training": {"epochs": 10, "learning_rate": 0.002, "schedule": "fixed"}},
        "by heart": {"model": {"depth": 3}, "training": LONG | {"epochs": 40, "patience": 40}},
        "leak": {"data": {"features": said["data"]["features"] | {"billed": NUMERIC}}},
    }
    for section, values in changes[fault].items():
        said[section] |= values
    if fault == "by heart":  # what little the weather tells of an hour is soon learnt
        said["data"]["features"] = dict.fromkeys(("temp", "atemp", "hum", "windspeed"), NUMERIC)
    return _written(folder, said)


def digits(folder: Path, fault: str) -> Project:
    """Handwritten digits as a perceptron takes them."""
    pictures, truth = load_digits(return_X_y=True)
    draw = np.random.default_rng(0)
    wrong = draw.random(len(truth)) < (0.15 if fault == "labels" else 0)
    truth[wrong] = (truth[wrong] + draw.integers(1, 10, wrong.sum())) % 10
    begin = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    table = {
        "time": [begin + datetime.timedelta(minutes=10 * place) for place in range(len(truth))],
        "image": pa.array(list((pictures * 15).astype(np.uint8))),
        "digit": [f"digit {name}" for name in truth],
    }
    size = 250 if fault == "by heart" else 1000
    pq.write_table(pa.table(table).slice(0, size), folder / "digits.parquet")
    said = yaml.safe_load((EXAMPLES / "digits" / "staytrue.yaml").read_text(encoding="utf-8"))
    said["split"] = {"method": "random", "validation": 0.5 if fault == "by heart" else 0.3}
    said["model"] = {"task": "classification", "architecture": "mlp", "width": 64, "depth": 1}
    said["training"] = {"learning_rate": 0.005, "batch_size": 32, "averaging": 0.9, "epochs": 20, "patience": 8}
    changes: dict[str, dict[str, Any]] = {
        "healthy": {},
        "labels": {},
        "fast": {"training": {"learning_rate": 0.5, "averaging": 0.0, "schedule": "fixed", "patience": 20}},
        "slow": {"training": {"learning_rate": 1e-5}},
        "small": {"model": {"width": 2}},
        "by heart": {
            "model": {"width": 256, "depth": 2},
            "training": {"learning_rate": 0.002, "averaging": 0.0, "epochs": 60, "patience": 60, "weight_decay": 0.0},
        },
    }
    for section, values in changes[fault].items():
        said[section] |= values
    return _written(folder, said)


def _written(folder: Path, said: dict[str, Any]) -> Project:
    (folder / "staytrue.yaml").write_text(yaml.safe_dump(said, sort_keys=False), encoding="utf-8")
    return load(folder / "staytrue.yaml")
