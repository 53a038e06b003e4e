"""The sidecar's HTTP side."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from monitoring.app import LARGEST_BODY, STATUS, Api
from monitoring.display.metrics import Computed
from monitoring.ingest.labels import LabelDesk
from staytrue.errors import ErrorCode
from staytrue.events import Heartbeat, encode
from staytrue.records import from_json
from staytrue.verdicts import RetrainJob
from staytrue.windows import Window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from fastapi import FastAPI

    from tests.unit.monitoring.conftest import Rig


class Client:
    """Calls an application without a network."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One call, in a loop of its own."""

        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://sidecar") as client:
                return await client.request(method, path, **more)

        return asyncio.run(call())

    def get(self, path: str, **more: Any) -> httpx.Response:
        """Ask."""
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        """Tell."""
        return self.request("POST", path, **more)


def backlog(rig: Rig) -> Callable[[], int]:
    """What the sidecar counts as its backlog."""
    return lambda: rig.parts.events.reader.backlog_bytes() + rig.parts.labels.reader.backlog_bytes()


@pytest.fixture
def client(rig: Rig) -> Client:
    """A caller of the rig's sidecar."""
    rig.registry.register(Computed(rig.parts, backlog(rig)))
    api = Api(rig.parts, LabelDesk(rig.labels), rig.registry, backlog(rig))
    return Client(api.app())


def get(client: Client, path: str) -> Any:
    """A JSON answer."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_error_code_has_a_status() -> None:
    assert set(STATUS) == set(ErrorCode)


def test_labels_are_accepted_counted_and_collected(rig: Rig, client: Client) -> None:
    rig.log(rig.event(rig.start, name="a"))
    answer = client.post("/v1/labels", json={"labels": [{"event_id": "a", "truth": 4.5, "known": rig.start}] * 2})
    assert (answer.status_code, answer.json()) == (200, {"accepted": 2})
    assert get(client, "/v1/status")["backlog_bytes"] > 0
    rig.analyst.tick()
    status = get(client, "/v1/status")
    assert (status["counts"]["labels"], status["backlog_bytes"]) == (2, 0)
    assert rig.window(0, 1).truth.tolist() == [4.5]


def test_a_bad_label_is_refused_whole_and_the_next_good_one_taken(rig: Rig, client: Client) -> None:
    answer = client.post("/v1/labels", json={"labels": [{"event_id": "a", "truth": 1}, {"event_id": "b"}]})
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "labels[1].truth: expected a number or a text, got None",
        "code": "invalid_input",
    }
    assert client.post("/v1/labels", json={"event_id": "a", "truth": 1}).json() == {"accepted": 1}
    rig.analyst.tick()
    assert get(client, "/v1/status")["counts"]["labels"] == 1


def test_a_body_beyond_the_limit_is_refused_with_and_without_its_length(client: Client) -> None:
    large = b" " * (LARGEST_BODY + 1)
    assert client.post("/v1/labels", content=large).status_code == 413

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * 1024**2

    assert client.post("/v1/labels", content=pieces()).status_code == 413


def test_a_log_that_refuses_is_answered_503(rig: Rig, client: Client) -> None:
    rig.labels.close()
    answer = client.post("/v1/labels", json={"event_id": "a", "truth": 1})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


@pytest.mark.parametrize(
    ("method", "path", "code", "says"),
    [
        ("GET", "/nowhere", 404, "is no address of the sidecar"),
        ("GET", "/v1/labels", 405, "expected POST, got GET"),
        ("GET", "/v1/windows", 400, "query model"),
        ("GET", "/v1/windows?model=toy&after=soon", 400, "query after"),
        ("GET", "/reports/none/report.html", 404, "/v1/reports lists them"),
    ],
)
def test_wrong_calls_are_told_what_is_wrong(client: Client, method: str, path: str, code: int, says: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == code
    assert says in answer.json()["error"]


def test_status_says_how_things_stand(rig: Rig, client: Client) -> None:
    empty = get(client, "/v1/status")
    assert (empty["watermark"], empty["looked_until"], empty["job"], empty["models"]) == (None, None, None, {})
    rig.live(0, 2)
    rig.log(rig.event(rig.start, status="invalid_input"))
    rig.analyst.tick()
    assert get(client, "/v1/status") == {
        "watermark": rig.start + 2 * 86400,
        "looked_until": rig.start + 2 * 86400,
        "counts": {
            "events": 6,
            "by_status": {"ok": 5, "invalid_input": 1},
            "rows": 5,
            "labels": 5,
            "labels_without_event": 0,
            "labels_without_row": 0,
            "torn_tails": 0,
            "damaged": 0,
        },
        "cloudevents": {"paired": 0, "duplicate": 0, "alone": 0, "refused": 0, "waiting": 0},
        "backlog_bytes": 0,
        "models": {"toy": {"champion": "1"}},
        "alerts": [],
        "job": None,
        "jobs": 0,
        "reports_pending": 0,
        "webhooks": {},
    }


def test_windows_alerts_and_jobs_are_told_as_records(rig: Rig, client: Client) -> None:
    rig.script.drift = {1: 2.0, 2: 2.0, 3: 2.0}
    rig.live(0, 3)
    windows = get(client, f"/v1/windows?model=toy&after={rig.start + 86400}")
    assert [from_json(Window, json.dumps(item).encode(), "").rows for item in windows] == [4, 6]
    assert get(client, "/v1/windows?model=other") == []
    (alert,) = get(client, "/v1/alerts")
    assert (alert["status"], alert["labels"]["alertname"], "startsAt" in alert) == ("firing", "StaytrueDrift", True)
    assert get(client, "/v1/status")["alerts"] == [alert]
    job = RetrainJob(id="j", model="toy", trigger="t", champion="1", event_time=0, created=0, state="running")
    rig.parts.state.save_job(job)
    (told,) = get(client, "/v1/jobs")
    assert (told["job"]["id"], told["verdict"]) == ("j", None)
    assert get(client, "/v1/status")["job"]["id"] == "j"


def test_a_window_that_holds_nan_or_infinity_is_kept_and_told_as_null(rig: Rig, client: Client) -> None:
    from staytrue.windows import Evidence

    odd = Evidence(detector="d", feature="x", evidence=float("inf"), statistic=float("nan"))
    rig.parts.state.save_window(Window(model="toy", version="1", start=0, end=1, rows=1, drift=[odd]))
    found = rig.parts.state.last_window("toy")
    assert found
    assert found.drift_evidence == float("inf")
    assert get(client, "/v1/windows?model=toy")[0]["drift"][0]["evidence"] is None


def test_health_follows_the_ticks(rig: Rig, client: Client) -> None:
    assert client.get("/healthz").status_code == 200
    rig.parts.vitals.failing = "OSError: disk"
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "the last tick failed"})


def test_an_unexpected_fault_gives_an_id_and_never_its_text(
    rig: Rig, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ValueError("a password")

    monkeypatch.setattr(rig.parts.state, "alerts", broken)
    answer = client.get("/v1/alerts")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "a password" not in answer.text
    name = answer.json()["error"].split("request ")[1].split()[0]
    assert name in caplog.text
    assert "a password" in caplog.text


def test_reports_are_listed_and_served_in_an_origin_of_their_own(rig: Rig, client: Client) -> None:
    folder = rig.parts.reports.root / "r1"
    folder.mkdir(parents=True)
    (folder / "request.json").write_text('{"model": "toy"}')
    (folder / "report.html").write_text("<h1>drift</h1>")
    (rig.parts.reports.root / "secret.txt").write_text("no")
    (told,) = get(client, "/v1/reports")
    page = client.get(told["report"])
    assert (page.status_code, page.text) == (200, "<h1>drift</h1>")
    assert page.headers["content-security-policy"] == "sandbox allow-scripts"
    for path in ("/reports/r1/request.json", "/reports/../secret.txt", "/reports/%2e%2e/secret.txt", "/reports/r1/x"):
        assert client.get(path).status_code == 404


def test_metrics_tell_what_was_collected_found_and_done(rig: Rig, client: Client) -> None:
    rig.script.drift, rig.script.quality = {2: 0.5, 3: 1.5, 4: 2.5}, {4: 0.7}
    rig.events.append(
        [
            encode(
                Heartbeat(
                    worker="w",
                    time=rig.now - 3,
                    ready=True,
                    in_flight=2,
                    resident_bytes=9,
                    shadows_dropped=4,
                    callers_refused={"rest": {"overloaded": 5, "st_secret": 6}, "st_secret": {"overloaded": 7}},
                )
            )
        ]
    )
    rig.log(rig.event(rig.start, status="invalid_input"))
    rig.live(0, 4)
    rig.parts.vitals.failed_ticks = 1
    text = client.get("/metrics").text
    for line in (
        'staytrue_events_collected_total{model="toy",status="ok"} 9.0',
        'staytrue_events_collected_total{model="toy",status="invalid_input"} 1.0',
        "staytrue_labels_collected_total 9.0",
        "staytrue_rows_collected_total 9.0",
        "staytrue_log_torn_tails_total 0.0",
        "staytrue_log_damaged_records_total 0.0",
        "staytrue_log_backlog_bytes 0.0",
        "staytrue_ticks_failed_total 1.0",
        f'staytrue_watermark_timestamp_seconds{{model="toy"}} {rig.start + 4 * 86400}',
        'staytrue_heartbeat_age_seconds{worker="w"} 3.0',
        'staytrue_in_flight_requests{worker="w"} 2.0',
        'staytrue_worker_resident_bytes{worker="w"} 9.0',
        'staytrue_worker_shadows_dropped_total{worker="w"} 4.0',
        'staytrue_worker_ready{worker="w"} 1.0',
        'staytrue_worker_callers_refused_total{code="overloaded",protocol="rest",worker="w"} 5.0',
        'staytrue_worker_callers_refused_total{code="unauthenticated",protocol="grpc",worker="w"} 0.0',
        'staytrue_drift_evidence_ratio{detector="fake",feature="x",model="toy",version="1"} 2.5',
        'staytrue_quality_value{model="toy",version="1"} 2.0',
        'staytrue_quality_baseline{model="toy",version="1"} 1.0',
        'staytrue_quality_evidence_ratio{model="toy",version="1"} 0.7',
        'staytrue_quality_coverage_ratio{model="toy",version="1"} 0.5',
        'staytrue_alerts_firing{alertname="StaytrueDrift",model="toy"} 1.0',
        'staytrue_retraining_jobs{state="failed"} 0.0',
        'staytrue_request_seconds_count{model="toy"} 10.0',
    ):
        assert _number(line) in [_number(found) for found in text.splitlines()], line
    assert "st_secret" not in text


def _number(line: str) -> tuple[str, float] | str:
    if line.startswith("#"):
        return line
    name, _, value = line.rpartition(" ")
    return name, float(value)


def test_metrics_are_openmetrics_where_asked_for(client: Client) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_the_page_shows_how_things_stand_and_escapes_what_callers_sent(rig: Rig, client: Client) -> None:
    assert "No model has answered yet" in client.get("/").text
    rig.script.drift, rig.script.quality = {1: 1.5, 2: 2.5}, {2: 0.5}
    rig.live(0, 2)
    job = RetrainJob(id="<q>", model="toy", trigger="t", champion="1", event_time=0, created=0, state="failed")
    rig.parts.state.save_job(job)
    page = client.get("/").text
    for text in ("StaytrueDrift", "toy", "2.50", "requests<b>5</b>", "labels<b>5</b>", "&lt;q&gt;", "failed", "<svg"):
        assert text in page
    assert "<q>" not in page


def test_the_process_is_alive_though_its_ticks_fail(rig: Rig, client: Client) -> None:
    rig.parts.vitals.failing = "OSError: disk"
    assert client.get("/healthz").status_code == 503
    assert client.get("/livez").status_code == 200
