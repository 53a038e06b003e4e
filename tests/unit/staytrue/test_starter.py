"""``staytrue init`` writes a file that loads as it is, for whatever columns a stranger has."""

from __future__ import annotations

import csv
import datetime
import random
from typing import TYPE_CHECKING, Any

import pytest

from staytrue import project as projects
from staytrue.command import main
from staytrue.errors import InvalidInput, NotFound, Unsupported
from staytrue.starter import starter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = 400


def write(path: Path, columns: dict[str, Callable[[int], Any]], delimiter: str = ",", rows: int = ROWS) -> Path:
    """A CSV file of functions of the row's number."""
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, delimiter=delimiter)
        out.writerow(columns)
        out.writerows([make(row) for make in columns.values()] for row in range(rows))
    return path


def hour(row: int) -> str:
    """An hour after the start of 2024."""
    return (datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(hours=row)).isoformat()


COLUMNS: dict[str, Callable[[int], Any]] = {
    "id": lambda row: row + 1,
    "Zeitpunkt": hour,
    "stunde": lambda row: row % 24,
    "gebäude": lambda row: ["Süd", "Nord", "West"][row % 3],
    "druck": lambda row: "" if row % 50 == 7 else 1000 + row % 37 / 10,
    "feucht": lambda row: "NA" if row % 60 == 3 else row % 53 / 10,
    "notiz": lambda row: f"Notiz {row}",
    "immer": lambda _: "gleich",
    "ja: nein": lambda row: ["true", "false"][row % 2],
    "verbrauch": lambda row: round(random.Random(row).uniform(3, 90), 2),  # noqa: S311 - no secret
}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_strangers_file_gives_a_project_that_loads(tmp_path: Path, delimiter: str) -> None:
    path = write(tmp_path / "Verbrauch 2024.csv", COLUMNS, delimiter)
    out = tmp_path / "staytrue.yaml"
    out.write_text(starter(path, None, None), encoding="utf-8")
    project = projects.load(out)
    assert (project.name, project.data.time, project.data.target) == ("Verbrauch-2024", "Zeitpunkt", "verbrauch")
    kinds = {name: (feature.kind, feature.sent_as) for name, feature in project.data.features.items()}
    assert kinds == {
        "stunde": ("category", "INT64"),
        "gebäude": ("category", "BYTES"),
        "druck": ("numeric", "FP32"),
        "feucht": ("numeric", "FP32"),
        "ja: nein": ("category", "BYTES"),
    }
    text = out.read_text(encoding="utf-8")
    for name in ("id", "notiz", "immer"):
        assert f"# left out: {name}" in text
    assert project.data.query == "SELECT * FROM source"  # words that stand for missing are read as such
    assert project.serving.nan_policy == "null"


def test_named_columns_are_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", {**COLUMNS, "sonst": lambda row: row % 91 / 7})
    assert "target: druck" in starter(path, "druck", "Zeitpunkt")


def test_a_target_of_names_gives_a_classification(tmp_path: Path) -> None:
    """Words that stand for missing are no class."""
    columns = {**COLUMNS, "art": lambda row: ["ja", "nein", "vielleicht", "NA"][row % 4]}
    out = tmp_path / "staytrue.yaml"
    out.write_text(starter(write(tmp_path / "a.csv", columns), "art", None), encoding="utf-8")
    project = projects.load(out)
    assert (project.model.task, project.model.output, project.data.target) == ("classification", "linear", "art")
    assert "its 3 values are the classes" in out.read_text(encoding="utf-8")
    assert 'CASE WHEN lower(trim(CAST("art" AS VARCHAR))) NOT IN (' in project.data.query


def test_unix_seconds_become_a_time(tmp_path: Path) -> None:
    columns = {
        "timestamp": lambda row: 1_700_000_000 + 3600 * row,
        "x": lambda r: r % 40 / 3,
        "y": lambda r: r % 41 / 3,
    }
    text = starter(write(tmp_path / "a.csv", columns), "y", None)
    assert 'to_timestamp(\\"timestamp\\")' in text


WRONG: dict[str, tuple[dict[str, Callable[[int], Any]], dict[str, str | None], str]] = {
    "no time": ({"a": lambda r: r % 40 / 3, "b": lambda r: r % 41 / 3}, {}, "a column of dates or times"),
    "text target": (
        COLUMNS,
        {"target": "notiz"},
        'column "notiz": expected numbers, .* or few names .*, got "Notiz 0"',
    ),
    "one name": (
        COLUMNS,
        {"target": "immer"},
        'column "immer": expected names that vary, .* got "gleich" in every row',
    ),
    "unknown target": (COLUMNS, {"target": "verbrauc"}, "--target verbrauc: is no column of .* columns: id, Zeitpunkt"),
    "unknown time": (COLUMNS, {"time": "zeit"}, "--time zeit: is no column"),
    "nothing to predict from": ({"t": hour, "y": lambda r: r % 9 / 7}, {}, "a column to predict from"),
    "nothing to predict": ({"t": hour, "k": lambda r: "ab"[r % 2]}, {}, "a column of numbers to predict"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_what_cannot_be_guessed_is_asked_for(tmp_path: Path, case: Any) -> None:
    columns, named, said = case
    path = write(tmp_path / "a.csv", columns)
    with pytest.raises(InvalidInput, match=said):
        starter(path, named.get("target"), named.get("time"))


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "latin.csv").write_bytes("größe,y\n1,2\n".encode("latin-1"))
    (tmp_path / "data.xlsx").write_bytes(b"PK")
    write(tmp_path / "short.csv", COLUMNS, rows=10)
    (tmp_path / "ragged.csv").write_text("a,b\n1,2\n1,2,3\n")
    with pytest.raises(InvalidInput, match="is empty"):
        starter(tmp_path / "empty.csv", None, None)
    with pytest.raises(InvalidInput, match="expected text in UTF-8"):
        starter(tmp_path / "latin.csv", None, None)
    with pytest.raises(Unsupported, match=r"expected a file named \.csv, got \.xlsx"):
        starter(tmp_path / "data.xlsx", None, None)
    with pytest.raises(InvalidInput, match="at least 50 rows"):
        starter(tmp_path / "short.csv", None, None)
    with pytest.raises(InvalidInput, match="row 3: expected 2 cells as in the header, got 3"):
        starter(tmp_path / "ragged.csv", None, None)
    with pytest.raises(NotFound, match="is no file"):
        starter(tmp_path / "nowhere.csv", None, None)


def test_an_infinite_number_among_others_is_told(tmp_path: Path) -> None:
    rows = [f"2024-01-{1 + n // 4:02d},{n / 7:.3f},{n}" for n in range(60)]
    rows[9] = "2024-01-03,inf,9"
    path = tmp_path / "a.csv"
    path.write_text("at,x,y\n" + "\n".join(rows) + "\n")
    text = starter(path, "y", None)
    assert "x: {kind: numeric} # guessed: 0 to 8.429, 1 infinite, which count as missing" in text


def test_init_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = write(tmp_path / "a.csv", COLUMNS), tmp_path / "staytrue.yaml"
    assert main(["init", str(path), "--out", str(out)]) == 0
    before = out.read_text()
    assert main(["init", str(path), "--out", str(out)]) == 1
    assert out.read_text() == before
    assert "is there already; give another name with --output" in capsys.readouterr().err


def test_codes_with_leading_zeros_are_texts_not_numbers(tmp_path: Path) -> None:
    columns = {"filiale": lambda row: f"{row % 12:02}", **COLUMNS}
    text = starter(write(tmp_path / "codes.csv", columns), None, None)
    assert "filiale: {kind: category} # guessed: 12 different codes, with their leading zeros" in text
