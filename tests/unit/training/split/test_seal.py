"""The seal: test rows are blank for all but their opening, which the ledger knows first, whatever a model takes."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from staytrue.bundle import Metric
from staytrue.errors import Conflict, CorruptData
from staytrue.lineage import Lineage
from staytrue.openings import LEDGER, Opening, opened, perhaps_others
from staytrue.splitting import SplitSection
from training.data import mapped
from training.data.rows import Rows
from training.data.split.identity import Keys, keep, lineage_of
from training.data.split.ledger import KEYS, Known, Ledger, Opener, told_of
from training.data.split.plan import split
from training.data.split.seal import Sealed, seal_off

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.project import Project

DAY = 86400.0
A, B = Opener("m", "a", "w1"), Opener("m", "b", "w2")
SEAL = "s" * 64


def hourly(days: int, seed: int = 0) -> Rows:
    """Hourly rows that all differ."""
    time = np.arange(days * 24, dtype=np.float64) * 3600 + 11574 * DAY
    draw = np.random.default_rng(seed)
    columns: dict[str, NDArray[Any]] = {
        "x": draw.normal(size=len(time)).astype(np.float32),
        "n": draw.integers(0, 9, len(time)),
        "sky": draw.choice(["sun", "fog"], len(time)).astype(object),
        "view": draw.integers(0, 255, (len(time), 1, 2, 2), dtype=np.uint8),
    }
    marks = {"who": np.full(len(time), "me", dtype=object)}
    beside = {"told": draw.normal(size=len(time)), "begun": (time * 1e6).astype("datetime64[us]")}
    return Rows(time, columns, draw.normal(size=len(time)), marks, beside=beside)


def keys(*numbers: int, truth: int = 0) -> Keys:
    """Those of some rows, each of a time of its own."""
    moments = np.array(sorted(numbers), dtype=np.uint64)
    return Keys(moments, moments + np.uint64(1000 * (1 + truth)))


def shared(one: Keys, other: Keys) -> tuple[int, int]:
    """How many rows of one the other has by time and truth, and by time."""
    return int(np.isin(one.whole, other.whole).sum()), int(np.isin(one.moments, other.moments).sum())


def test_only_times_and_marks_of_test_rows_are_left_where_others_read(project: Project) -> None:
    rows, plan = hourly(70), split(hourly(70), SplitSection())
    shown, sealed = seal_off(rows, plan, project)
    index, before = plan.index("test"), hourly(70)
    assert np.isnan(shown.columns["x"][index]).all()
    assert (shown.columns["n"][index] == -(2**63)).all()
    assert set(shown.columns["sky"][index]) == {""}
    assert not shown.columns["view"][index].any()
    assert np.isnan(shown.target[index]).all()
    assert np.isnan(shown.beside["told"][index]).all()
    assert np.isnat(shown.beside["begun"][index]).all()
    assert (shown.time == before.time).all()
    others = np.setdiff1d(np.arange(len(rows)), index)
    assert shown.take(others).digest() == before.take(others).digest()
    assert (shown.beside["begun"][others] == before.beside["begun"][others]).all()
    assert sealed.seal(before.columns) == before.take(index).digest() == plan.seal


def test_columns_that_may_not_be_written_are_copied(project: Project) -> None:
    rows, plan = hourly(70), split(hourly(70), SplitSection())
    rows.columns["x"].flags.writeable = False
    shown, _ = seal_off(rows, plan, project)
    assert np.isnan(shown.columns["x"][plan.index("test")]).all()
    assert not np.isnan(rows.columns["x"]).any()


def test_a_row_is_the_same_whatever_is_taken_of_it_and_however_its_truth_is_written() -> None:
    rows = hourly(3)
    whole = Rows(rows.time, rows.columns, np.round(rows.target * 10))
    named = Rows(rows.time, {"x": rows.columns["x"]}, np.array([f"{v:.1f}" for v in whole.target], dtype=object))
    assert Keys.of(whole, ["y"]).lineage == Keys.of(named, ["y"]).lineage
    assert Keys.of(whole.take(np.arange(72)[::-1]), ["y"]).lineage == Keys.of(whole, ["y"]).lineage
    missing = Rows(rows.time, {}, np.full(72, np.nan)), Rows(rows.time, {}, np.full(72, "", dtype=object))
    assert Keys.of(missing[0], ["y"]).lineage == Keys.of(missing[1], ["y"]).lineage


def test_a_row_is_known_by_its_time_whatever_is_made_of_its_truth() -> None:
    """Another scale of the target, or another target, seals no row anew."""
    rows = hourly(3)
    plain, other = Keys.of(rows, ["y"]), Keys.of(Rows(rows.time, {}, np.exp(rows.target)), ["z"])
    assert shared(plain, other) == (0, 72)
    assert not np.isin(plain.whole, other.moments).any()
    assert np.isin(plain.all, other.all).sum() == 72


@pytest.mark.parametrize("change", ["time", "target"])
def test_another_time_or_truth_is_another_row(change: str) -> None:
    rows = hourly(3)
    values = {"time": rows.time.copy(), "target": rows.target.copy()}
    values[change][5] += 1
    other = Rows(values["time"], rows.columns, values["target"])
    assert shared(Keys.of(rows, ["y"]), Keys.of(other, ["y"])) == (71, 71 if change == "time" else 72)


def test_rows_of_one_time_and_truth_are_counted() -> None:
    """Of two such rows one that was opened does not stand for both."""
    time = np.zeros(4)
    two = Keys.of(Rows(time[:2], {}, np.ones(2)), ["y"])
    four = Keys.of(Rows(time, {}, np.array([1.0, 1.0, 1.0, 2.0])), ["y"])
    assert len(set(four.all.tolist())) == 8
    assert shared(four, two) == (2, 2)


def test_names_keep_their_keys_among_other_names() -> None:
    """What else there is in the column does not change them; several targets count whatever their order."""
    names = np.array(["b", "a", "b"], dtype=object)
    more = np.array(["b", "a", "b", "aa"], dtype=object)
    time = np.arange(4.0)
    assert shared(Keys.of(Rows(time[:3], {}, names), ["y"]), Keys.of(Rows(time, {}, more), ["y"])) == (3, 3)
    truth = np.array([[1.0, 2.0], [3.0, 4.0]])
    plain, swapped = Rows(time[:2], {}, truth), Rows(time[:2], {}, truth[:, ::-1])
    assert Keys.of(plain, ["p", "q"]).lineage == Keys.of(swapped, ["q", "p"]).lineage
    assert shared(Keys.of(swapped, ["p", "q"]), Keys.of(plain, ["p", "q"])) == (0, 2)


def test_pictures_stand_for_themselves_where_there_is_no_truth() -> None:
    rows = hourly(1)
    pictures = Rows(rows.time, {"view": rows.columns["view"]}, np.zeros(24))
    other = Rows(rows.time, {"view": rows.columns["view"] + np.uint8(1)}, np.zeros(24))
    assert shared(Keys.of(pictures, [], pictured=True), Keys.of(other, [], pictured=True)) == (0, 24)


def test_the_second_opening_is_refused_with_what_to_do_and_forced_it_is_written_down_as_such(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.open(A, keys(1, 2, 3, 4), SEAL)
    with pytest.raises(Conflict, match=r"all 4 rows were opened before, for run a on 20.* by .*@.*--force"):
        ledger.open(B, keys(1, 2, 3, 4), SEAL)
    with pytest.raises(Conflict, match=r"1 of the 3 rows were opened before"):
        ledger.open(B, keys(4, 5, 6), "t" * 64)
    ledger.open(B, keys(4, 5, 6), "t" * 64, force=True)
    lines = [msgspec.json.decode(line, type=Opening) for line in (tmp_path / LEDGER).read_bytes().splitlines()]
    assert [(line.run, line.forced, line.rows) for line in lines] == [("a", False, 4), ("b", True, 3)]
    assert [line.run for line in ledger.openings(keys(4).all)] == ["a", "b"]
    assert [line.run for line in ledger.openings(keys(6).all)] == ["b"]


def test_rows_that_were_opened_with_other_truths_are_refused_too(tmp_path: Path) -> None:
    """And it is said how many are known by their times alone."""
    ledger = Ledger(tmp_path)
    ledger.open(A, keys(1, 2, 3, 4), SEAL)
    told = "rows are of times of rows that were opened before with other truths, for run a"
    with pytest.raises(Conflict, match=f"all 4 {told}"):
        ledger.open(B, keys(1, 2, 3, 4, truth=1), "t" * 64)
    with pytest.raises(Conflict, match=f"1 of the 2 {told}"):
        ledger.open(B, keys(4, 5, truth=1), "t" * 64)
    mixed = Keys(keys(3, 4, 5).moments, np.array([1003, 2004, 2005], dtype=np.uint64))
    with pytest.raises(Conflict, match=r"1 of the 3 rows were opened before \(2 by their times alone\), for run a"):
        ledger.open(B, mixed, "t" * 64)


def test_ledgers_from_before_times_had_keys_know_rows_by_time_and_truth(tmp_path: Path) -> None:
    """Their files hold one key a row."""
    line = Opening(time="2024-01-01T00:00:00.000Z", run="old", lineage=lineage_of(keys(1, 2).whole), rows=2, seal="u")
    (tmp_path / LEDGER).write_bytes(msgspec.json.encode(line) + b"\n")
    keep(keys(1, 2).whole, tmp_path / KEYS / f"{line.lineage}.keys")
    with pytest.raises(Conflict, match="1 of the 2 rows were opened before, for run old"):
        Ledger(tmp_path).open(A, keys(2, 3), SEAL)
    assert Ledger(tmp_path).openings(keys(1).whole) == [line]


def test_an_opening_that_the_ledger_does_not_tell_of_is_refused_by_what_holds_the_lock(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match=rf"opened before, on then, of which .*{LEDGER} does not tell"):
        Ledger(tmp_path).open(A, keys(1), SEAL, known=["then"])
    Ledger(tmp_path).open(A, keys(1), SEAL, known=["then"], force=True)


def test_who_may_not_write_beside_it_reads_a_ledger_without_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Ledger(tmp_path).open(A, keys(1), SEAL)
    (tmp_path / f".{LEDGER}.lock").unlink()
    before = os.open

    def refused(path: Any, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied", str(path))
        return before(path, flags, *mode)

    monkeypatch.setattr("training.data.split.ledger.os.open", refused)
    assert len(Ledger(tmp_path).openings(keys(1).all)) == 1
    with pytest.raises(PermissionError):
        Ledger(tmp_path).open(A, keys(2), SEAL)


def test_rows_of_the_same_times_of_another_model_may_be_other_data(tmp_path: Path) -> None:
    Ledger(tmp_path).open(A, keys(1, 2), SEAL)
    other = Opener("load", "c", "w3")
    with pytest.raises(Conflict, match=r"other data than those of m, give them a folder of runs of their own"):
        Ledger(tmp_path).open(other, keys(1, 2, truth=1), "t" * 64)
    with pytest.raises(Conflict, match=r"with other truths.*; a test split seen twice"):
        Ledger(tmp_path).open(B, keys(1, 2, truth=1), "t" * 64)


def test_an_opening_of_another_model_that_shares_times_alone_is_told_apart_with_what_to_do(tmp_path: Path) -> None:
    """Of the same rows by another model, of its own, and of a model that is not known it is not said."""
    ledger, lineage = Ledger(tmp_path), Lineage(run="c", data_fingerprint="d", project_fingerprint="p")
    own, times = keys(1, 2, 3), keys(1, 2, 3, truth=1)
    ledger.open(Opener("cars", "x", "w"), times, "t" * 64)
    ledger.open(Opener("cycles", "y", "w"), own, "u" * 64, force=True)
    ledger.open(Opener("m", "z", "w"), times, "v" * 64, force=True)
    found = ledger.known(own.all, SEAL, "m")
    assert [line.run for line in found.lines] == ["x", "y", "z"]
    assert list(found.by_time.values()) == ["cars"]
    told = told_of(lineage, found)
    assert [model for model in told.test_opened_by_time if model] == ["cars"]
    place = told.test_opened_by_time.index("cars")
    assert f"on {told.test_opened[place]} for run x of cars by their times alone" in opened(told)
    assert "if cars is of other data, its opening showed nothing of these rows" in perhaps_others(told)
    assert "retraining.runs" in perhaps_others(told)
    assert told_of(told, Known([], {})) == told  # nothing is forgotten
    assert told_of(lineage, Known(found.lines[1:], {})).test_opened_by_time == []


def test_a_refusal_tells_of_the_opening_that_knew_the_rows_and_not_of_one_that_shares_their_times(
    tmp_path: Path,
) -> None:
    ledger = Ledger(tmp_path)
    ledger.open(A, keys(1, 2), SEAL)
    ledger.open(Opener("cars", "x", "w"), keys(1, 2, truth=1), "t" * 64, force=True)
    with pytest.raises(Conflict, match=r"all 2 rows were opened before, for run a.*; a test split seen twice"):
        ledger.open(B, keys(1, 2), SEAL)


def test_who_reads_waits_for_who_writes(tmp_path: Path) -> None:
    """Half a line is no damaged ledger."""
    ledger = Ledger(tmp_path)
    ledger.open(A, keys(1), SEAL)
    line, read = ledger.path.read_bytes(), list[int]()
    reader = threading.Thread(target=lambda: read.append(len(Ledger(tmp_path).openings(keys(1).all))))
    with ledger._held():
        ledger.path.write_bytes(line + line[:40])
        reader.start()
        reader.join(0.2)
        assert reader.is_alive()
        ledger.path.write_bytes(line + line)
    reader.join(30)
    assert read == [2]


def test_of_several_that_open_at_once_one_is_given_the_rows(tmp_path: Path, project: Project) -> None:
    """Unforced; threads of one process, as the test beside it has processes."""
    rows = hourly(70)
    _, sealed = seal_off(rows, split(rows, SplitSection()), project)
    seal, start, given = sealed.seal(rows.columns), threading.Barrier(8), list[str]()

    def opens(name: str) -> None:
        start.wait()
        with contextlib.suppress(Conflict):
            sealed.open(Ledger(tmp_path), Opener("m", name, name), seal, rows.columns)
            given.append(name)

    threads = [threading.Thread(target=opens, args=(f"r{place}",)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    lines = [msgspec.json.decode(line, type=Opening) for line in (tmp_path / LEDGER).read_bytes().splitlines()]
    assert [line.run for line in lines] == given
    assert len(given) == 1


def test_other_rows_are_another_lineage(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.open(A, keys(1, 2), SEAL)
    ledger.open(B, keys(3, 4), "t" * 64)
    assert ledger.openings(keys(5, 6).all) == []


def test_a_run_goes_on_with_its_own_opening_but_other_weights_are_another_run(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.open(A, keys(1), SEAL)
    assert ledger.figures(A, keys(1), SEAL) is None
    ledger.open(A, keys(1), SEAL)
    assert len(ledger.openings(keys(1).all)) == 1
    with pytest.raises(Conflict):
        ledger.open(Opener("m", "a", "other"), keys(1), SEAL)
    ledger.judged(A, keys(1), SEAL, {"mae": Metric(value=2.0, low=1.0, high=3.0)})
    seen = ledger.figures(A, keys(1), SEAL)
    assert seen is not None
    assert (seen.evaluation["mae"].low, len(ledger.openings(keys(1).all))) == (1.0, 1)
    ledger.open(A, keys(1), SEAL, force=True)
    assert ledger.figures(A, keys(1), SEAL) is None
    assert len(ledger.openings(keys(1).all)) == 2


def test_ledgers_from_before_rows_had_keys_are_read(tmp_path: Path) -> None:
    """By the seal, as they were written then."""
    line = f'{{"time": "2024-01-01T00:00:00.000Z", "seal": "{SEAL}", "run": "old", "forced": false}}\n'
    (tmp_path / LEDGER).write_text(line, encoding="utf-8")
    ledger = Ledger(tmp_path)
    with pytest.raises(Conflict, match=r"for run old on 2024-01-01T00:00:00\.000Z;"):
        ledger.open(A, keys(1), SEAL)
    ledger.open(Opener("m", "old", "w"), keys(1), SEAL)
    ledger.open(A, keys(1), "t" * 64)
    assert [line.run for line in ledger.openings(keys().all, SEAL)] == ["old"]


@pytest.mark.parametrize("damage", ["", "{broken\n", '{"time": "x"}\n'])
def test_what_cannot_be_read_is_not_taken_for_unopened(tmp_path: Path, damage: str) -> None:
    """A line that is damaged may be the opening that matters, and so may keys that are gone."""
    ledger = Ledger(tmp_path)
    ledger.open(A, keys(1), SEAL)
    if damage:
        with ledger.path.open("a", encoding="utf-8") as file:
            file.write(damage)
    else:
        (tmp_path / KEYS / f"{keys(1).lineage}.keys").write_bytes(b"12345678")
    with pytest.raises(CorruptData, match=f"{KEYS}/" if not damage else f"{LEDGER}:2"):
        ledger.open(B, keys(2), "t" * 64)


def _race(folder: Path, name: str, start: Any, won: Any) -> None:
    start.wait()
    try:
        Ledger(folder).open(Opener("m", name, name), keys(*range(1000)), SEAL)
    except Conflict:
        return
    won.put(name)


def test_of_several_processes_one_is_the_first(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    start, won = context.Event(), context.Queue()
    processes = [context.Process(target=_race, args=(tmp_path, f"r{place}", start, won)) for place in range(6)]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(60)
    lines = [msgspec.json.decode(line, type=Opening) for line in (tmp_path / LEDGER).read_bytes().splitlines()]
    assert [line.run for line in lines] == [won.get(timeout=10)]
    assert won.empty()


def _die(folder: Path, sealed: Sealed, rows: Rows) -> None:
    sealed.open(Ledger(folder), A, sealed.seal(rows.columns), rows.columns)
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_opening_that_was_killed_before_it_saw_anything_is_one(tmp_path: Path, project: Project) -> None:
    rows = hourly(70)
    _, sealed = seal_off(rows, split(rows, SplitSection()), project)
    process = multiprocessing.get_context("fork").Process(target=_die, args=(tmp_path, sealed, rows))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    seal = sealed.seal(rows.columns)
    with pytest.raises(Conflict, match="for run a"):
        sealed.open(Ledger(tmp_path), B, seal, rows.columns)
    assert len(sealed.open(Ledger(tmp_path), A, seal, rows.columns)) == len(sealed)


def test_rows_that_are_not_what_was_sealed_do_not_open(tmp_path: Path, project: Project) -> None:
    rows = hourly(70)
    _, sealed = seal_off(rows, split(rows, SplitSection()), project)
    with pytest.raises(
        CorruptData, match=r"holds other data than were sealed, expected seal ssss.*bring back the data"
    ):
        sealed.open(Ledger(tmp_path), A, SEAL, rows.columns)
    assert not (tmp_path / LEDGER).exists()


def test_rows_of_mapped_columns_are_sealed_as_they_were(project: Project) -> None:
    """Of a large column the last rows are a view, which must not be blanked with it."""
    rows = dataclasses.replace(hourly(70), most_bytes=1)
    mapped_ = {name: mapped.kept(column, 1) for name, column in rows.columns.items()}
    plan = split(rows, SplitSection(method="time"))
    shown, sealed = seal_off(dataclasses.replace(rows, columns=mapped_), plan, project)
    index, before = plan.index("test"), hourly(70)
    assert (np.diff(index) == 1).all(), "one block"
    assert np.isnan(shown.columns["x"][index]).all()
    assert sealed.seal(rows.columns) == before.take(index).digest()
