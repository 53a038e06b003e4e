"""The real Prometheus and the real Alertmanager: a rule that fires starts one retraining, our alarms are pushed."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
import yaml

from examples.bikeshare.demo.client import wait_until
from examples.bikeshare.demo.processes import staytrue
from monitoring.response.notify import Outbox
from monitoring.response.push import HOLD, Pusher
from monitoring.state import State
from staytrue import alerts
from staytrue.records import seconds_of
from tests.e2e.prometheus import alertmanager, prometheus
from tests.e2e.test_kill import rows, send
from tests.ports import free_port
from tests.unit.monitoring.response.test_notify import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from examples.bikeshare.demo.processes import Service
    from examples.bikeshare.demo.stream import Row
    from tests.e2e.prometheus import Alertmanager

    Starter = Callable[..., Service]

pytestmark = pytest.mark.e2e
DAYS = 14
"""Of May; thirteen labelled ones are needed before a challenger can be judged."""


def test_our_alarms_live_in_alertmanager_as_long_as_they_fire(tmp_path: Path) -> None:
    receiver, state = Receiver(), State(tmp_path / "state.sqlite")
    alert = alerts.fire({"alertname": "StaytrueDrift", "model": "toy"}, {"summary": "moved"}, 0.0, "http://sidecar/")
    port = free_port()
    box = Outbox(state, [], pusher=Pusher(f"http://127.0.0.1:{port}", refresh_seconds=0.5))
    tell(state, box, alert)
    box.start()  # before there is an Alertmanager
    with alertmanager(tmp_path / "first", receiver.url, port=port) as manager:
        told = wait_for(manager, "StaytrueDrift")
        assert (told["annotations"], told["generatorURL"]) == ({"summary": "moved"}, "http://sidecar/")
        assert seconds_of(told["startsAt"]) == 0
        end = seconds_of(told["endsAt"])
        wait_until(lambda: seconds_of(manager.alerts()[0]["endsAt"]) > end + HOLD * 0.5, 20, "a refresh", 0.1)
    with alertmanager(tmp_path / "second", receiver.url, port=port) as manager:  # knows nothing of the first
        wait_for(manager, "StaytrueDrift")
        wait_until(lambda: b'"status":"firing"' in bodies(receiver), 20, "a notification", 0.1)
        tell(state, box, alerts.resolve(alert, 1.0))
        wait_until(lambda: manager.alerts() == [], 20, "the end", 0.1)
        wait_until(lambda: b'"status":"resolved"' in bodies(receiver), 20, "a resolution", 0.1)
    box.stop()
    receiver.close()
    state.close()
    assert box._thread.is_alive() is False


def test_an_alarm_that_is_told_no_more_ends_by_itself(tmp_path: Path) -> None:
    state = State(tmp_path / "state.sqlite")
    with alertmanager(tmp_path, "http://127.0.0.1:9/nobody") as manager:
        box = Outbox(state, [], pusher=Pusher(manager.url, refresh_seconds=0.4))
        tell(state, box, alerts.fire({"alertname": "StaytrueDrift"}, {}, 0.0))
        box.start()
        wait_for(manager, "StaytrueDrift")
        box.stop()
        wait_until(lambda: manager.alerts() == [], 20, "the end", 0.1)
    state.close()


def test_a_rule_fires_alertmanager_posts_and_one_retraining_starts(
    project: Path, start: Starter, tmp_path: Path
) -> None:
    port = free_port()
    hook = f"http://127.0.0.1:{port}/v1/hooks/alertmanager"
    with alertmanager(tmp_path / "alertmanager", hook, group_by=["..."], repeat_seconds=1) as manager:
        settings(project, manager.url)
        server = start("serve", project)
        sidecar = start("monitor", project, "--port", str(port))
        misbehave(server, sidecar)
        days = iter(range(DAYS + 2, 31))  # the rule asks for looks that go on being bad

        def another() -> list[Any]:
            if (found := jobs(sidecar)) or (day := next(days, None)) is None:
                return found
            answer(server, sidecar, rows((day + 1) * 24)[day * 24 :])
            return jobs(sidecar)

        with prometheus(
            tmp_path / "prometheus", {"sidecar": sidecar.address}, rules=rules(tmp_path), alertmanager=manager.url
        ) as watcher:
            job = wait_until(another, 60, "a job", 1.5)[0]["job"]
            firing = {alert["labels"]["alertname"] for alert in watcher.alerts() if alert["state"] == "firing"}
            assert "StaytrueQualityEvidence" in firing
            assert "The error of bikes version 1 has grown" in job["trigger"]
            assert own(sidecar) <= {"StaytrueVanished"}  # no alarm of ours that starts a job
            before = manager.counted("alertmanager_notifications_total")
            repeated = lambda: manager.counted("alertmanager_notifications_total") >= before + 4  # noqa: E731
            wait_until(repeated, 30, "repetitions", 0.2)
            wait_for(manager, "StaytrueVanished")  # pushed by the sidecar, and posted back to it, which starts nothing
            server.kill()
            down = lambda: [a for a in watcher.alerts() if a["labels"]["alertname"] == "StaytrueServerDown"]  # noqa: E731
            wait_until(down, 30, "the server's death", 0.2)
        assert manager.counted("alertmanager_notifications_failed_total") == 0
        assert len(jobs(sidecar)) == 1
        end(jobs(sidecar)[0]["job"])


def tell(state: State, box: Outbox, alert: alerts.Alert) -> None:
    """Save an alert and queue its message, as the analyst does."""
    with state.transaction():
        state.save_alert("toy", "drift", alert)
        box.put([alert])
    box.wake()


def wait_for(manager: Alertmanager, name: str) -> dict[str, Any]:
    """An alert, once Alertmanager holds it."""
    found = lambda: [a for a in manager.alerts() if a["labels"]["alertname"] == name]  # noqa: E731
    told: dict[str, Any] = wait_until(found, 30, name, 0.1)[0]
    return told


def bodies(receiver: Receiver) -> bytes:
    """All that came."""
    return b"".join(body for _, body in receiver.came)


def settings(project: Path, manager: str) -> None:
    """Alarms of our own neither start a job nor come in time; the job is a short one."""
    values = yaml.safe_load(project.read_text())
    values["monitoring"] |= {"for_looks": 1000, "vanished_seconds": 3, "alertmanager": manager, "webhooks": []}
    values["training"] |= {"epochs": 2}
    project.write_text(yaml.safe_dump(values, sort_keys=False))


def misbehave(server: Service, sidecar: Service) -> None:
    """Answer two weeks of May far beside the truth."""
    some, both = rows(DAYS * 24), rows((DAYS + 2) * 24)
    answer(server, sidecar, some)
    answer(server, sidecar, both[len(some) :])  # the labels are there when these set off their looks


def answer(server: Service, sidecar: Service, some: list[Row]) -> None:
    """Ask for predictions, then tell a truth that lies far beside them."""
    answered = send(server.address, some)
    told = [
        {"event_id": name, "truth": 10 * row.truth + 500, "known": row.time}
        for name, row in zip(answered, some, strict=True)
    ]
    httpx.post(f"{sidecar.address}/v1/labels", json={"labels": told}).raise_for_status()


def rules(folder: Path) -> Path:
    """The rules, as the command writes them, quick enough for a test."""
    path = folder / "rules.yml"
    quick = ("evidence_after=5s", "down_for=1s", "heartbeat_seconds=3", "sustained_for=1s")
    flags = [word for text in quick for word in ("--set", text)]
    subprocess.run(staytrue("rules", "export", "--output", path, *flags), check=True)
    return path


def jobs(sidecar: Service) -> list[Any]:
    """Retraining jobs."""
    found: list[Any] = httpx.get(f"{sidecar.address}/v1/jobs").raise_for_status().json()
    return found


def own(sidecar: Service) -> set[str]:
    """Names of the sidecar's own alarms."""
    return {alert["labels"]["alertname"] for alert in httpx.get(f"{sidecar.address}/v1/alerts").json()}


def end(job: dict[str, Any]) -> None:
    """End a job that still runs: what it decides is another test's."""
    if job["state"] == "running" and psutil.pid_exists(job["pid"]):
        os.kill(job["pid"], signal.SIGTERM)
