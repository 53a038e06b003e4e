"""The whole projects of docs/collect.md: each is prepared and trained as the page writes it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits

from staytrue.command import main
from training.report import FIGURES, Report

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "collect.md").read_text(encoding="utf-8")
PROJECTS = {
    yaml.safe_load(block)["name"]: block
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    if block.startswith("name: ")
}


def mails(folder: Path) -> None:
    """Two hundred, of words that tell them apart; one of them is not UTF-8."""
    draw = np.random.default_rng(0)
    words = {"ham": ["meeting", "list", "patch", "thanks"], "spam": ["offer", "free", "click", "now"]}
    for number in range(200):
        kind = ("ham", "spam")[number % 2]
        path = folder / "mails" / kind / f"{number:04d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(["Grüße", str(number), *draw.choice(words[kind], 30)]), encoding="latin-1")


def scans(folder: Path) -> None:
    """scikit-learn's first 600 digits."""
    found = load_digits()
    for number, (picture, name) in enumerate(zip(found.images[:600], found.target, strict=False)):
        path = folder / "scans" / str(name) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((picture * 15).astype(np.uint8)).save(path)


def rentals(folder: Path) -> None:
    """The bikes' first 90 days in three files; the forecast knows no temperature of some hours, and lacks others."""
    frame = pd.read_csv(ROOT / "examples" / "bikeshare" / "hourly.csv")
    frame = frame[frame.day <= 90]
    (folder / "rentals").mkdir()
    for month, rows in frame.groupby((frame.day - 1) // 30):
        rows[["day", "hr", "bikers"]].to_csv(folder / "rentals" / f"2011-{month:02}.csv", index=False)
    frame.groupby("day", as_index=False)[["workingday", "holiday"]].first().to_parquet(folder / "calendar.parquet")
    forecast = frame.loc[frame.index[7:], ["day", "hr", "temp", "hum", "windspeed"]].rename(
        columns={"windspeed": "wind"}
    )
    forecast["temp"] = forecast.temp.where(forecast.index % 50 > 0)
    forecast.to_csv(folder / "forecast.csv", index=False, na_rep="NA")


MAKE: dict[str, Callable[[Path], None]] = {"mails": mails, "scans": scans, "rentals": rentals}


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of one, which lies with its data in the folder that commands are given in."""
    name = str(request.param)
    MAKE[name](tmp_path)
    (tmp_path / "staytrue.yaml").write_text(PROJECTS[name], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return name


def test_the_page_shows_those_that_are_tested() -> None:
    assert PROJECTS.keys() == MAKE.keys()


@pytest.mark.parametrize("project", MAKE, indirect=True)
def test_a_project_of_the_page_is_prepared_and_trained(project: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare"]) == 0
    report = msgspec.json.decode((Path("prepared") / FIGURES).read_bytes(), type=Report)
    collect = report.chapters[1]
    rows = {"mails": 200, "scans": 600}.get(project, sum(len(pd.read_csv(path)) for path in Path("rentals").glob("*")))
    sources = ", of 4,217 read from 3 sources" if project == "rentals" else " of 1 source"
    assert collect.summary.startswith(f"{rows:,} rows{sources}")
    if project == "rentals":
        assert [row[4:] for row in collect.tables[1].rows] == [[rows, 90, rows, 0], [rows, rows - 7, rows, 0]]
        assert collect.tables[2].rows[-1][1:3] == ["rows of source without a match", 7]
    assert collect.warnings == []
    assert main(["train", "--test", "skip"]) == 0
    assert f"trained {project}: " in capsys.readouterr().out
