"""Webhooks: signed, retried, in order, once, and a dead letter in the end."""

from __future__ import annotations

import http.server
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from monitoring.response.notify import Outbox, post
from monitoring.state import State
from staytrue import alerts
from staytrue.errors import InvalidConfig
from staytrue.sections import MonitoringSection, WebhookTarget
from staytrue.settings import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of no service
ALERT = alerts.fire({"alertname": "StaytrueDrift", "model": "toy"}, {"summary": "moved"}, 0.0)


@dataclass
class Receiver:
    """Answers with the codes it is given, then 204; keeps what came."""

    codes: list[int] = field(default_factory=list)
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Keep what came and answer as told."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.came.append((dict(self.headers.items()), body))
                self.send_response(receiver.codes.pop(0) if receiver.codes else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/alerts"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def ids(self) -> list[str]:
        """Ids of the messages that came, repetitions included."""
        return [headers["webhook-id"] for headers, _ in self.came]

    @property
    def said(self) -> list[str]:
        """Summaries that came."""
        return [json.loads(body)["alerts"][0]["annotations"]["summary"] for _, body in self.came]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that takes everything."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """An empty state."""
    state = State(tmp_path / "state.sqlite")
    yield state
    state.close()


class Clock:
    """Begins now and moves as told."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        """What time it is."""
        return self.now


def outbox(
    state: State, *urls: str, clock: Callable[[], float] = time.time, waits: Sequence[float] = (10.0, 100.0)
) -> Outbox:
    """An outbox to some targets."""
    targets = [WebhookTarget(url=url, secret=SecretStr(SECRET)) for url in urls]
    return Outbox(state, targets, "http://sidecar", clock=clock, waits=waits)


def send(box: Outbox) -> None:
    """Send what is due."""
    with httpx.Client(timeout=2) as client:
        box.send_due(client)


def alert(summary: str) -> Any:
    """An alert that can be told from others."""
    return alerts.fire({"alertname": "StaytrueDrift"}, {"summary": summary}, 0.0)


def test_a_message_is_alertmanagers_payload_and_its_signature_verifies(state: State, receiver: Receiver) -> None:
    box = outbox(state, receiver.url)
    box.put([ALERT])
    send(box)
    ((headers, body),) = receiver.came
    told = Webhook(SECRET).verify(body, headers)
    assert (told["version"], told["status"], told["receiver"]) == ("4", "firing", "staytrue")
    assert told["alerts"][0]["labels"] == ALERT.labels
    assert told["externalURL"] == "http://sidecar"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"moved", b"stood"), headers)
    assert box.counts() == {"sent": 1}


def test_a_flaky_receiver_gets_the_message_again_with_its_id_and_takes_it_once(
    state: State, receiver: Receiver
) -> None:
    clock, receiver.codes = Clock(), [500, 429]
    box = outbox(state, receiver.url, clock=clock)
    box.put([ALERT])
    for _ in range(6):
        send(box)
        clock.now += 51
    assert len(receiver.ids) == 3
    assert len(set(receiver.ids)) == 1
    assert box.counts() == {"sent": 1}


def test_a_receiver_that_never_answers_leads_to_a_dead_letter_and_the_next_message_is_tried(state: State) -> None:
    clock = Clock()
    box = outbox(state, "http://127.0.0.1:9/nobody", clock=clock)
    box.put([ALERT])
    box.put([ALERT])
    for _ in range(3):
        assert box.counts() == {"waiting": 2}
        send(box)
        clock.now += 101
    assert box.counts() == {"waiting": 1, "dead": 1}
    ((attempts, error),) = state.execute("SELECT attempts, error FROM outbox WHERE state = 'dead'")
    assert attempts == 3
    assert "no answer" in error


@pytest.mark.parametrize("code", [301, 400, 401, 410])
def test_a_refusal_is_final(state: State, receiver: Receiver, code: int) -> None:
    receiver.codes = [code]
    box = outbox(state, receiver.url)
    box.put([ALERT])
    send(box)
    send(box)
    assert len(receiver.came) == 1
    assert state.execute("SELECT state, error FROM outbox") == [("dead", f"refused with {code}")]


def test_messages_come_in_order_so_that_an_end_never_overtakes_its_beginning(state: State, receiver: Receiver) -> None:
    clock, receiver.codes = Clock(), [503]
    box = outbox(state, receiver.url, clock=clock)
    for summary in ("one", "two", "three"):
        box.put([alert(summary)])
    send(box)
    send(box)
    assert receiver.said == ["one"]
    clock.now += 11
    send(box)
    assert receiver.said == ["one", "one", "two", "three"]


def test_a_dead_target_holds_up_no_other(state: State, receiver: Receiver) -> None:
    box = outbox(state, "http://127.0.0.1:9/nobody", receiver.url)
    box.put([alert("one")])
    box.put([alert("two")])
    send(box)
    assert receiver.said == ["one", "two"]
    assert box.counts() == {"waiting": 2, "sent": 2}


def test_messages_and_their_attempts_survive_a_restart(state: State, receiver: Receiver) -> None:
    clock, receiver.codes = Clock(), [500]
    box = outbox(state, receiver.url, clock=clock)
    box.put([ALERT])
    send(box)
    again = outbox(state, receiver.url, clock=clock)
    send(again)
    assert len(receiver.came) == 1  # it still waits
    clock.now += 11
    send(again)
    assert len(set(receiver.ids)) == 1
    assert state.execute("SELECT state, attempts FROM outbox") == [("sent", 2)]


def test_a_target_that_is_configured_no_more_gets_nothing(state: State, receiver: Receiver) -> None:
    outbox(state, receiver.url).put([ALERT])
    box = outbox(state)
    send(box)
    assert receiver.came == []
    assert box.counts() == {"dead": 1}


def test_the_thread_sends_when_woken_and_what_was_left_and_ends_when_told(state: State, receiver: Receiver) -> None:
    receiver.codes = [500]
    outbox(state, receiver.url).put([alert("left")])
    box = outbox(state, receiver.url, waits=(0.01, 0.01))
    box.start()
    box.put([alert("new")])
    box.wake()
    deadline = time.monotonic() + 5
    while box.counts() != {"sent": 2} and time.monotonic() < deadline:
        time.sleep(0.01)
    box.stop()
    assert box.counts() == {"sent": 2}
    assert receiver.said == ["left", "left", "new"]
    assert not box._thread.is_alive()


def until(holds: Callable[[], object]) -> None:
    """Wait for something, within reason."""
    deadline = time.monotonic() + 5
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert holds()


def test_the_thread_outlives_a_fault_of_the_state(
    state: State, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("monitoring.response.notify.POLL_SECONDS", 0.02)
    box = outbox(state, receiver.url)
    box.put([ALERT])
    state.execute("ALTER TABLE outbox RENAME TO elsewhere")  # neither what is due nor when can be read
    box.start()
    until(lambda: caplog.text.count("no such table: outbox") > 2)
    state.execute("ALTER TABLE elsewhere RENAME TO outbox")
    until(lambda: box.counts() == {"sent": 1})
    box.stop()
    assert len(receiver.came) == 1


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_\u00e4", "whsec_no base64 at all", "whsec_c2VjcmV", "s-e-c-r-e-t"]
)
def test_a_secret_that_is_no_base64_is_refused_at_loading_and_not_shown(secret: str) -> None:
    target = {"webhooks": [{"url": "http://here", "secret": secret}]}
    with pytest.raises(InvalidConfig, match=r"webhooks\.0\.secret: whsec_ and base64 are needed") as refused:
        resolve(MonitoringSection(), "monitoring", target, {})
    assert secret.removeprefix("whsec_") in ("", "\u00e4") or secret.removeprefix("whsec_") not in str(refused.value)


def test_a_secret_may_go_without_its_prefix() -> None:
    target = WebhookTarget(url="http://here", secret=SecretStr(SECRET.removeprefix("whsec_")))
    assert target.secret.get_secret_value() == SECRET.removeprefix("whsec_")


@pytest.mark.parametrize("url", ["here", "ftp://here", "http://", "http://a:b"])
def test_an_address_that_cannot_be_told_is_refused_at_the_start(state: State, url: str) -> None:
    with pytest.raises(InvalidConfig, match=r"webhooks\.url"):
        Outbox(state, [WebhookTarget(url=url, secret=SecretStr(SECRET))])


def test_nothing_changed_is_nothing_to_tell(state: State) -> None:
    box = outbox(state, "http://127.0.0.1:9/nobody")
    box.put([])
    assert box.counts() == {}


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of the Standard Webhooks specification's libraries: id, time and body give this signature."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        body = b'{"test": 2432232314}'
        post(client, "http://x", Webhook(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", body, 1614265330.0)
    assert seen[0].headers["webhook-timestamp"] == "1614265330"
    assert seen[0].headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
