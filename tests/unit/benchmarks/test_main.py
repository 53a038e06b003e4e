"""The command: its status, and what it prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import __main__ as command
from benchmarks.plan import Result
from benchmarks.windows import Point

if TYPE_CHECKING:
    from benchmarks.models import Model
    from benchmarks.plan import Plan


def point(rate: float) -> Point:
    """Medians, of which the rate matters."""
    return Point(rate=rate, cpu_seconds=1e-5, p50_seconds=0.001, p99_seconds=0.001, busy=0.0, others=0.0)


def run(monkeypatch: pytest.MonkeyPatch, fastapi: float, *options: str) -> int:
    """The command's status where Staytrue answers 80 requests a second, and FastAPI as many as that."""

    def measure(_: Plan, model: Model) -> Result:
        del model
        servers = {"staytrue": point(80.0), "fastapi": point(fastapi)}
        return Result(bare={"1": 1e-5}, points={"json 32": servers, "json 32 ids": servers})

    def make(*_: Any) -> None:
        """No model is needed."""

    monkeypatch.setattr(command, "measure", measure)
    monkeypatch.setattr(command, "make", make)
    return command.main(["--models", "T", *options])


@pytest.mark.parametrize(("fastapi", "options", "status"), [(80, [], 0), (80, ["--strict"], 1), (10, ["--strict"], 0)])
def test_a_missed_figure_ends_it_with_status_1_only_where_it_is_strict(
    monkeypatch: pytest.MonkeyPatch, fastapi: float, options: list[str], status: int
) -> None:
    assert run(monkeypatch, fastapi, *options) == status


def test_tables_and_record_hold_the_requests_with_ids_of_their_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, 10)
    printed = capsys.readouterr().out
    assert "\n  json, 32 connections, each request with ids of its own\n" in printed
    record = json.loads(printed.splitlines()[-1])
    told = [figure for figure in record["figures"] if figure["verdict"] == "told"]
    assert {"T JSON, requests/s, ids of its own to equal heads"} <= {figure["what"] for figure in told}
    assert {figure["must"] for figure in told} == {None}
