"""Features are tried alone whatever stands beside them; what cannot be tried, and what was dropped, says why."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from staytrue.diagnosis import Diagnosis
from staytrue.project import load
from staytrue.signature import MISSING_INTEGER
from training.diagnose import creep, labels, leakage, leaps
from training.diagnose.case import Case, Dropped, Share, case
from training.diagnose.diagnosis import diagnose
from training.diagnose.tables import Tables, _numbers
from training.diagnose.text import said
from training.judgement.restored import restore
from training.rates.sweep import Sweep
from training.run import train

if TYPE_CHECKING:
    from training.judgement.restored import Restored

BIKES = load(Path(__file__).parents[4] / "examples" / "bikeshare" / "staytrue.yaml")
YAML = """
name: shops
data:
  source: shops.csv
  query: SELECT *, sales * 2 AS leak FROM source
  time: when
  target: sales
  features:
    temp: {kind: numeric}
    leak: {kind: numeric}
    opened: {kind: date}
    shop: {kind: text, shape: [8]}
split: {block_days: 1}
training: {epochs: 2}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Restored:
    """Of twenty days of sales, with a feature that is their double, beside a date and a text."""
    folder = tmp_path_factory.mktemp("shops")
    draw = np.random.default_rng(0)
    lines = ["when,shop,temp,opened,sales"]
    for row in range(400):
        when = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(hours=row * 1.2)
        opened = datetime.date(2001, 1, 1) + datetime.timedelta(days=int(draw.integers(9000)))
        temp, sales = draw.normal(size=2)
        lines.append(f"{when:%Y-%m-%d %H:%M},shop{row % 7},{temp:.3f},{opened},{100 + 20 * sales:.3f}")
    (folder / "shops.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "staytrue.yaml").write_text(YAML, encoding="utf-8")
    project = load(folder / "staytrue.yaml")
    return restore(project, train(project))


def tables_of(run: Restored, *left_out: str) -> Tables:
    """As if some of the features were not there."""
    features = {name: one for name, one in run.project.data.features.items() if name not in left_out}
    data = run.project.data.model_copy(update={"features": features})
    made = Tables.of(dataclasses.replace(run, project=run.project.model_copy(update={"data": data})))
    assert isinstance(made, Tables)
    return made


def told(run: Restored, tables: Tables | str) -> Any:
    """What is said of leakage by these tables."""
    made = case(run.project, run.folder, run)
    made.__dict__["tables"] = tables
    return leakage.find(made)


def test_a_feature_is_tried_alone_beside_dates_and_texts(run: Restored) -> None:
    """Neither switches it off; a forest takes the dates, and not the texts."""
    found = diagnose(case(run.project, run.folder, run))
    assert found.findings[0].kind == "leakage"
    assert found.findings[0].summary.startswith("leak alone tells nearly all")
    tables = Tables.of(run)
    assert isinstance(tables, Tables)
    assert tables.lacking == "shop (text), of which they take nothing"
    dated = tables_of(run, "shop")
    assert (dated.names, dated.lacking) == (("temp", "leak", "opened"), "")
    assert tables.mean(tables.misses(tables.tree("opened", 0)), 0).high > 0.9


def test_what_is_not_tried_names_the_condition_that_failed_alone(run: Restored) -> None:
    end = "; and split.allow let nothing through"
    tables = tables_of(run)
    same = dataclasses.replace(tables.held, target=np.ones(len(tables.held)))
    day = dataclasses.replace(tables.blocks, numbers=np.zeros(len(tables.held), dtype=np.int64))
    constant = dataclasses.replace(tables, held=same)
    reason = "a constant answer misses none of the validation rows, whose truth is all the same"
    assert told(run, constant) == f"no feature is tried alone: {reason}{end}"
    reason = "validation rows are all of one block (days)"
    assert told(run, dataclasses.replace(tables, blocks=day)) == f"no feature is tried alone: {reason}{end}"
    alone = tables_of(run, "leak", "opened", "shop")
    assert told(run, alone) == f"no feature is tried alone: there is but one, which tells what the model tells{end}"
    made = case(run.project, run.folder, run)
    assert labels.find(made) == "it is asked of names of classes, and this is regression"


def test_dates_are_told_apart_by_seconds_and_gaps_lie_below_all() -> None:
    """Seconds since 1970 would be rounded to two minutes."""
    column = np.array([1_700_000_001, MISSING_INTEGER, 1_700_000_000], dtype=np.int64)
    assert _numbers({"at": column})[:, 0].tolist() == [1.0, -1.0, 0.0]
    assert _numbers({"at": np.full(2, MISSING_INTEGER)})[:, 0].tolist() == [-1.0, -1.0]
    assert _numbers({"x": np.array([np.nan, -3.5, np.inf, 2])})[:, 0].tolist() == [-1.0, 0.0, -1.0, 5.5]


def suspected(errors: list[float], train_error: float, **sweep: float | None) -> Case:
    """A run whose curve speaks for a wrong rate, and its range test."""
    made = Case(BIKES, None, {}, np.ones(len(errors)), np.array(errors), object())  # type: ignore[arg-type]
    share = Share(train_error, train_error, train_error)
    made.__dict__["shares"] = (share, share)
    made.__dict__["rates"] = Sweep(
        optimiser="adamw", rates=[1e-5, 10.0], losses=[1, 1], smoothed=[1, 1], **sweep
    )  # fmt: skip
    return made


def test_leaps_that_train_tells_of_and_the_range_test_explains_are_dropped_with_its_rate() -> None:
    """Without the range test the line at the end of ``train`` stands for itself; a hint of leaps is told by none."""
    errors = [1.0, 1.3] * 8
    told = leaps.find(dataclasses.replace(suspected(errors, 0.5, steepest=0.1, blow_up=1.0), run=None))
    assert told is not None
    found = leaps.find(suspected(errors, 0.5, steepest=0.1, blow_up=1.0))
    assert isinstance(found, Dropped)
    leaping = f"the validation error leaps by 32% from epoch to epoch at a learning rate of {BIKES.training.rate:g}"
    assert found.reason == f"{leaping}, but a fresh model's loss blows up from 1 on, more than 10 times as high"
    never = leaps.find(suspected(errors, 0.5, steepest=0.1, blow_up=None))
    assert isinstance(never, Dropped)
    assert never.reason.endswith("blows up at no rate up to 10")
    assert leaps.find(suspected([1.0, 1.06] * 8, 0.5, steepest=0.1, blow_up=1.0)) is None
    kept = Diagnosis(run="r", findings=[], looked_for=["rate too high"], dropped={"rate too high": found.reason})
    assert list(said(kept))[-1] == f"suspected and dropped: rate too high: {found.reason}"


def test_a_slow_fall_that_the_range_test_explains_is_dropped_where_train_tells_of_it() -> None:
    errors = np.linspace(2, 1, 16).tolist()
    found = creep.find(suspected(errors, 0.95, steepest=2 * BIKES.training.rate, blow_up=None))
    assert isinstance(found, Dropped)
    assert found.reason.endswith(f"but a range test proposes {2 * BIKES.training.rate:g}, less than 10 times as high")
    assert creep.find(suspected(errors, 0.5, steepest=2 * BIKES.training.rate, blow_up=None)) is None
