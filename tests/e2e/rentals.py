"""The README's file of rentals, and the commands that it prints to learn from it."""

from __future__ import annotations

import csv
import datetime
import math
import random
import re
import shlex
from pathlib import Path

from tests.command import run

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def write_rentals(path: Path) -> None:
    """Ten weeks of hours with the README's columns."""
    random.seed(3)
    header = README.split("```\nhour,", 1)[1].split("\n", 1)[0]
    begin = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["hour", *header.split(",")])
        for hour in range(70 * 24):
            weather = random.choice(["clear", "cloudy", "rain"])  # noqa: S311 - no secret
            degrees = 10 + 8 * math.sin(hour / 24 * math.tau) + random.gauss(0, 1)
            rented = max(0, round(20 + 3 * degrees - 15 * (weather == "rain") + random.gauss(0, 4)))
            time = begin + datetime.timedelta(hours=hour)
            rows.writerow([time.strftime("%Y-%m-%d %H:%M"), weather, f"{degrees:.1f}", rented])


def printed(command: str) -> list[str]:
    """Arguments of a staytrue command as the README prints it."""
    found = re.search(rf"^staytrue ({command}\b[^#&\n]*)", README, re.MULTILINE)
    assert found, command
    return shlex.split(found[1])


def make(folder: Path) -> Path:
    """Write the file, learn from it and publish the model; the project."""
    write_rentals(folder / "rentals.csv")
    for command in ("init", "train", "export"):
        run(folder, *printed(command))
    return folder / "staytrue.yaml"
