"""Filled: rows and chapters after the repairs show the very values that the encoder puts into gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from staytrue.feature import Feature
from staytrue.project import load
from staytrue.repairs import MissingSection
from staytrue.signature import MISSING_INTEGER
from tests.unit.training.clean.conftest import WHOLE, training
from tests.unit.training.conftest import write_project
from training.data.clean import missing
from training.data.encode.numbers import NumericState
from training.prepare import chapters, prepare
from training.stages import rows_after

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.project import Project


def with_gaps(folder: Path, method: str) -> Project:
    """The toy project, of which each seventh number is not there."""
    write_project(folder)
    lines = (folder / "toy.csv").read_text().splitlines()
    place = lines[0].split(",").index("x")
    for at in range(1, len(lines), 7):
        cells = lines[at].split(",")
        cells[place] = ""
        lines[at] = ",".join(cells)
    (folder / "toy.csv").write_text("\n".join(lines) + "\n")
    value = ", value: 7.5" if method == "constant" else ""
    with (folder / "staytrue.yaml").open("a") as file:
        file.write(f"cleaning: {{missing: {{columns: {{x: {{method: {method}{value}}}}}}}}}\n")
    return load(folder / "staytrue.yaml")


@pytest.mark.parametrize("method", ["mean", "median", "mode", "constant"])
def test_the_rows_after_repair_and_the_chapter_on_columns_hold_the_fill(tmp_path: Path, method: str) -> None:
    project = with_gaps(tmp_path, method)
    prepared = prepare(project)
    before, after = prepared.training.columns["x"], rows_after(project, "repair").rows.columns["x"]
    there, gone = before[~np.isnan(before)], np.isnan(before)
    values, counts = np.unique(there, return_counts=True)
    expected = {
        "mean": there.mean(),
        "median": np.median(there),
        "mode": values[counts.argmax()],
        "constant": 7.5,
    }[method]
    assert gone.sum() > 90
    assert after[gone] == pytest.approx(np.full(gone.sum(), expected), rel=1e-6)
    assert np.array_equal(after[~gone], there)
    (columns,) = [chapter for chapter in chapters(project, prepared) if chapter.title == "Columns"]
    (told,) = [row for row in columns.tables[0].rows if row[0] == "x"]
    assert told[1] == 0
    assert told[3] == pytest.approx(after.astype(np.float64).mean(), rel=1e-6)
    encoded = rows_after(project, "encode").rows.columns["x"]
    (state,) = [one for one in _states(project) if one.name == "x"]
    assert encoded[gone] == pytest.approx((np.full(gone.sum(), expected) - state.mean) / state.deviation, abs=1e-5)


def _states(project: Project) -> list[NumericState]:
    from training.data.clean import steps
    from training.data.encode.encoder import learn

    features = project.data.features
    cleaned = steps.apply(prepare(project).training.only(features), features, project.cleaning)
    return [state for state in cleaned.instruct(learn(cleaned.rows, features)) if isinstance(state, NumericState)]


@pytest.mark.parametrize(("values", "fill", "kind"), [([1, 2, 2], 5 / 3, "f"), ([1, 2, 3], 2.0, "i")])
def test_a_whole_number_is_filled_with_a_fraction_where_the_encoder_does_so(
    values: list[int], fill: float, kind: str
) -> None:
    features: dict[str, Any] = {"n": WHOLE, "f": Feature(kind="numeric")}
    rows = training({"n": [*values, MISSING_INTEGER], "f": np.array([1, np.nan, 1, 1], np.float32)})
    state = missing.fit(rows, features, MissingSection.model_validate({"columns": {"n": {"method": "mean"}}}))
    assert state is not None
    shown = missing.filled(missing.apply(rows, state, features)[0], state)
    assert shown.columns["n"].dtype.kind == kind
    assert shown.columns["n"].tolist() == pytest.approx([*values, fill])
    assert np.isnan(shown.columns["f"]).tolist() == [False, True, False, False]  # what is kept stays missing


LARGE = 2**53 + 1


@pytest.mark.parametrize(
    ("values", "way", "fill"),
    [
        ([LARGE, LARGE, LARGE - 3], {"method": "mode"}, LARGE),
        ([LARGE, 5, LARGE - 4], {"method": "constant", "value": 7}, 7),
        ([LARGE, 0, 1, 2], {"method": "median"}, 2),
        ([2**62 + 1, 2**62 + 3, 2**62 + 5], {"method": "mean"}, 2**62),
    ],
)
def test_large_whole_numbers_stay_what_they_are_where_others_are_filled(
    values: list[int], way: dict[str, Any], fill: int
) -> None:
    """Floats hold each whole number up to 2⁵³ alone; a median of 1.5 is rounded rather than they are."""
    features: dict[str, Any] = {"n": WHOLE}
    rows = training({"n": [*values, MISSING_INTEGER]})
    state = missing.fit(rows, features, MissingSection.model_validate({"columns": {"n": way}}))
    assert state is not None
    shown = missing.filled(missing.apply(rows, state, features)[0], state)
    assert shown.columns["n"].tolist() == [*values, fill]


def test_a_large_code_that_comes_most_often_fills_as_it_is() -> None:
    """And is told as such in the record, and known to the encoder."""
    features: dict[str, Any] = {"code": Feature(kind="category", datatype="INT64")}
    rows = training({"code": [LARGE, LARGE, 4, MISSING_INTEGER]})
    state = missing.fit(rows, features, MissingSection.model_validate({"columns": {"code": {"method": "mode"}}}))
    assert state is not None
    assert missing.apply(rows, state, features)[0].columns["code"].tolist() == [LARGE, LARGE, 4, LARGE]
    read = msgspec.json.decode(msgspec.json.encode(state), type=missing.MissingState)
    assert read.fills[0].value == LARGE
