"""A schema of the bikes: inferred from the rows that train, written, corrected, read, and held against later loads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from staytrue.errors import InvalidConfig, InvalidInput
from staytrue.project import load
from training.data.collect.source import collect, collected
from training.data.schema.check import SchemaReport, chapter
from training.data.schema.infer import infer
from training.data.schema.schema import Schema, read, write
from training.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from staytrue.preparation import DataSection
    from training.data.rows import TrainingRows

EXAMPLE = Path(__file__).parents[4] / "examples" / "bikeshare" / "staytrue.yaml"


@pytest.fixture(scope="module")
def data() -> DataSection:
    """The example's section."""
    return load(EXAMPLE).data


@pytest.fixture(scope="module")
def training() -> TrainingRows:
    """The example's rows to train on."""
    return prepare(load(EXAMPLE)).training


@pytest.fixture
def checked(data: DataSection, tmp_path: Path) -> Callable[..., DataSection]:
    """The section with the schema file, and the bikes' file changed by pandas."""

    def made(change: Callable[[pd.DataFrame], None] = lambda _: None, **changes: Any) -> DataSection:
        frame = pd.read_csv(str(data.source))
        change(frame)
        frame.to_csv(tmp_path / "hourly.csv", index=False)
        files = {"schema_file": tmp_path / "schema.yaml", "quarantine": tmp_path / "quarantine.csv"}
        return data.model_copy(update={"source": tmp_path / "hourly.csv", **files, **changes})

    return made


@pytest.fixture
def schema(training: TrainingRows, data: DataSection, tmp_path: Path) -> Schema:
    """Inferred and written."""
    made, notes = infer(training, data)
    write(made, tmp_path / "schema.yaml", notes)
    return made


def test_types_units_ranges_and_categories_are_those_of_the_training_rows(
    schema: Schema, training: TrainingRows
) -> None:
    temp, sky, hour = (schema.columns[name] for name in ("temp", "weathersit", "hr"))
    values = training.columns["temp"].astype(float)
    half = (values.max() - values.min()) / 2
    assert (temp.type, temp.unit, temp.missing) == ("number", "degrees Celsius / 41", False)
    assert temp.minimum == 0  # the values begin above it
    assert temp.maximum == pytest.approx(values.max() + half, rel=1e-5)
    assert temp.maximum is not None
    assert temp.maximum >= values.max() + half
    assert (sky.type, sky.categories) == ("text", sorted(set(training.columns["weathersit"])))
    assert (hour.type, hour.categories, hour.minimum) == ("whole number", list(range(24)), None)
    assert schema.columns["time"].type == "time"
    assert schema.columns["bikers"].missing  # cleaning deals with it


def test_a_schema_is_learnt_from_training_rows_alone(data: DataSection) -> None:
    with pytest.raises(TypeError, match="training rows alone"):
        infer(prepare(load(EXAMPLE)).rows, data)  # type: ignore[arg-type]


def test_what_missing_true_means_stands_above_each_column_that_has_it(schema: Schema, tmp_path: Path) -> None:
    lines = (tmp_path / "schema.yaml").read_text().splitlines()
    told = "  # missing: true lets rows without a value pass, false makes each of them a violation"
    columns = [lines[place + 1].split(":")[0].strip() for place, line in enumerate(lines) if line == told]
    assert columns == [name for name, column in schema.columns.items() if column.missing] == ["bikers"]


def test_many_values_make_no_list_and_missing_ones_are_allowed(training: TrainingRows, data: DataSection) -> None:
    columns = dict(training.columns)
    columns["temp"] = np.where(np.arange(len(training)) % 10 == 0, np.nan, columns["temp"]).astype(np.float32)
    rows = type(training).of(type(training)(training.time, columns, training.target))
    made, notes = infer(rows, data, categories=3)
    assert made.columns["hr"].categories is None
    assert made.columns["temp"].missing
    assert "10.0" in notes["temp"]
    assert notes["hr"] == "more than 3 different values"


def test_what_was_written_is_read_as_it_was_and_says_what_was_seen(schema: Schema, tmp_path: Path) -> None:
    text = (tmp_path / "schema.yaml").read_text()
    assert read(tmp_path / "schema.yaml") == schema
    assert text.startswith("# What each column of the data must be.")
    assert "  # 24 different values\n  hr:" in text
    assert "wider by 50% each side, but not below 0: correct it where less may come\n  temp: {type: number," in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "columns:\n  x:\n    type: text\n    unti: m\n",
            "schema.yaml:4 columns.x.unti: unknown key; did you mean 'unit'?",
        ),
        ("columns:\n  x:\n    type: nummer\n", "schema.yaml:3 columns.x.type: expected one of 'number'"),
        ("columns:\n  x: {type: number, minimum: low}\n", "schema.yaml:2 columns.x.minimum: expected a number"),
        ("columns:\n  x: {type: number, minimum: 2, maximum: 1}\n", "schema.yaml:2 columns.x: minimum 2 is above"),
        ("columns:\n  x: {type: text, minimum: 2}\n", "a text has neither minimum nor maximum"),
        ("columns:\n  x: {type: time, categories: [a]}\n", "a time has no categories"),
        ("columns:\n  x: {type: text}\n  x: {type: text}\n", "schema.yaml:3: key 'x' stands there twice"),
        ("columns: {}\n", "columns"),
        ("colums:\n  x: {type: text}\n", "schema.yaml:1 colums: unknown key; did you mean 'columns'?"),
        ("columns:\n  x: {tpye: text}\n", "schema.yaml:2 columns.x.tpye: unknown key; did you mean 'type'?"),
        ("columns:\n  x: {type: sequence, categories: [a]}\n", "a sequence has no categories"),
        ("columns: [\n", "is not YAML"),
        ("nothing", "expected a mapping of sections, got 'nothing'"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "schema.yaml"
    path.write_text(text)
    with pytest.raises(InvalidConfig) as caught:
        read(path)
    assert said in str(caught.value)


def test_a_load_that_keeps_its_schema_gives_the_same_rows(
    schema: Schema, checked: Callable[..., DataSection], data: DataSection
) -> None:
    found = collected(checked())
    assert found.fingerprint.sha256 == collect(data)[1].sha256
    assert found.report.schema == SchemaReport(
        file="schema.yaml", columns=len(schema.columns), rows=len(found.rows), bad_rows=0, violations=[]
    )


def _set(column: str, value: Any) -> Callable[[pd.DataFrame], None]:
    def change(frame: pd.DataFrame) -> None:
        frame[column] = frame[column].astype(object)
        frame.loc[[10, 20, 30], column] = value

    return change


@pytest.mark.usefixtures("schema")
@pytest.mark.parametrize(
    ("column", "value", "rule", "example"),
    [
        ("temp", None, "are missing", "missing (row 11)"),
        ("temp", -0.5, "are below 0", "-0.5 (row 11)"),
        ("temp", 5.0, "are above", "5.0 (row 11)"),
        ("weathersit", "hail", "are no category", "hail (row 11)"),
        ("hr", 24, "are no category", "24 (row 11)"),
        ("hr", 1.5, "are not whole", "1.5 (row 11)"),
        ("hum", "damp", "are no numbers", "damp (row 11)"),
    ],
)
def test_each_kind_of_violation_is_counted_with_examples(
    column: str, value: object, rule: str, example: str, checked: Callable[..., DataSection]
) -> None:
    with pytest.raises(InvalidInput) as caught:
        collected(checked(_set(column, value)))
    assert f"schema.yaml: {column}: 3 {rule}" in str(caught.value)
    assert f"such as {example}" in str(caught.value)
    assert "expected every row to keep it, got 3 of 2" in str(caught.value)


@pytest.mark.usefixtures("schema")
def test_rows_that_violate_it_are_set_aside_where_some_may_be(
    checked: Callable[..., DataSection], tmp_path: Path, data: DataSection
) -> None:
    def change(frame: pd.DataFrame) -> None:
        _set("temp", 5.0)(frame)
        _set("weathersit", "hail")(frame)

    section = checked(change, max_bad_rows=0.01)
    found = collected(section)
    assert len(found.rows) == len(collect(data)[0]) - 3
    assert found.report.schema is not None
    assert [(v.column, v.count) for v in found.report.schema.violations] == [("weathersit", 3), ("temp", 3)]
    assert found.report.bad.rows == 3
    aside = pd.read_csv(tmp_path / "quarantine.csv")
    assert set(zip(aside.line, aside["column"], aside.text, strict=True)) == {
        (line, *what) for line in (11, 21, 31) for what in (("temp", "5.0"), ("weathersit", "hail"))
    }
    told = chapter(found.report.schema)
    assert "3 rows violate it and are set aside" in told.summary
    assert len(told.tables[0].rows) == len(told.warnings) == 2
    with pytest.raises(InvalidInput, match=r"at most 0\.100% of the rows to violate it"):
        collected(section.model_copy(update={"max_bad_rows": 0.001}))


def test_an_edited_schema_counts(schema: Schema, checked: Callable[..., DataSection], tmp_path: Path) -> None:
    loose = schema.columns["weathersit"].model_copy(update={"categories": None, "missing": True})
    strict = schema.columns["temp"].model_copy(update={"maximum": 0.5})
    write(Schema(columns=schema.columns | {"weathersit": loose, "temp": strict}), tmp_path / "schema.yaml")
    section = checked(_set("weathersit", "hail"), max_bad_rows=0.9)
    found = collected(section)
    frame = pd.read_csv(str(section.source)).query("day <= 120")
    assert found.report.schema is not None
    assert [(v.column, v.rule, v.count) for v in found.report.schema.violations] == [
        ("temp", "are above 0.5", (frame.temp > 0.5).sum())
    ]


def test_a_schema_of_other_columns_is_refused(
    schema: Schema, checked: Callable[..., DataSection], tmp_path: Path
) -> None:
    section = checked()
    write(Schema(columns={"temp": schema.columns["temp"]}), tmp_path / "schema.yaml")
    with pytest.raises(InvalidConfig, match='no column "time", which the project reads; add it'):
        collected(section)
    misspelt = {"tmp" if name == "temp" else name: column for name, column in schema.columns.items()}
    write(Schema(columns=misspelt), tmp_path / "schema.yaml")
    with pytest.raises(InvalidConfig, match=r'no column "temp", .* did you mean \'tmp\'\?'):
        collected(section)
    write(Schema(columns=schema.columns | {"more": schema.columns["temp"]}), tmp_path / "schema.yaml")
    with pytest.raises(InvalidConfig, match='column "more" is neither time, target nor feature'):
        collected(section)


@pytest.mark.parametrize("counted", [False, True])
def test_dates_texts_and_sequences_keep_the_schema_that_was_made_of_them(counted: bool, tmp_path: Path) -> None:
    """Dates may come as Unix seconds; some of each are missing."""
    stamp = "TIMESTAMP '2024-03-01' + to_days(i::INT)"
    due = f"epoch({stamp})::BIGINT" if counted else stamp
    columns = [
        "TIMESTAMP '2024-01-01' + to_hours(i::INT) AS at",
        "i * 1.0 AS y",
        f"CASE WHEN i % 9 > 0 THEN {due} END AS due",
        "CASE WHEN i % 7 > 0 THEN 'row ' || i ELSE '' END AS note",
        "CASE WHEN i % 5 > 0 THEN [i * 1.0, 2] END AS walk",
    ]
    duckdb.sql(f"SELECT {', '.join(columns)} FROM range(480) AS r(i)").write_parquet(str(tmp_path / "a.parquet"))  # noqa: S608
    text = (
        "name: toy\ndata:\n  source: a.parquet\n  time: at\n  target: y\n  features:\n    due: {kind: date}\n"
        "    note: {kind: text, shape: [9]}\n    walk: {kind: sequence, shape: [3, 1]}\nsplit: {block_days: 1}\n"
    )
    (tmp_path / "staytrue.yaml").write_text(text)
    project = load(tmp_path / "staytrue.yaml")
    made, notes = infer(prepare(project).training, project.data)
    write(made, tmp_path / "schema.yaml", notes)
    kinds = {name: (column.type, column.missing) for name, column in made.columns.items()}
    assert kinds == {
        "at": ("time", False),
        "y": ("number", True),
        "due": ("time", True),
        "note": ("text", True),
        "walk": ("sequence", True),
    }
    assert notes["due"].startswith("2024-03-02T00:00:00.000Z to ")
    report = collected(project.data.model_copy(update={"schema_file": tmp_path / "schema.yaml"})).report.schema
    assert report is not None
    assert (report.rows, report.violations) == (480, [])
