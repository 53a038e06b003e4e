"""The adapter to Evidently: what it hands over, what it says of the rest, and one real report."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitoring.analysis import evidently

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {"x": "numeric", "sky": "category"}


def usable(x: list[Any], unfit: set[str] | None = None, usual: list[Any] | None = None) -> dict[str, str]:
    """Why columns are left out where x is so in the window."""
    current = {"x": x, "sky": ["a", "b"]}
    reference = {"x": [1.0, 2.0] if usual is None else usual, "sky": ["a", "b"]}
    kept, left_out = evidently.usable(current, reference, KINDS, unfit or set())
    assert sorted([*kept, *left_out]) == ["sky", "x"]
    return left_out


@pytest.mark.parametrize("x", [[None, None], [float("nan"), float("inf")], []])
def test_column_without_a_value_is_left_out(x: list[Any]) -> None:
    assert usable(x) == {"x": "holds no value"}


def test_column_of_one_value_on_both_sides_is_left_out() -> None:
    assert usable([5.0, None], usual=[5.0, 5.0]) == {"x": "is one and the same value throughout"}


def test_column_that_has_become_constant_is_compared() -> None:
    assert usable([5.0, 5.0]) == {}


def test_unfit_and_absent_columns_are_left_out_and_say_so() -> None:
    assert usable([1.0], unfit={"sky"}) == {"sky": "failed a data check"}
    kept, left_out = evidently.usable({}, {"x": [1.0], "sky": ["a"]}, KINDS, set())
    assert (kept, left_out) == ([], {"x": "is not in both", "sky": "is not in both"})


def ask(folder: Path) -> None:
    """A request whose x has shifted, and whose other columns are each unfit in a way of their own."""
    generator = np.random.default_rng(0)
    nothing = pa.nulls(168, pa.float64())
    sky = generator.choice(["clear", "cloud"], 500)
    usual = {
        "x": generator.normal(0, 1, 500),
        "sky": sky,
        "gone": generator.normal(0, 1, 500),
        "empty": generator.normal(0, 1, 500),
        "always": np.ones(500),
        "stuck": generator.normal(0, 1, 500),
    }
    current = {
        "x": np.append(generator.normal(2, 1, 167), np.inf),
        "sky": sky[:168],
        "empty": nothing,
        "always": np.ones(168),
        "stuck": np.zeros(168),
    }
    folder.mkdir()
    pq.write_table(pa.table(usual), folder / "reference.parquet")
    pq.write_table(pa.table(current), folder / "current.parquet")
    kinds = {name: "category" if name == "sky" else "numeric" for name in usual}
    (folder / "request.json").write_text(json.dumps({"model": "toy", "kinds": kinds, "unfit": []}), encoding="utf-8")


def test_worker_survives_a_bad_request_makes_a_real_report_and_stops(tmp_path: Path) -> None:
    (tmp_path / "a-broken").mkdir()
    (tmp_path / "a-broken" / "request.json").write_text("{", encoding="utf-8")
    ask(tmp_path / "b-good")
    command = [sys.executable, "-m", "monitoring.analysis.evidently", "--watch", str(tmp_path)]
    with subprocess.Popen(
        ["/usr/bin/env", "DO_NOT_TRACK=1", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as worker:
        while not any((tmp_path / "b-good" / name).exists() for name in ("report.html", "error.json")):
            with pytest.raises(subprocess.TimeoutExpired):  # it works on, whatever the first request did to it
                worker.wait(timeout=0.1)
        (tmp_path / "stop").touch()
        assert worker.wait(timeout=30) == 0
    assert "JSONDecodeError" in json.loads((tmp_path / "a-broken" / "error.json").read_text(encoding="utf-8"))["error"]
    told = json.loads((tmp_path / "b-good" / "scores.json").read_text(encoding="utf-8"))
    assert set(told["columns"]) == {"x", "sky", "stuck"}
    assert set(told["columns"]["x"]) == {"method", "score", "threshold", "drifted"}
    assert {name: column["drifted"] for name, column in told["columns"].items()} == {
        "x": True,
        "sky": False,
        "stuck": True,
    }
    assert told["share_drifted"] == pytest.approx(2 / 3)
    assert told["left_out"] == {
        "gone": "is not in both",
        "empty": "holds no value",
        "always": "is one and the same value throughout",
    }
    page = (tmp_path / "b-good" / "report.html").read_text(encoding="utf-8")
    assert 'src="http' not in page
    assert "<link" not in page.split("</head>")[0]
