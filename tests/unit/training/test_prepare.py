"""``staytrue prepare``: what it writes is what training sees, and the sealed rows stay sealed."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from staytrue.command import main
from tests.unit.training.conftest import write_project
from training.data import files
from training.data.collect.source import collect
from training.data.rows import Rows
from training.data.schema import schema as schemas
from training.output import EARLIER, ROWS, SCHEMA, rows_of
from training.prepare import REPORTED, STEPS, prepare
from training.report import FIGURES, PAGE, Report

if TYPE_CHECKING:
    from pathlib import Path


def amend(path: Path, data: dict[str, Any], **sections: Any) -> None:
    """Add settings to section ``data`` of a project file, and put other sections in place of those that are there."""
    values = yaml.safe_load(path.read_text()) | sections
    values["data"] |= data
    path.write_text(yaml.safe_dump(values))


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Lines of a command that ended well."""
    assert main(arguments) == 0
    return capsys.readouterr().out.splitlines()


def test_a_report_and_the_rows_of_two_parts_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = write_project(tmp_path)
    told = said(capsys, "prepare", "--project", str(tmp_path / "staytrue.yaml"), "--output", str(tmp_path / "out"))
    steps = [line.split(":")[0] for line in told if re.fullmatch(r"\w+: [\d.]+ s", line)]  # parts that took long aside
    assert steps == [*REPORTED]
    assert told[-1] == f"report: {tmp_path / 'out' / PAGE}"
    report = msgspec.json.decode((tmp_path / "out" / FIGURES).read_bytes(), type=Report)
    titles = ["Rows", "Collect", "Cleaning", "Time", "Columns", "Features and target", "Split", "Preprocess"]
    assert [chapter.title for chapter in report.chapters] == titles
    assert list(schemas.read(tmp_path / "out" / SCHEMA).columns) == ["at", "y", "x", "hour", "sky"]
    prepared = prepare(project)
    parts = prepared.split.parts
    counts = ", ".join(f"{len(parts[part])} {part}" for part in ("train", "validation", "test"))
    assert told[-2] == f"960 rows: {counts} (sealed)"
    table = pq.read_table(tmp_path / "out" / ROWS).to_pydict()
    assert sorted(table) == ["at", "hour", "part", "sky", "x", "y"]
    trains = np.array(table["part"]) == "train"
    assert np.array_equal(np.array(table["y"])[trains], prepared.training.target)
    assert np.array_equal(np.array(table["y"])[~trains], prepared.validation.target)
    times = np.array([time.timestamp() for time in table["at"]])
    assert not np.isin(prepared.rows.time[parts["test"]], times).any()


def test_a_single_file_is_counted_and_a_column_of_one_value_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_project(tmp_path)
    path, text = tmp_path / "staytrue.yaml", (tmp_path / "staytrue.yaml").read_text()
    still = text.replace("source: toy.csv\n", "source: toy.csv\n  query: SELECT * REPLACE ('sun' AS sky) FROM source\n")
    path.write_text(still.replace("AS sky) FROM source", "AS sky) FROM source WHERE hour > 0"))
    told = said(capsys, "prepare", "--project", str(path), "--output", str(tmp_path / "out"))
    assert [line for line in told if "sky" in line] == [
        "look at columns: sky is the same in every row: it tells a model nothing"
    ]
    flow, collect, *_ = msgspec.json.decode((tmp_path / "out" / FIGURES).read_bytes(), type=Report).chapters
    assert (collect.summary, collect.tables[0].rows) == (
        "920 rows, of 960 read from 1 source; no bad row.",
        [["source", "csv", "toy.csv", 960, 0]],
    )
    assert flow.summary.startswith("960 rows read, 0 more set aside as bad, and 920 that the query makes of them; 0 dr")


def test_a_step_alone_keeps_the_column_that_the_split_goes_by(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_project(tmp_path)
    path, text = tmp_path / "staytrue.yaml", (tmp_path / "staytrue.yaml").read_text()
    query = "  query: SELECT *, 'day ' || day(\"at\") AS whose FROM source\n"
    text = text.replace("{block_days: 2}", "{method: grouped, group: whose}")
    path.write_text(text.replace("source: toy.csv\n", f"source: toy.csv\n{query}"))
    said(capsys, "prepare", "--project", str(path), "--output", str(tmp_path / "out"), "--until", "clean")
    whose = pq.read_table(tmp_path / "out" / rows_of("clean")).to_pydict()["whose"]
    assert (len(whose), len(set(whose)), whose[0]) == (960, 31, "day 1")


@pytest.mark.parametrize("step", ["collect", "clean"])
def test_a_step_alone_leaves_its_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str], step: str) -> None:
    project = write_project(tmp_path)
    text = (tmp_path / "toy.csv").read_text()
    (tmp_path / "toy.csv").write_text(text + text.splitlines()[-1] + "\n")  # a row twice
    where = ["--project", str(tmp_path / "staytrue.yaml"), "--output", str(tmp_path / "out")]
    told = said(capsys, "prepare", *where, "--until", step)
    assert told[-1] == f"{961 if step == 'collect' else 960} rows: {tmp_path / 'out' / rows_of(step)}"
    assert not (tmp_path / "out" / PAGE).exists()
    table = pq.read_table(tmp_path / "out" / rows_of(step)).to_pydict()
    rows, _ = collect(project.data)
    assert np.array_equal(np.unique(table["y"]), np.unique(rows.target))


def test_bad_data_leave_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_project(tmp_path)
    (tmp_path / "toy.csv").unlink()
    where = ["--project", str(tmp_path / "staytrue.yaml"), "--output", str(tmp_path / "out")]
    assert main(["prepare", *where]) == 1
    said = capsys.readouterr().err
    assert f"staytrue.yaml:4 data.source: no file {tmp_path / 'toy.csv'}; paths are relative" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fault", ["no such source", "no such column", "not YAML"])
def test_a_run_that_fails_leaves_no_report_that_could_be_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    """The earlier one is set aside, which is said, and goes when a run ends well; an edited schema stays."""
    write_project(tmp_path)
    path, out = tmp_path / "staytrue.yaml", tmp_path / "out"
    where, text = ["prepare", "--project", str(path), "--output", str(out)], path.read_text()
    said(capsys, *where)
    earlier = {name: (out / name).read_bytes() for name in (PAGE, FIGURES, ROWS)}
    (out / SCHEMA).write_text("edited: true")
    broken = {"no such source": ("toy.csv", "none.csv"), "no such column": ("target: y", "target: z")}
    path.write_text(text.replace(*broken.get(fault, (text, "{"))))
    for _ in range(2):
        assert main(where) == (1 if fault == "no such source" else 2)
        told = capsys.readouterr()
        assert f"nothing new was written; what an earlier run wrote is in {out / EARLIER}\n" in told.out
        assert sorted(entry.name for entry in out.iterdir()) == [EARLIER, SCHEMA]
        assert {name: (out / EARLIER / name).read_bytes() for name in earlier} == earlier
    assert (out / SCHEMA).read_text() == "edited: true"
    path.write_text(text)
    said(capsys, *where)
    assert sorted(entry.name for entry in out.iterdir()) == sorted([PAGE, FIGURES, ROWS, SCHEMA])


def test_a_step_alone_leaves_the_report_of_a_whole_run_as_it_is_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its rows stand beside it under a name of their own; one that fails sets aside its own earlier rows alone."""
    write_project(tmp_path)
    path, out = tmp_path / "staytrue.yaml", tmp_path / "out"
    where = ["prepare", "--project", str(path), "--output", str(out)]
    said(capsys, *where)
    whole = {entry.name: entry.read_bytes() for entry in out.iterdir()}
    told = said(capsys, *where, "--until", "split")
    assert told[-2] == f"of the last whole run, as they were: {PAGE}, {FIGURES}, {ROWS} in {out}"
    (tmp_path / "toy.csv").unlink()
    assert main([*where, "--until", "split"]) == 1
    assert f"what an earlier run wrote is in {out / EARLIER}\n" in capsys.readouterr().out
    assert sorted(entry.name for entry in (out / EARLIER).iterdir()) == [rows_of("split")]
    assert {entry.name: entry.read_bytes() for entry in out.iterdir() if entry.is_file()} == whole
    assert main(where) == 1  # the whole run's go beside it
    assert sorted(entry.name for entry in (out / EARLIER).iterdir()) == sorted([PAGE, FIGURES, ROWS, rows_of("split")])


def test_a_folder_of_that_name_that_is_somebodys_own_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_project(tmp_path)
    (tmp_path / EARLIER).mkdir()
    (tmp_path / EARLIER / "mine.txt").write_text("mine")
    for _ in range(2):
        said(capsys, "prepare", "--project", str(tmp_path / "staytrue.yaml"), "--output", str(tmp_path))
        assert [path.name for path in (tmp_path / EARLIER).iterdir()] == ["mine.txt"]


def test_what_is_missing_is_null_and_pictures_are_lists(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    columns = {
        "x": np.array([1.5, np.nan], np.float32),
        "hour": np.array([np.iinfo(np.int64).min, 4]),
        "sky": np.array(["", "sun"], dtype=object),
        "view": np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2),
    }
    files.write(Rows(np.array([0.5, 60.0]), columns, np.array([np.nan, 2.0])), project.data, tmp_path / "rows.parquet")
    table = pq.read_table(tmp_path / "rows.parquet").to_pydict()
    assert {name: table[name] for name in ("x", "hour", "sky", "y")} == {
        "x": [1.5, None],
        "hour": [None, 4],
        "sky": [None, "sun"],
        "y": [None, 2.0],
    }
    assert table["view"] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [time.timestamp() for time in table["at"]] == [0.5, 60.0]


def test_a_reviewed_schema_holds_later_loads_and_has_a_chapter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_project(tmp_path)
    path, out = tmp_path / "staytrue.yaml", tmp_path / "out"
    said(capsys, "prepare", "--project", str(path), "--output", str(out))
    (out / SCHEMA).rename(tmp_path / SCHEMA)
    path.write_text(path.read_text().replace("  source: toy.csv\n", f"  source: toy.csv\n  schema_file: {SCHEMA}\n"))
    said(capsys, "prepare", "--project", str(path), "--output", str(out))
    report = msgspec.json.decode((out / FIGURES).read_bytes(), type=Report)
    assert "Schema" in [chapter.title for chapter in report.chapters]
    text = (tmp_path / "toy.csv").read_text()
    (tmp_path / "toy.csv").write_text(text.replace(",sun,", ",dusk,", 1))
    assert main(["prepare", "--project", str(path), "--output", str(out)]) == 1
    assert "dusk" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("query", "target", "settings", "got"),
    [
        ("SELECT * REPLACE (3.5 AS y) FROM source", "y", "{width: 8}", '"y" of .* got 3.5 in all 672'),
        ("SELECT *, 'rain' AS z FROM source", "z", "{task: classification}", '"z" of .* got "rain" in all 672'),
        ("SELECT *, 2 AS z FROM source", "[y, z]", "{width: 8}", '"z" of .* got 2 in all 672'),
        ("SELECT *, x > 0 AS a, true AS b FROM source", "[a, b]", "{task: multilabel}", '"b" of .* got 1 in all 672'),
    ],
    ids=["number", "class", "numbers", "labels"],
)
@pytest.mark.parametrize("command", ["prepare", "train"])
def test_a_target_of_one_value_ends_it_with_what_to_do(
    query: str, target: str, settings: str, got: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_project(tmp_path)
    path = tmp_path / "staytrue.yaml"
    data = {"query": query, "target": yaml.safe_load(target)}
    amend(path, data, model=yaml.safe_load(settings), training={"epochs": 1})
    assert main([command, "--project", str(path)]) == 1
    told = capsys.readouterr().err
    assert re.search(
        rf"staytrue.yaml:\d+ data.target: expected {got}; nothing can be learnt of it: see what data.query", told
    )
    assert "split.method: random deals them to all parts (672 to train, " in told


def test_targets_below_zero_are_not_for_a_model_that_cannot_predict_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_project(tmp_path)
    path = tmp_path / "staytrue.yaml"
    query = "SELECT * REPLACE (CASE WHEN hour = 3 THEN -7.5 ELSE abs(y) END AS y) FROM source"
    amend(path, {"query": query}, model={"width": 16, "depth": 1, "output": "positive"})
    for command in ("prepare", "train"):
        assert main([command, "--project", str(path)]) == 2
        told = capsys.readouterr().err
        assert (
            'model.output: expected no target below zero with positive, got 28 of 672 values of "y" below zero, '
            in told
        )
        assert "the least -7.5; leave it out" in told


def test_parts_of_few_rows_are_warned_of_with_what_they_can_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One row a day, of forty days."""
    write_project(tmp_path)
    path = tmp_path / "staytrue.yaml"
    split = {"method": "random", "validation": 0.25, "test": 0.25}
    amend(path, {"query": "SELECT * FROM source WHERE hour = 3"}, split=split)
    told = said(capsys, "prepare", "--project", str(path), "--output", str(tmp_path / "out"))
    figure = "a root mean squared error has a 95 % interval of 0.70 to 1.75 times itself, wider where rows are alike"
    assert [line for line in told if line.startswith("look at split: ")][-3:] == [
        "look at split: train has 20 rows: hardly anything can be learnt of so few, means and categories included",
        f"look at split: validation has 10 rows: {figure}",
        f"look at split: test has 10 rows: {figure}",
    ]


def test_each_step_leaves_its_rows_to_be_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From split on without the sealed rows, from repair on those that train; encoded they are what the model gets."""
    project = write_project(tmp_path)
    path, text = tmp_path / "staytrue.yaml", (tmp_path / "staytrue.yaml").read_text()
    path.write_text(text + "cleaning: {outliers: {method: zscore, threshold: 0.5, action: clip, columns: [x]}}\n")
    found = {}
    for step in STEPS:
        told = said(capsys, "prepare", "--project", str(path), "--output", str(tmp_path / step), "--until", step)
        found[step] = pq.read_table(tmp_path / step / rows_of(step))
        assert told[-1] == f"{len(found[step])} rows: {tmp_path / step / rows_of(step)}"
        assert [line.split(":")[0] for line in told[:-1]][-1] == step
    parts = prepare(project).split.parts
    train, validation = len(parts["train"]), len(parts["validation"])
    assert [len(table) for table in found.values()] == [960, 960, train + validation, train, train]
    assert ["part" in table.column_names for table in found.values()] == [False, False, True, True, True]
    before = found["split"].filter(pc.equal(found["split"]["part"], "train"))
    assert found["repair"]["at"].equals(before["at"])
    x, repaired = (table["x"].to_numpy() for table in (before, found["repair"]))
    assert repaired == pytest.approx(np.clip(x, x.mean() - 0.5 * x.std(), x.mean() + 0.5 * x.std()), abs=1e-5)
    assert found["encode"]["x"].to_numpy() == pytest.approx((repaired - repaired.mean()) / repaired.std(), abs=1e-4)
    assert {len(row) for row in found["encode"]["sky"].to_pylist()} == {3}


@pytest.mark.parametrize("under", ["", "deeper/still"])
def test_a_file_in_the_place_of_the_folder_is_told_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], under: str
) -> None:
    write_project(tmp_path)
    (tmp_path / "out").write_text("")
    (tmp_path / "toy.csv").unlink()
    flags = ["--project", str(tmp_path / "staytrue.yaml"), "--output", str(tmp_path / "out" / under)]
    assert main(["prepare", *flags]) != 0
    told = f"--output: expected a folder to write, got {tmp_path / 'out'}, which is a file"
    assert told in capsys.readouterr().err


def test_a_class_that_does_not_train_is_told_by_prepare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And not only once it is trained; what to do goes by the method."""
    write_project(tmp_path)
    path, text = tmp_path / "staytrue.yaml", (tmp_path / "staytrue.yaml").read_text()
    query = (
        "  query: SELECT * REPLACE (CASE WHEN row_number() OVER (ORDER BY \"at\") > 950 THEN 'new' ELSE 'old' END AS y)"
    )
    text = text.replace("source: toy.csv\n", f"source: toy.csv\n{query} FROM source\n")
    text = text.replace("{block_days: 2}", "{method: time, allow: [duplicates, near_duplicates]}")
    path.write_text(re.sub(r"model: [^!]*training: .*", "model: {task: classification}", text))
    assert main(["prepare", "--project", str(path), "--output", str(tmp_path / "out")]) != 0
    told = capsys.readouterr().err
    assert "no row to train on is of class" in told
    assert "newer than those that train" in told


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "labelling: {annotations: nowhere.csv}\n",
            r"yaml:\d+ labelling\.annotations: no file .*nowhere\.csv",
        ),
        ("labelling: {guideline: nowhere.yaml}\n", r"yaml:\d+ labelling\.guideline: no file .*nowhere\.yaml"),
        ("  memory: 1KB\n", r"staytrue\.yaml:\d+ data\.memory.*memory 1KB is too little .*at least 16MB"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_setting_before_the_rows_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: str, said: str
) -> None:
    write_project(tmp_path)
    (tmp_path / "toy.csv").unlink()
    path, text = tmp_path / "staytrue.yaml", (tmp_path / "staytrue.yaml").read_text()
    path.write_text(text.replace("  time: at\n", f"  time: at\n{more}") if more.startswith(" ") else text + more)
    assert main(["prepare", "--project", str(path), "--output", str(tmp_path / "out")]) != 0
    assert re.search(said, capsys.readouterr().err)


CODE = """
import hashlib, msgspec, pathlib, sys
from staytrue.project import load
from training.prepare import chapters, prepare
project = load(pathlib.Path(sys.argv[1]))
made = prepare(project)
told = [made.fingerprint, made.split, made.parted, chapters(project, made), project.fingerprint(), made.rows.digest()]
print(hashlib.sha256(msgspec.json.encode(told)).hexdigest())
"""


def test_results_do_not_depend_on_how_python_hashes(tmp_path: Path) -> None:
    """Sets of texts come in another order in each process: groups, categories and near texts do not."""
    write_project(tmp_path)
    path, text = tmp_path / "staytrue.yaml", (tmp_path / "staytrue.yaml").read_text()
    note = "concat_ws(' ', sky, sky || hour, 'the', 'and', sky || (hour // 5), 'of')"
    query = f"  query: SELECT *, {note} AS note, 'day ' || day(\"at\") AS whose FROM source\n"  # noqa: S608 - ours
    text = text.replace("source: toy.csv\n", f"source: toy.csv\n{query}").replace("{block_days: 2}", "{split}")
    text = text.replace("    x: {", "    note: {kind: category}\n    x: {")
    path.write_text(text.replace("{split}", "{method: grouped, group: whose, allow: [near_duplicates]}"))
    made = set()
    for seed in ("1", "2"):
        command = ["/usr/bin/env", f"PYTHONHASHSEED={seed}", sys.executable, "-c", CODE, str(path)]
        made.add(subprocess.run(command, capture_output=True, check=True).stdout)
    assert len(made) == 1


def test_paths_are_told_from_where_the_command_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the terminal and in the report, be it from beside the settings or from the folder above."""
    folder = tmp_path / "plant"
    folder.mkdir()
    write_project(folder)
    lines = (folder / "toy.csv").read_text().splitlines()
    (folder / "toy.csv").write_text("\n".join([*lines, "ragged"]) + "\n")
    amend(folder / "staytrue.yaml", {"max_bad_rows": 0.1})
    for where, project in ((folder, "staytrue.yaml"), (tmp_path, "plant/staytrue.yaml")):
        monkeypatch.chdir(where)
        told = said(capsys, "prepare", "--project", project, "--output", "out")
        quarantine = f"{'' if where == folder else 'plant/'}quarantine.csv"
        assert [line for line in told if line.endswith(f"could not be read: see {quarantine}")]
        assert str(tmp_path) not in (where / "out" / PAGE).read_text(encoding="utf-8")
        toy = folder / "toy.csv"
        toy.rename(folder / "gone.csv")
        assert main(["prepare", "--project", project, "--output", "out"]) == 1
        assert f"no file {quarantine.replace('quarantine', 'toy')};" in capsys.readouterr().err
        (folder / "gone.csv").rename(toy)
