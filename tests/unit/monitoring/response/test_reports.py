"""Reports: asked for by a folder, made elsewhere, found again."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest

from monitoring.analysis.rows import WindowRows
from monitoring.response.reports import Reports
from staytrue.profile import ReferenceColumn, ReferenceProfile
from staytrue.windows import Check, Window

if TYPE_CHECKING:
    from pathlib import Path

PROFILE = ReferenceProfile(
    columns=[
        ReferenceColumn(name="x", kind="numeric", values=[1.0, None]),
        ReferenceColumn(name="sky", kind="category", values=["sun", None]),
    ],
    time=[0.0, 1.0],
    split=["train", "train"],
    prediction=[0, 0],
    truth=[0, 0],
)
LOW = str(min(os.nice(0) + 10, 19))
"""Ten steps below these tests' own priority, as far as there are steps."""
NOTHING = np.zeros(2)
ROWS = WindowRows(
    time=NOTHING,
    columns={"x": np.array([1.0, np.nan]), "sky": np.array(["sun", None], dtype=object)},
    prediction=NOTHING,
    truth=NOTHING,
    known=NOTHING,
    version=np.array(["1", "1"], dtype=object),
)
WINDOW = Window(
    model="toy", version="1", start=0, end=86400, rows=2, checks=[Check(name="missing", column="x", verdict="fail")]
)


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reports:
    """Reports without their worker."""
    monkeypatch.setattr(Reports, "_wake", lambda _: None)
    return Reports(tmp_path)


def test_a_request_holds_what_its_worker_needs(reports: Reports) -> None:
    reports.ask("r", WINDOW, ROWS, PROFILE)
    folder = reports.root / "r"
    assert json.loads((folder / "request.json").read_text()) == {
        "model": "toy",
        "version": "1",
        "start": "1970-01-01T00:00:00.000Z",
        "end": "1970-01-02T00:00:00.000Z",
        "kinds": {"x": "numeric", "sky": "category"},
        "unfit": ["x"],
    }
    assert pq.read_table(folder / "current.parquet")["sky"].to_pylist() == ["sun", None]
    assert pq.read_table(folder / "reference.parquet")["x"].to_pylist() == [1.0, None]


def test_reports_are_pending_until_made_or_failed(reports: Reports) -> None:
    for name in ("a", "b", "c"):
        reports.ask(name, WINDOW, ROWS, PROFILE)
    (reports.root / "a" / "scores.json").write_text('{"columns": {}}')
    (reports.root / "a" / "report.html").write_text("<p>")
    (reports.root / "b" / "error.json").write_text('{"error": "why"}')
    assert reports.pending() == 1
    told = reports.listing()
    assert [item["id"] for item in told] == ["a", "b", "c"]
    assert (told[0]["report"], told[0]["scores"]) == ("/reports/a/report.html", {"columns": {}})
    assert (told[1].get("report"), told[1]["error"]) == (None, {"error": "why"})
    assert "report" not in told[2]


def test_one_worker_serves_all_requests_and_ends_with_the_sidecar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = tmp_path / "python"
    stand_in.write_text('#!/bin/sh\necho "$DO_NOT_TRACK $(nice) $*" >> "$(dirname "$0")/ran"\nexec sleep 60\n')
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    reports = Reports(tmp_path / "reports")
    reports.resume()
    assert reports._worker is None  # nothing to do
    reports.ask("a", WINDOW, ROWS, PROFILE)
    reports.ask("b", WINDOW, ROWS, PROFILE)
    assert said(tmp_path / "ran").split("-m")[0].split() == ["1", LOW]  # not tracked, of low priority
    assert said(tmp_path / "ran").count("--watch") == 1
    reports.stop()
    again = Reports(tmp_path / "reports")
    again.resume()
    assert again._worker is not None
    again.stop()
    assert again._worker.poll() is not None


def said(path: Path) -> str:
    """What the worker's stand-in wrote, once it has."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if path.exists() and (text := path.read_text()).endswith("\n"):
            return text
        time.sleep(0.01)
    raise AssertionError("the worker did not start")
