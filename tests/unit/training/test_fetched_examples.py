"""The examples whose data are fetched: as many rows of each part as their authors give."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from examples.spam import prepare as spam
from examples.vowels import prepare as vowels
from staytrue.errors import NotFound
from staytrue.project import load
from tests.needs import missing
from training.models.architectures import arguments_of

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_vowels_are_parted_as_their_authors_did(tmp_path: Path) -> None:
    """270 to train on and 370 to test, of 9 speakers, 7 to 29 steps of 12 numbers: Kudo et al., 1999."""
    try:
        path = vowels.prepare(tmp_path)
    except NotFound as error:
        missing(str(error))
    measured = "part, count(*), min(len(steps)), max(len(steps)), count(DISTINCT speaker), min(len(steps[1]))"
    rows = duckdb.read_parquet(str(path)).aggregate(measured, "part").order("part").fetchall()
    found = {part: counts for part, *counts in rows}
    assert (found["train"][0] + found["validation"][0], found["test"][0]) == (270, 370)
    assert (min(part[1] for part in found.values()), max(part[2] for part in found.values())) == (7, 29)
    assert [part[3:] for part in found.values()] == [[9, 12]] * 3


def test_mails_are_those_of_the_package_less_repeated_bodies(tmp_path: Path) -> None:
    """6,046, of which 1,896 are spam; 195 repeat the body of another."""
    try:
        path = spam.prepare(tmp_path)
    except NotFound as error:
        missing(str(error))
    with path.open(encoding="utf-8") as lines:
        mails = [json.loads(line) for line in lines]
    bodies = Counter(mail["text"].partition("\n\n")[2].strip() for mail in mails)
    assert set(bodies.values()) == {1}
    assert len(mails) == 6046 - 195
    assert [mail["number"] for mail in mails] == sorted({mail["number"] for mail in mails})
    assert sum(mail["kind"] == "spam" for mail in mails) <= 1896


@pytest.mark.parametrize("name", ["vowels", "spam"])
def test_their_projects_name_settings_that_their_architecture_takes(name: str) -> None:
    assert arguments_of(load(EXAMPLES / name / "staytrue.yaml"))["width"] == 64
