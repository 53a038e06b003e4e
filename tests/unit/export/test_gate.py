"""The gate lets a better challenger pass, and no other: intervals against closed forms, decisions on real bundles."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from export.gate import judge
from export.intervals import expanded_tail, interval
from export.publish import publish
from serving.runtimes.base import RunError
from serving.runtimes.onnx import OnnxRuntime
from staytrue.errors import Conflict, CorruptData, InvalidInput
from staytrue.sections import ExportSection, GateSection
from staytrue.store import Store
from staytrue.verdicts import RetrainJob, Verdict
from tests.unit.export.conftest import Small

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.checkpoint import Checkpoint
    from staytrue.profile import ReferenceProfile

    Rows = dict[str, NDArray[Any]]

JOB = RetrainJob(id="houses-1", model="houses", trigger="test", champion="1", event_time=5.0, created=0.0)
HOUR = 3600.0


def test_interval_of_independent_days_is_the_normal_one() -> None:
    draw = np.random.default_rng(1)
    difference = draw.normal(-1.0, 2.0, 400)
    low, high = interval(difference, np.arange(400), 0.95, seed=0)
    half = 1.96 * difference.std(ddof=1) / np.sqrt(400)
    assert low == pytest.approx(difference.mean() - half, abs=0.03)
    assert high == pytest.approx(difference.mean() + half, abs=0.03)


def test_rows_of_one_day_that_move_together_count_as_one() -> None:
    draw = np.random.default_rng(2)
    days = np.repeat(np.arange(30), 24)
    difference = np.repeat(draw.normal(0.0, 1.0, 30), 24)
    low, high = interval(difference, days, 0.95, seed=0)
    by_row_low, by_row_high = interval(difference, np.arange(len(days)), 0.95, seed=0)
    assert (high - low) / (by_row_high - by_row_low) == pytest.approx(np.sqrt(24), rel=0.15)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(3)
    days = np.repeat(np.arange(25), 8)
    hits = 0
    for seed in range(200):
        difference = np.repeat(draw.normal(0.3, 1.0, 25), 8) + draw.normal(0, 0.5, 200)
        low, high = interval(difference, days, 0.95, seed=seed)
        hits += low <= 0.3 <= high
    assert 0.88 <= hits / 200 <= 0.99


@pytest.mark.parametrize("days", [5, 8, 14])
def test_an_equal_challenger_passes_hardly_ever_however_few_the_days(days: int) -> None:
    draw = np.random.default_rng(5)
    blocks = np.repeat(np.arange(days), 24)
    passed = 0
    for seed in range(300):
        difference = np.repeat(draw.normal(0.0, 1.0, days), 24) + draw.normal(0, 2.0, 24 * days)
        passed += interval(difference, blocks, 0.95, seed=seed)[1] < 0
    assert passed / 300 <= 0.045  # 2.5% is promised; five days allow 1/32 at the least


def test_the_tail_of_few_days_is_wider_as_students_is() -> None:
    assert expanded_tail(10_000, 0.95) == pytest.approx(0.025, abs=1e-4)
    assert expanded_tail(5, 0.95) == pytest.approx(0.00095, abs=1e-4)  # sf(sqrt(5/4) * 2.776)
    assert expanded_tail(1, 0.95) == 0.0


def truth(rows: Rows) -> NDArray[np.float64]:
    """What version 1 says, with noise that no version knows."""
    town = np.where(rows["town"] == "north", 1, 2)
    exact = (3 * rows["size"] + rows["rooms"] + 10 * town).ravel().astype(np.float64)
    noisy: NDArray[np.float64] = exact + np.random.default_rng(4).normal(0, 0.5, len(exact))
    return noisy


def run(store: Store, rows: Rows, champion: str, challenger: str, **settings: Any) -> Any:
    """Judge 64 rows, two a day."""
    job = RetrainJob(id="houses-1", model="houses", trigger="test", champion=champion, event_time=5.0, created=0.0)
    every = settings.pop("every", 12 * HOUR)
    gate = GateSection(**{"minimum_rows": 24, **settings})
    times = np.arange(64, dtype=np.float64) * every
    return judge(store, job, challenger, rows, truth(rows), times, gate)


def test_a_better_challenger_passes_with_its_figures(published: Store, rows: Rows) -> None:
    verdict = run(published, rows, champion="3", challenger="1")
    assert verdict.promote
    assert verdict.champion_error == pytest.approx(4.0, abs=0.2)
    assert verdict.challenger_error == pytest.approx(0.4, abs=0.15)
    assert verdict.low < verdict.difference < verdict.high < 0
    assert (verdict.rows, verdict.blocks, verdict.decided) == (64, 32, 5.0)
    assert verdict.reason.startswith("better")


def test_a_worse_challenger_is_refused(published: Store, rows: Rows) -> None:
    verdict = run(published, rows, champion="1", challenger="3")
    assert not verdict.promote
    assert verdict.low > 0


def test_an_equal_challenger_is_refused(published: Store, rows: Rows) -> None:
    verdict = run(published, rows, champion="1", challenger="2")
    assert not verdict.promote
    assert verdict.difference == 0.0
    assert "not shown to be better" in verdict.reason


def test_too_few_rows_promote_nobody(published: Store, rows: Rows) -> None:
    verdict = run(published, rows, champion="3", challenger="1", minimum_rows=65)
    assert not verdict.promote
    assert "too little to judge by, 65 rows of 5 days needed" in verdict.reason


def test_too_few_days_promote_nobody(published: Store, rows: Rows) -> None:
    verdict = run(published, rows, champion="3", challenger="1", minimum_days=33)
    assert not verdict.promote
    assert "24 rows of 33 days needed" in verdict.reason


def test_the_same_job_gets_the_same_verdict(published: Store, rows: Rows) -> None:
    assert run(published, rows, champion="3", challenger="1") == run(published, rows, champion="3", challenger="1")


def test_lengths_that_differ_are_refused(published: Store, rows: Rows) -> None:
    with pytest.raises(InvalidInput, match="one length"):
        judge(published, JOB, "2", rows, np.zeros(3), np.zeros(3), GateSection())


def test_one_day_promotes_nobody_whatever_is_set(published: Store, rows: Rows) -> None:
    verdict = run(published, rows, champion="3", challenger="1", minimum_days=1, every=60.0)
    assert (verdict.promote, verdict.blocks) == (False, 1)
    assert "24 rows of 2 days needed" in verdict.reason


@pytest.mark.parametrize(("champion", "challenger"), [("4", "1"), ("1", "4")])
def test_a_version_that_gives_no_number_is_no_verdict(
    published: Store, rows: Rows, champion: str, challenger: str
) -> None:
    with pytest.raises(InvalidInput, match=r"houses version 4: expected finite numbers, got 64 of 64 that are not"):
        run(published, rows, champion=champion, challenger=challenger)


def test_a_version_that_fails_on_the_rows_is_no_verdict(
    published: Store, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RunError("MatMul dimension mismatch\nand more")

    monkeypatch.setattr(OnnxRuntime, "run", fail)
    with pytest.raises(InvalidInput) as caught:
        run(published, rows, champion="1", challenger="2")
    assert str(caught.value) == "gate, houses version 1: fails on rows from 0 on: MatMul dimension mismatch"


def test_a_truth_that_is_no_number_is_refused(published: Store, rows: Rows) -> None:
    unknown = np.append(np.zeros(63), np.nan)
    with pytest.raises(InvalidInput, match="truth: expected finite numbers, got 1 of 64"):
        judge(published, JOB, "2", rows, unknown, np.zeros(64), GateSection())


def test_a_version_without_onnx_cannot_be_judged(
    store: Store, checkpoint: Checkpoint, profile: ReferenceProfile, rows: Rows
) -> None:
    publish(store, Small(), checkpoint, profile, rows, ExportSection(max_batch=2, formats=["torchscript"]))
    with pytest.raises(CorruptData, match="houses version 1: has no ONNX artefact"):
        judge(store, JOB, "1", rows, np.zeros(64), np.zeros(64), GateSection())


def test_rows_beyond_the_largest_batch_are_judged_in_parts(published: Store, rows: Rows) -> None:
    assert published.load("houses", "1").max_batch < len(rows["size"])
    assert run(published, rows, champion="3", challenger="1").rows == 64


def judged(named: Store, champion: str, challenger: str) -> Verdict:
    """Ten days of sizes, of which every third is between the limits of the two versions; the truth is version 1's."""
    sizes = np.tile([2.0, 5.5, 8.0], 80)
    truth = np.where(sizes > 5, "large", "small").astype(object)
    job = msgspec.structs.replace(JOB, champion=champion)
    rows = {"size": sizes.astype(np.float32).reshape(-1, 1)}
    return judge(named, job, challenger, rows, truth, np.arange(240.0) * HOUR, GateSection())


def test_classifiers_are_judged_by_their_error_rates(named: Store) -> None:
    better, worse = judged(named, "2", "1"), judged(named, "1", "2")
    assert (better.metric, better.promote, worse.promote) == ("error_rate", True, False)
    assert (better.champion_error, better.challenger_error) == pytest.approx((1 / 3, 0))
    assert (better.difference, better.low, better.high) == pytest.approx((-1 / 3, -1 / 3, -1 / 3))


def test_a_classifier_that_answers_alike_does_not_pass(named: Store) -> None:
    same = judged(named, "1", "1")
    assert (same.difference, same.low, same.high, same.promote) == (0, 0, 0, False)


def test_versions_of_two_tasks_are_not_compared(named: Store, published: Store, tmp_path: Path) -> None:
    shutil.copytree(named.root, tmp_path / "both")
    shutil.rmtree(tmp_path / "both" / "houses" / "2")
    shutil.copytree(published.path("houses", "2"), tmp_path / "both" / "houses" / "2")
    with pytest.raises(Conflict, match="expected two versions of one task, classification, got regression"):
        judged(Store(tmp_path / "both"), "1", "2")
