"""``staytrue init``: times, decimals and spans as people have them, and where the file lies."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest

from staytrue import project as projects
from staytrue.command import main
from staytrue.errors import InvalidInput
from staytrue.starter import starter
from tests.unit.staytrue.test_starter import hour, write

if TYPE_CHECKING:
    from pathlib import Path

START = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)


def at(row: int) -> datetime.datetime:
    """An hour after the start of 2024."""
    return START + datetime.timedelta(hours=row)


def drafted(tmp_path: Path, columns: dict[str, Any], rows: int = 400, **named: str) -> projects.Project:
    """The project that init makes of these columns."""
    path = write(tmp_path / "data.csv", columns, ";", rows)
    (tmp_path / "staytrue.yaml").write_text(starter(path, named.get("target"), named.get("time")), encoding="utf-8")
    return projects.load(tmp_path / "staytrue.yaml")


X = {"x": lambda row: row % 40 / 3, "y": lambda row: row % 41 / 3}


def test_times_and_decimals_of_other_lands_are_read_by_the_query(tmp_path: Path) -> None:
    columns = {"t": lambda row: at(row).strftime("%d.%m.%Y %H:%M"), "x": lambda row: f"{row % 40},5", "y": X["y"]}
    data = drafted(tmp_path, columns).data
    assert (data.time, data.features["x"].kind) == ("t", "numeric")
    assert "try_strptime(CAST(\"t\" AS VARCHAR), '%d.%m.%Y %H:%M')" in data.query
    assert "replace(CAST(\"x\" AS VARCHAR), ',', '.') AS \"x\"" in data.query


def test_a_comma_of_two_meanings_is_left_out_and_said(tmp_path: Path) -> None:
    project = drafted(tmp_path, {"t": hour, "n": lambda row: f"{row % 9 + 1},234", **X})
    assert list(project.data.features) == ["x"]
    assert "# left out: n, has numbers with commas" in (tmp_path / "staytrue.yaml").read_text()


def test_unix_milliseconds_are_divided(tmp_path: Path) -> None:
    data = drafted(tmp_path, {"timestamp": lambda row: int(at(row).timestamp() * 1000), **X}).data
    assert 'to_timestamp("timestamp" / 1000)' in data.query


def test_rows_without_a_time_are_not_asked_for(tmp_path: Path) -> None:
    """Those whose time says something that is none are: collecting tells of them."""
    words = "NOT IN ('', '-', '?', 'n/a', 'na', 'nan', 'none', 'null')"
    data = drafted(tmp_path, {"t": lambda row: "NA" if row % 50 == 1 else hour(row), **X}).data
    assert data.query.endswith(f'WHERE lower(trim(CAST("t" AS VARCHAR))) {words}')
    assert "time: t # when each row happened; 8 rows say nothing and are left out" in (
        tmp_path / "staytrue.yaml"
    ).read_text(encoding="utf-8")
    seconds = {"time": lambda row: "NA" if row % 50 == 1 else int(at(row).timestamp()), **X}
    assert drafted(tmp_path, seconds).data.query.endswith(f'WHERE lower(trim(CAST("time" AS VARCHAR))) {words}')


@pytest.mark.parametrize(("days", "block"), [(365, 7), (70, 7), (30, 3), (10, 1), (7, 1)])
def test_blocks_fit_the_span_so_that_each_part_gets_one(tmp_path: Path, days: int, block: int) -> None:
    columns = {"t": lambda row: (START + datetime.timedelta(days=row * days / 400)).isoformat(), **X}
    assert drafted(tmp_path, columns).split.block_days == block


def test_a_span_too_short_to_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match='column "t": expected rows of at least 6 days, got 4'):
        drafted(tmp_path, {"t": hour, **X}, rows=96)


def test_of_a_file_longer_than_its_head_the_span_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("staytrue.starter.HEAD_ROWS", 96)
    assert drafted(tmp_path, {"t": hour, **X}, rows=96).split.block_days == 1


def test_a_named_time_that_is_none_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r'column "w": expected dates or times, as .*, got "w0"; .*strptime'):
        drafted(tmp_path, {"w": lambda row: f"w{row}", "t": hour, **X}, time="w")


def test_a_target_that_never_varies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInput, match='column "c": expected numbers that vary, to be predicted, got 5 in every row'
    ):
        drafted(tmp_path, {"t": hour, **X, "c": lambda _: 5}, target="c")


def test_the_source_is_found_from_the_file_written_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "project").mkdir()
    path = write(tmp_path / "data" / "a.csv", {"t": hour, **X})
    monkeypatch.chdir(tmp_path)
    assert main(["init", "data/a.csv", "--output", "project/staytrue.yaml"]) == 0
    source = projects.load(tmp_path / "project" / "staytrue.yaml").data.source
    assert source is not None
    assert source.resolve() == path
    assert "predicts y from x" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.csv", {"t": hour, **X})
    assert main(["init", str(path), "--out", str(tmp_path / "nowhere" / "staytrue.yaml")]) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err


def test_commas_behind_a_zero_are_decimal_ones(tmp_path: Path) -> None:
    """No thousands begin with one."""
    data = drafted(tmp_path, {"t": hour, **X, "n": lambda row: f"{row % 9},{row % 900 + 100}"}).data
    assert (data.target, "replace(CAST(\"n\" AS VARCHAR), ',', '.')" in data.query) == ("n", True)


def test_a_second_line_of_names_is_named(tmp_path: Path) -> None:
    units = {"t": lambda row: hour(row - 1) if row else "ISO", "x": lambda row: row % 40 / 3 if row else "m/s"}
    with pytest.raises(
        InvalidInput, match=r'column "t": .* got "ISO" \(line 2\); mend these cells, or take such lines'
    ):
        drafted(tmp_path, units | {"y": lambda row: row % 41 / 3 if row else "kW"})


def test_what_stands_above_the_names_is_to_be_taken_out(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Report of plant 7\nt,x\n2024-01-01,2\n")
    with pytest.raises(InvalidInput, match=r"row 2: expected 1 cells .* got 2; take out what stands above the names"):
        starter(tmp_path / "a.csv", None, None)


def test_of_free_text_alone_it_is_told_how_it_is_read(tmp_path: Path) -> None:
    columns = {"t": hour, "mail": lambda row: f"mail {row} of many", "label": lambda row: ["ham", "spam"][row % 2]}
    with pytest.raises(
        InvalidInput, match=r"varies and repeats; mail: 400 .* free text for \{kind: text, shape: \[512"
    ):
        drafted(tmp_path, columns, target="label")
