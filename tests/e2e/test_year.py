"""The promise of the project, on the whole real year: what `make demo` prints is asserted here from its books."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from staytrue.records import seconds_of

ROOT = Path(__file__).resolve().parents[2]
MAY_1 = seconds_of("2011-05-01")
DAY = 86400.0

pytestmark = [pytest.mark.e2e, pytest.mark.year, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path, str]:
    """One run of the demo: its summary, its folder, what it printed."""
    output = tmp_path_factory.mktemp("year") / "demo"
    command = [sys.executable, "-m", "examples.bikeshare.demo", "--output", str(output)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            said, faults = process.communicate()
        except BaseException:  # past its time: killed, it would leave its servers behind
            process.terminate()
            process.communicate()
            raise
    assert (output / "summary.json").exists(), said[-3000:] + faults[-3000:]
    assert process.returncode == 0, said[-5000:] + faults[-2000:]
    return json.loads((output / "summary.json").read_text()), output, said


def starts(summary: dict[str, Any], *names: str) -> list[float]:
    """Event times at which alerts of these names began."""
    return sorted(seconds_of(a["startsAt"]) for a in summary["alerts"] if a["labels"]["alertname"] in names)


def test_held_out_weeks_raise_neither_drift_nor_quality_alarm(demo: tuple[dict[str, Any], Path, str]) -> None:
    assert not [at for at in starts(demo[0], "StaytrueDrift", "StaytrueQuality") if at < MAY_1 + DAY]


def test_first_alarm_comes_within_fourteen_days_of_may(demo: tuple[dict[str, Any], Path, str]) -> None:
    first = starts(demo[0], "StaytrueDrift", "StaytrueQuality")[0]
    assert MAY_1 < first <= MAY_1 + 14 * DAY


def test_a_drift_alarm_names_temperature_by_mid_june(demo: tuple[dict[str, Any], Path, str]) -> None:
    drifts = [a["annotations"] for a in demo[0]["alerts"] if a["labels"]["alertname"] == "StaytrueDrift"]
    found = [pair for notes in drifts for pair in json.loads(notes["features"]).items()]
    named = [seconds_of(at) for feature, at in found if feature in {"temp", "atemp"}]
    assert named
    assert min(named) <= seconds_of("2011-06-15")


def test_one_retraining_per_cooldown(demo: tuple[dict[str, Any], Path, str]) -> None:
    triggers = sorted(job["job"]["event_time"] for job in demo[0]["jobs"])
    assert triggers
    assert all(later - earlier >= 14 * DAY for earlier, later in pairwise(triggers))
    assert all(job["job"]["state"] == "succeeded" and job["verdict"] for job in demo[0]["jobs"])


def test_kept_line_is_a_quarter_better_than_the_model_left_alone(demo: tuple[dict[str, Any], Path, str]) -> None:
    kept, alone = demo[0]["phases"]["May to December"]
    assert 40 < alone < 60  # the drift is real
    assert kept <= 0.75 * alone


def test_error_falls_back_after_the_first_promotion(demo: tuple[dict[str, Any], Path, str]) -> None:
    during, after = (
        demo[0]["phases"][name][0] for name in ("during (1 May to first promotion)", "after (to 31 December)")
    )
    assert after < during


def test_every_answer_is_logged_and_collected_once(demo: tuple[dict[str, Any], Path, str]) -> None:
    counts = demo[0]["counts"]
    assert counts["answered"] == counts["logged"] == counts["collected"] > 6000
    assert counts["same_events"]
    assert counts["labelled"] == counts["labels_collected"] == counts["answered"]


def test_half_of_the_requests_came_over_grpc(demo: tuple[dict[str, Any], Path, str]) -> None:
    books = demo[0]["counts"]["protocols"]
    assert books.keys() == {"rest", "grpc"}
    for answered, logged, collected in books.values():
        assert answered == logged == collected > 3000


def test_no_promise_of_the_demo_is_broken(demo: tuple[dict[str, Any], Path, str]) -> None:
    assert not [claim for claim in demo[0]["claims"] if not claim["holds"]]


def test_report_and_picture_are_there_and_whole(demo: tuple[dict[str, Any], Path, str]) -> None:
    summary, output, printed = demo
    page = (output / "year.html").read_text()
    assert (output / "year.png").read_bytes().startswith(b"\x89PNG")
    assert "data:image/png;base64," in page
    assert all(claim["measured"] for claim in summary["claims"])
    assert "The year, day by day" in printed
    assert "PROMOTED" in printed


def test_the_test_split_was_opened_once(demo: tuple[dict[str, Any], Path, str]) -> None:
    store = demo[1] / "store" / "bikes"
    first = json.loads((store / "1" / "bundle.json").read_text())
    assert first["lineage"]["test_openings"] == 1
    ledger = (demo[1] / "runs" / "test_ledger.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in ledger] == ["opened", "judged"]
