"""What Alertmanager is told: ends some minutes ahead while an alert fires, the end itself when it is over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from monitoring.response.notify import Outbox
from monitoring.response.push import Pusher
from monitoring.state import State
from staytrue import alerts
from staytrue.errors import InvalidConfig
from staytrue.records import seconds_of
from tests.unit.monitoring.response.test_notify import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.alerts import Alert

NOW = 1_800_000_000.0
LABELS = {"alertname": "StaytrueDrift", "model": "toy"}


class Desk:
    """An outbox that pushes to a receiver, with a clock that tests move."""

    def __init__(self, folder: Path, url: str) -> None:
        self.now = NOW
        self.state = State(folder / "state.sqlite")
        self.box = Outbox(self.state, [], clock=lambda: self.now, waits=(1000.0,), pusher=Pusher(url))

    def tell(self, alert: Alert) -> None:
        """Save an alert and queue its message, as the analyst does."""
        with self.state.transaction():
            self.state.save_alert("toy", "drift", alert)
            self.box.put([alert])

    def work(self) -> None:
        """One round of the outbox's thread."""
        with httpx.Client(timeout=2) as client:
            self.box.refresh(client)
            self.box.send_due(client)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Stands in for Alertmanager."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def desk(tmp_path: Path, receiver: Receiver) -> Iterator[Desk]:
    """An outbox that pushes to the receiver."""
    desk = Desk(tmp_path, receiver.url.removesuffix("/alerts") + "/prefix/")
    yield desk
    desk.state.close()


def came(receiver: Receiver) -> list[list[dict[str, Any]]]:
    """Posts so far, and forget them."""
    told = [json.loads(body) for _, body in receiver.came]
    receiver.came.clear()
    return told


def test_what_fires_is_told_again_until_it_is_over(desk: Desk, receiver: Receiver) -> None:
    alert = alerts.fire(LABELS, {"summary": "moved"}, NOW - 90, "http://sidecar")
    desk.work()
    desk.tell(alert)
    desk.work()
    ((told,),) = came(receiver)
    assert (told["labels"], told["annotations"], told["generatorURL"]) == (
        LABELS,
        {"summary": "moved"},
        "http://sidecar",
    )
    assert (seconds_of(told["startsAt"]), seconds_of(told["endsAt"])) == (NOW - 90, NOW + 300)
    desk.now += 30
    desk.work()
    assert came(receiver) == []
    desk.now += 31
    desk.work()
    ((again,),) = came(receiver)
    assert again == told | {"endsAt": again["endsAt"]}
    assert seconds_of(again["endsAt"]) == NOW + 361
    desk.tell(alerts.resolve(alert, NOW + 10))
    desk.work()
    ((over,),) = came(receiver)
    assert seconds_of(over["endsAt"]) == NOW + 10
    desk.now += 1000
    desk.work()
    assert came(receiver) == []
    assert desk.box.counts() == {"sent": 2}


def test_event_time_ahead_of_the_clock_does_not_hide_an_end(desk: Desk, receiver: Receiver) -> None:
    alert = alerts.fire(LABELS, {}, NOW + 5000)
    desk.tell(alert)
    desk.tell(alerts.resolve(alert, NOW + 9000))
    desk.work()
    spans = [(seconds_of(a["startsAt"]), seconds_of(a["endsAt"])) for (a,) in came(receiver)]
    assert spans == [(NOW + 300, NOW + 300), (NOW, NOW)]
    assert "generatorURL" not in alerts.fire(LABELS, {}, NOW).annotations


def test_after_an_outage_everything_is_told_at_once(desk: Desk, receiver: Receiver) -> None:
    receiver.codes = [503, 503]
    alert = alerts.fire(LABELS, {}, NOW)
    desk.tell(alert)
    desk.work()
    desk.tell(alerts.resolve(alert, NOW + 1))
    desk.tell(alerts.fire(LABELS | {"model": "other"}, {}, NOW))
    receiver.came.clear()
    receiver.codes = [503]
    desk.now += 61
    desk.work()  # Alertmanager is still away: nothing but the try that showed it
    assert len(came(receiver)) == 1
    assert desk.box.counts() == {"waiting": 3}
    desk.now += 61
    desk.work()
    assert [[a["labels"]["model"] for a in post] for post in came(receiver)] == [["other"], ["toy"], ["toy"], ["other"]]
    assert desk.box.counts() == {"sent": 3}


@pytest.mark.parametrize("address", ["here", "ftp://here", "http://", "http://a:b"])
def test_an_address_that_cannot_be_told_is_refused_at_the_start(address: str) -> None:
    with pytest.raises(InvalidConfig, match=r"monitoring\.alertmanager"):
        Pusher(address)


def test_the_address_may_have_a_path() -> None:
    assert Pusher("http://am:9093/alerts/").url == "http://am:9093/alerts/api/v2/alerts"
