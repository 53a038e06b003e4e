"""The sidecar's page in a real browser: what it shows, that it needs no internet, and that callers' text stays text."""

from __future__ import annotations

import re
import subprocess
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from monitoring.state import State
from staytrue import alerts
from staytrue.alerts import resolve
from staytrue.store import Store
from staytrue.verdicts import RetrainJob, Verdict
from staytrue.windows import Check, Evidence, Quality, Window
from tests.needs import needs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from examples.bikeshare.demo.processes import Service

pytestmark = pytest.mark.e2e
DAY = 86400.0
START = 1_304_208_000.0
"""1 May 2011."""
HOSTILE = "</title><script>document.title='taken'</script><img src=x onerror=alert(1)>"


def look(model: str, day: int) -> Window:
    """The look of a day: warmth drifts away, and the error grows."""
    end = START + day * DAY
    return Window(
        model=model,
        version="1" if day < 20 else "2",
        start=end - 7 * DAY,
        end=end,
        rows=168,
        checks=[Check(name="range", column="temp", verdict="warn", detail=HOSTILE)],
        drift=[
            Evidence(detector="block_shift", feature="temp", evidence=day / 10, detail="mean 0.6, reference 0.3"),
            Evidence(detector="block_shift", feature=HOSTILE, evidence=0.2),
            Evidence(detector="block_shift", feature="wind", evidence=0.0, sufficiency="insufficient", detail="few"),
        ],
        quality=Quality(
            metric="mean_absolute_error", value=16.0 + day, baseline=16.0, evidence=day / 15, rows=160, coverage=0.95
        ),
    )


def fill(data: Path, model: str) -> None:
    """A month in the sidecar's state."""
    state = State(data / "state.sqlite")
    state.save_clocks({model: START + 30 * DAY}, {model: time.time()})
    state.answers(model, "1", START)
    for day in range(31):
        state.save_window(look(model, day))
    labels = {"alertname": "StaytrueDrift", "model": model, "severity": "warning"}
    fired = alerts.fire(labels, {"summary": HOSTILE, "resolved_because": "back"}, START + 11 * DAY, "")
    state.save_alert(model, "drift", fired)
    ended = alerts.fire({**labels, "alertname": "StaytrueQuality"}, {"summary": "worse"}, START + 9 * DAY, "")
    state.save_alert(model, "quality", resolve(ended, START + 19 * DAY))
    job = RetrainJob(
        id="job-1", model=model, trigger=HOSTILE, champion="1", event_time=START, created=0, state="succeeded"
    )
    verdict = Verdict(
        job="job-1",
        model=model,
        champion="1",
        challenger="2",
        metric="mean_absolute_error",
        rows=120,
        blocks=5,
        champion_error=40.0,
        challenger_error=30.0,
        difference=-10.0,
        low=-14.0,
        high=-6.0,
        confidence=0.9,
        promote=True,
        reason=f"better {HOSTILE}",
        decided=START,
    )
    state.save_job(job, verdict)
    state.close()


def browse(address: str, folder: Path, *flags: str) -> tuple[str, str]:
    """The page as a browser has it after loading, and what it complained of."""
    line = [needs("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions"]
    line += [f"--user-data-dir={folder / 'browser'}", "--enable-logging=stderr", "--virtual-time-budget=2000", *flags]
    done = subprocess.run([*line, address], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout, "\n".join(part for part in done.stderr.splitlines() if "CONSOLE" in part or "Refused" in part)


@pytest.fixture
def sidecar(project: Path, start: Callable[..., Service]) -> Service:
    """A sidecar that has watched for a month."""
    fill(project.parent / "monitoring", Store(project.parent / "store").models()[0])
    return start("monitor", project, "--port", "0")


def test_a_browser_shows_all_of_it_without_internet(sidecar: Service, tmp_path: Path) -> None:
    offline = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    text, complaints = browse(sidecar.address, tmp_path, "--dump-dom", offline)
    assert complaints == ""
    for part in (
        "StaytrueDrift",
        "StaytrueQuality",
        "temp",
        "mean absolute error",
        "job-1",
        "promoted",
        "version 2 answers",
    ):
        assert part in text
    assert len(re.findall("<svg", text)) == 2
    assert len(re.findall("<polyline", text)) >= 4
    assert re.search(r"Evidence of a worse error: <span class=\"alarm\">2\.00", text)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)


def test_text_of_callers_stays_text(sidecar: Service, tmp_path: Path) -> None:
    text, complaints = browse(sidecar.address, tmp_path, "--dump-dom")
    assert complaints == ""
    assert "<title>(1) Staytrue</title>" in text  # no script ran
    assert "<script" not in text
    assert "<img" not in text
    assert text.count("&lt;script&gt;") >= 4


def test_a_picture_of_it_is_not_blank(sidecar: Service, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    browse(sidecar.address, tmp_path, f"--screenshot={picture}", "--window-size=1100,1600")
    assert picture.stat().st_size > 40_000


def test_the_policy_lets_nothing_in(sidecar: Service) -> None:
    answer = httpx.get(sidecar.address)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert httpx.get(f"{sidecar.address}/docs").status_code == 404
