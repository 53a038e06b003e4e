"""Copies: served rows that repeat rows which judge, or rows that train, are counted, told and kept apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from staytrue.errors import Conflict
from staytrue.records import DAY_SECONDS
from training import retrain as retraining
from training.data.divide import Division
from training.data.rows import Rows, TrainingRows
from training.data.split.copies import Copies, without_copies
from training.data.split.ledger import Ledger, Opener
from training.prepare import prepare
from training.retrain import gather

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from staytrue.project import Project
    from training.parts import Parts
    from training.prepare import Prepared

    Serve = Callable[[int, float], float]


def lake(project: Project) -> list[Path]:
    """Files of the served days, in their order."""
    return sorted((project.monitoring.data / "lake" / "events" / "model=toy").glob("day=*/part.parquet"))


def inputs(path: Path) -> pd.DataFrame:
    """What was served on a day."""
    table: pd.DataFrame = pq.read_table(path).to_pandas()
    return table


def write(path: Path, table: pd.DataFrame) -> None:
    """Serve this instead."""
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), path)


def told(project: Project, until: float) -> tuple[Parts, Rows, Prepared, list[str]]:
    """What a retraining would learn from and be judged by, and what it says."""
    prepared, said = prepare(project), list[str]()
    parts, gate = gather(project, prepared, float(prepared.rows.time[-1]), until, say=said.append)
    return parts, gate, prepared, [line for line in said if line.startswith("copies: ")]


def dealt(project: Project, until: float) -> tuple[list[Path], list[Path]]:
    """Days that train and days that judge, as a retraining without any copies deals them."""
    parts, gate, _, said = told(project, until)
    assert said == []
    days = lake(project)
    first = until - len(days) * DAY_SECONDS
    trains, judges = (
        sorted({int((time - first) // DAY_SECONDS) for time in times if time >= first})
        for times in (parts.train.time, gate.time)
    )
    return [days[day] for day in trains], [days[day] for day in judges]


def test_served_rows_that_train_lose_copies_of_rows_that_judge(project: Project, serve: Serve) -> None:
    """Five requests of a day to judge by are asked again on a day that trains: the gate alone keeps them."""
    until = serve(14, 0.0)
    train, judge = dealt(project, until)
    again, first = inputs(train[0]), inputs(judge[0])
    for column in ("input_x", "input_hour", "input_sky"):
        again.loc[3:7, column] = first.loc[3:7, column]
    write(train[0], again)
    before = told(project, until)
    parts, gate, _, said = before
    assert len(gate) == 24 * len(judge)
    left = set(again["time"][3:8])
    assert not left & set(parts.train.time)
    assert len(parts.train) == len(prepare(project).training) + 24 * len(train) - 5
    (line,) = said
    assert line.startswith(f"copies: 5 of {len(gate)} gate rows have the features of a newly trained row (one of 2024-")
    assert line.endswith("; 5 newly trained rows are left out")


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_rows_of_the_project_that_are_asked_again_neither_judge_nor_come_from_the_seal(
    project: Project, serve: Serve, tmp_path: Path, part: str
) -> None:
    """A whole day of them: of train and validation on a day to judge by, of test on one that would train."""
    until = serve(14, 0.0)
    train, judge = dealt(project, until)
    own, path = prepare(project), train[0] if part == "test" else judge[0]
    opened = own.sealed.open(Ledger(tmp_path / "elsewhere"), Opener("toy", "r"), own.split.seal, project.data.features)
    some = (opened if part == "test" else own.rows.take(own.split.index(part))).take(np.arange(24))  # type: ignore[arg-type]
    table = inputs(path)
    for name, column in some.columns.items():
        table[f"input_{name}"] = column
    write(path, table)
    parts, gate, _, said = told(project, until)
    kept = parts.train if part == "test" else gate
    assert not set(table["time"]) & set(kept.time)
    (line,) = said
    who = {"test": "24 of", "train": "24 of 96 gate", "validation": "24 of 96 gate"}[part]
    assert line.startswith(f"copies: {who}")
    assert line.endswith(f"; 24 {'newly trained' if part == 'test' else 'gate'} rows are left out")


def test_a_setting_lets_copies_through_and_the_card_says_of_which_data(project: Project, serve: Serve) -> None:
    until = serve(14, 0.0)
    train, judge = dealt(project, until)
    again, first = inputs(train[0]), inputs(judge[0])
    for column in ("input_x", "input_hour", "input_sky"):
        again[column] = first[column]
    write(train[0], again)
    allowing = project.model_copy(update={"split": project.split.model_copy(update={"allow": ["duplicates"]})})
    parts, _, prepared, said = told(allowing, until)
    assert [line.split(": ")[-1] for line in said] == ["split.allow lets them through"]
    assert set(inputs(train[0])["time"]) <= set(parts.train.time)
    prepared.split.let_through.append("3 of 9 test rows have the features of a train row")
    old, new = retraining._let_through(prepared, parts)
    assert old == "of the project's own rows as first split: 3 of 9 test rows have the features of a train row"
    assert new.startswith("of the rows of this retraining: 24 of 96 gate rows have the features of a newly trained row")


def test_a_gate_of_nothing_but_copies_is_none(project: Project, serve: Serve) -> None:
    until = serve(14, 0.0)
    own = prepare(project).training
    for day, path in enumerate(lake(project)):
        table = inputs(path)
        for name, column in own.columns.items():
            table[f"input_{name}"] = column[24 * day : 24 * (day + 1)]
        write(path, table)
    with pytest.raises(Conflict, match="every row to judge by is a copy of one that the project learns from"):
        told(project, until)


def test_rows_that_are_alike_by_chance_stay_and_are_counted() -> None:
    """Of eight kinds of rows all parts hold the same."""
    draw = np.random.default_rng(0)

    def rows(count: int, start: float) -> Rows:
        columns = {"a": draw.integers(0, 4, count), "b": draw.integers(0, 2, count)}
        return Rows(np.arange(start, start + count), columns, draw.integers(0, 2, count).astype(np.float64))

    def trained(count: int, start: float) -> TrainingRows:
        made = rows(count, start)
        return TrainingRows(made.time, made.columns, made.target)

    own = trained(300, 0), rows(60, 300), rows(60, 360)
    division = Division(trained(90, 500), rows(30, 600), rows(40, 700))
    left, found = without_copies(division, own, [])
    assert [len(part) for part in (left.train, left.held, left.gate)] == [90, 30, 40]
    assert {one.finding.verdict for one in found} == {"by chance"}
    assert found[0].sentence().endswith("): no more than by chance, they stay")
    whole = {tuple(row) for row in np.column_stack([*own[0].columns.values()]).tolist()}
    gate = np.column_stack([*division.gate.columns.values()]).tolist()
    assert found[0].finding.rows == sum(tuple(row) in whole for row in gate)
    assert all(isinstance(one, Copies) and not one.left_out for one in found)
