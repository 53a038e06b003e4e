"""What Alertmanager posts starts one retraining, however often it is told; nothing that it cannot mean starts any."""

from __future__ import annotations

import copy
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from monitoring.app import Api
from monitoring.display.metrics import Computed
from monitoring.ingest.labels import LabelDesk
from monitoring.response.hooks import KEPT_DAYS, Hooks
from staytrue.errors import InvalidInput, NotFound
from tests.unit.monitoring.test_app import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from staytrue.verdicts import RetrainJob
    from tests.unit.monitoring.conftest import Rig

DAY = 86400.0
WAITS = (sys.executable, "-c", "import time; time.sleep(60)")
PAYLOAD: dict[str, Any] = {
    "receiver": "webhook",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {
                "alertname": "StaytrueQualityEvidence",
                "instance": "127.0.0.1:8090",
                "job": "sidecar",
                "model": "toy",
                "severity": "warning",
                "staytrue_retrain": "true",
                "version": "1",
            },
            "annotations": {"summary": "The error of toy has grown.", "runbook_url": "docs/runbook.md#x"},
            "startsAt": "2026-11-25T14:39:56.228129545Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://vm:48557/graph?g0.expr=staytrue_quality_evidence_ratio&g0.tab=1",
            "fingerprint": "68aa469d4e941030",
        }
    ],
    "groupLabels": {"alertname": "StaytrueQualityEvidence"},
    "commonLabels": {"alertname": "StaytrueQualityEvidence", "model": "toy"},
    "commonAnnotations": {},
    "externalURL": "http://vm:9093",
    "version": "4",
    "groupKey": '{}:{alertname="StaytrueQualityEvidence"}',
    "truncatedAlerts": 0,
}
"""As Alertmanager 0.25 sends it, key for key."""


def payload(**changes: Any) -> dict[str, Any]:
    """The payload with changes of its alert: ``labels`` are added (None: removed), ``groupKey`` is the payload's."""
    made = copy.deepcopy(PAYLOAD)
    made["groupKey"] = changes.pop("groupKey", made["groupKey"])
    labels = made["alerts"][0]["labels"] | changes.pop("labels", {})
    made["alerts"][0]["labels"] = {name: value for name, value in labels.items() if value is not None}
    made["alerts"][0] |= changes
    made["status"] = made["alerts"][0]["status"]
    return made


def resolved(**changes: Any) -> dict[str, Any]:
    """The same alert, ended."""
    return payload(status="resolved", endsAt="2026-11-25T15:00:00Z", **changes)


def post(rig: Rig, body: dict[str, Any]) -> dict[str, int]:
    """Take a post."""
    return Hooks(rig.parts.state, rig.store, clock=lambda: rig.now).accept(json.dumps(body).encode())


def counts(**some: int) -> dict[str, int]:
    """What a post is answered with."""
    return {"accepted": 0, "repeated": 0, "ignored": 0, "refused": 0} | some


def finish(rig: Rig) -> None:
    """Wait for a job that runs."""
    if (child := rig.parts.jobs._child) is not None:
        child.wait(10)
        rig.parts.jobs.follow()


def jobs(rig: Rig) -> list[RetrainJob]:
    """All jobs."""
    return [job for job, _ in rig.parts.state.jobs()]


@pytest.fixture
def fed(make_rig: Callable[..., Rig]) -> Iterator[Rig]:
    """A sidecar that has seen four labelled days, without an alarm of its own."""
    rig = make_rig(retrain=True, command=("true",))
    rig.live(0, 4)
    yield rig
    finish(rig)


def test_an_alert_starts_one_job_however_often_it_is_posted(fed: Rig) -> None:
    assert post(fed, PAYLOAD) == counts(accepted=1)
    assert post(fed, PAYLOAD) == counts(repeated=1)
    fed.analyst.tick()
    (job,) = jobs(fed)
    assert (job.model, job.champion, job.trigger) == ("toy", "1", "The error of toy has grown.")
    assert job.event_time == fed.parts.vitals.newest["toy"]
    assert job.fingerprints == ["68aa469d4e941030"]
    for group in range(3):  # other groups and restarts tell of the same alert
        finish(fed)
        post(fed, payload(groupKey=str(group)))
        fed.again()
        fed.analyst.tick()
    fed.live(5, 15)  # far beyond the cooldown
    assert len(jobs(fed)) == 1


def test_what_was_posted_outlives_the_sidecar(fed: Rig) -> None:
    post(fed, PAYLOAD)
    fed.again()
    assert post(fed, PAYLOAD)["repeated"] == 1
    fed.analyst.tick()
    assert len(jobs(fed)) == 1


def test_an_alert_that_ended_before_it_was_answered_starts_none(fed: Rig) -> None:
    post(fed, PAYLOAD)
    assert post(fed, resolved()) == counts(accepted=1)
    fed.analyst.tick()
    assert jobs(fed) == []


def test_an_end_that_overtook_its_beginning_starts_none(fed: Rig) -> None:
    post(fed, resolved())
    post(fed, PAYLOAD)
    fed.analyst.tick()
    assert jobs(fed) == []


def test_an_alert_that_fires_anew_calls_anew_but_waits_for_the_cooldown(fed: Rig) -> None:
    post(fed, PAYLOAD)
    fed.analyst.tick()
    post(fed, resolved())
    post(fed, payload(startsAt="2026-11-26T08:00:00Z"))
    fed.live(5, 8)
    assert len(jobs(fed)) == 1
    fed.live(9, 10)
    assert [(job.event_time - fed.start) / DAY for job in jobs(fed)] == [4, 9]


def test_an_alert_that_comes_while_a_job_runs_waits(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(retrain=True, command=WAITS)
    rig.live(0, 4)
    post(rig, PAYLOAD)
    rig.analyst.tick()
    post(rig, payload(fingerprint="b" * 16))
    rig.live(5, 12)
    (job,) = jobs(rig)
    assert job.state == "running"
    assert rig.parts.jobs._child
    rig.parts.jobs._child.kill()
    rig.parts.jobs._child.wait(10)
    rig.analyst.tick()
    rig.analyst.tick()
    assert [job.fingerprints[0][0] for job in jobs(rig)] == ["6", "b"]
    rig.parts.jobs._child.kill()
    finish(rig)


def test_several_alerts_at_once_start_one_job_that_names_them(fed: Rig) -> None:
    both = payload()
    both["alerts"].append(payload(fingerprint="b" * 16, annotations={"summary": "And drift."})["alerts"][0])
    assert post(fed, both)["accepted"] == 2
    fed.live(5, 15)
    (job,) = jobs(fed)
    assert (len(job.fingerprints), job.trigger) == (2, "The error of toy has grown.; And drift.")


def test_an_alert_waits_until_there_is_enough_to_learn_from(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(retrain=True, command=("true",))
    post(rig, PAYLOAD)
    rig.live(0, 2)
    assert jobs(rig) == []
    metrics = {family.name: family for family in Computed(rig.parts, lambda: 0).collect()}
    assert [sample.value for sample in metrics["staytrue_retraining_calls"].samples] == [1]
    rig.live(3, 6)
    assert len(jobs(rig)) == 1
    finish(rig)


def test_a_standing_alert_does_not_read_the_lake_at_every_tick(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig(retrain=True)
    rig.live(0, 2)
    post(rig, PAYLOAD)
    rig.analyst.tick()
    monkeypatch.setattr(rig.parts.lake, "window", None)
    for _ in range(3):
        rig.analyst.tick()


def test_alerts_without_the_label_start_nothing(fed: Rig) -> None:
    for label in (None, "false", ""):
        told = post(fed, payload(labels={"staytrue_retrain": label, "model": "another"}))
        assert told == counts(ignored=1)
    fed.analyst.tick()
    assert jobs(fed) == []


def test_switched_off_retraining_starts_nothing(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(retrain=False)
    rig.live(0, 4)
    post(rig, PAYLOAD)
    rig.analyst.tick()
    assert jobs(rig) == []


def test_without_a_label_the_only_model_is_meant(fed: Rig) -> None:
    assert post(fed, payload(labels={"model": None}))["accepted"] == 1
    fed.analyst.tick()
    assert [job.model for job in jobs(fed)] == ["toy"]


def test_a_model_that_is_not_there_is_refused_with_those_that_are(fed: Rig) -> None:
    with pytest.raises(NotFound, match=r'"StaytrueQualityEvidence": model "nobody" is not in the store; models: toy'):
        post(fed, payload(labels={"model": "nobody"}))
    (fed.store.root / "second").mkdir()
    (fed.store.root / "second" / "aliases.json").write_text("{}")
    with pytest.raises(InvalidInput, match=r"does not say which model to retrain; .* models: second, toy"):
        post(fed, payload(labels={"model": None}))
    assert fed.parts.state.calls("toy") == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "is no webhook of Alertmanager"),
        (b"{", "is no webhook of Alertmanager"),
        (b"[" * 100_000, "is no webhook of Alertmanager"),
        (b'"\xff"', "is no webhook of Alertmanager"),
        (b"{}", "missing required field `version`"),
        (json.dumps(PAYLOAD | {"version": "5"}).encode(), "version: expected 4, got 5; another Alertmanager is needed"),
        (json.dumps(PAYLOAD | {"alerts": {}}).encode(), "alerts"),
        (json.dumps(payload(status="pending")).encode(), "Invalid enum value 'pending'"),
        (json.dumps(payload(startsAt="soon")).encode(), "alerts.0.startsAt: expected an RFC 3339 time, got soon"),
        (json.dumps(payload(labels={"model": 7})).encode(), "alerts[0].labels"),
    ],
)
def test_what_is_no_post_of_alertmanagers_is_refused_and_says_why(fed: Rig, body: bytes, said: str) -> None:
    answer = client(fed).post("/v1/hooks/alertmanager", content=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert fed.parts.state.execute("SELECT count(*) FROM posts") == [(0,)]


def test_an_alert_that_cannot_be_meant_does_not_take_the_others_with_it(fed: Rig) -> None:
    both = payload()
    both["alerts"].append(payload(labels={"model": "nobody"})["alerts"][0])
    answer = client(fed).post("/v1/hooks/alertmanager", json=both)
    assert (answer.status_code, answer.json()) == (200, counts(accepted=1, refused=1))
    both["alerts"] = both["alerts"][1:]
    assert client(fed).post("/v1/hooks/alertmanager", json=both).status_code == 404
    assert len(fed.parts.state.calls("toy")) == 1


def test_a_state_that_cannot_be_written_is_answered_so_that_alertmanager_tries_again(fed: Rig) -> None:
    fed.parts.state.execute("ALTER TABLE posts RENAME TO elsewhere")
    assert client(fed).post("/v1/hooks/alertmanager", json=PAYLOAD).status_code == 500
    fed.parts.state.execute("ALTER TABLE elsewhere RENAME TO posts")
    answer = client(fed).post("/v1/hooks/alertmanager", json=PAYLOAD)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)


def test_posts_are_forgotten_long_after_nobody_repeats_them(fed: Rig) -> None:
    post(fed, PAYLOAD)
    fed.now += (KEPT_DAYS + 1) * DAY
    post(fed, resolved())
    assert fed.parts.state.execute("SELECT count(*) FROM posts") == [(1,)]


def client(rig: Rig) -> Client:
    """Speaks to the sidecar's endpoints."""
    api = Api(rig.parts, LabelDesk(rig.labels), CollectorRegistry(), lambda: 0)
    return Client(api.app())
