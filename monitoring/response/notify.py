"""Webhooks: Alertmanager's payload, signed, retried, never lost, and in a dead-letter state when nobody answers.

Source: Standard Webhooks specification (id, timestamp, signature headers); Alertmanager webhook version 4.
"""

from __future__ import annotations

import datetime
import logging
import threading
import time
import uuid
from typing import TYPE_CHECKING

import httpx
import msgspec
import stamina
from standardwebhooks import Webhook

from staytrue import alerts

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitoring.state import State
    from staytrue.alerts import Alert
    from staytrue.sections import WebhookTarget

log = logging.getLogger(__name__)
ATTEMPTS = 6
TIMEOUT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 30.0


class TryAgain(Exception):
    """The receiver said 429 or 5xx, or nothing."""


class Outbox:
    """Messages to be sent, in the state from the moment the alert is, so that no kill loses one.

    A receiver may see a message twice (the answer to the first may be lost); its ``webhook-id`` is then the same.
    """

    def __init__(
        self, state: State, targets: list[WebhookTarget], url: str = "", first_wait_seconds: float = 0.2
    ) -> None:
        self._state, self._targets, self._url, self._first_wait = state, targets, url, first_wait_seconds
        self._wake, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="webhooks", daemon=True)

    def put(self, changed: list[Alert]) -> None:
        """Queue a message about alerts to each target. Call within the transaction that saves the alerts."""
        for target in self._targets if changed else []:
            body = msgspec.json.encode(alerts.webhook(changed, receiver="staytrue", external_url=self._url))
            values = (f"msg_{uuid.uuid4().hex}", target.url, body, 0, time.time(), "waiting", "")
            self._state.execute("INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?)", *values)

    def start(self) -> None:
        """Send in a thread of its own, beginning with what a killed process left."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()

    def stop(self) -> None:
        """Finish the message in hand; what waits is sent by the next process."""
        self._ending.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=TIMEOUT_SECONDS + 1)

    def counts(self) -> dict[str, int]:
        """Messages by state: waiting, sent, dead."""
        rows = self._state.execute("SELECT state, count(*) FROM outbox GROUP BY state")
        return {str(state): int(count) for state, count in rows}

    def send_all(self) -> None:
        """Send what waits, oldest first."""
        rows = self._state.execute("SELECT id, url, body FROM outbox WHERE state = 'waiting' ORDER BY due")
        for name, url, body in rows:
            if self._ending.is_set():
                return
            self._send(str(name), str(url), bytes(body))

    def _work(self) -> None:
        while not self._ending.is_set():
            self._wake.clear()
            try:
                self.send_all()
            except Exception:
                log.exception("sending webhooks failed; what waits is tried again")
            self._wake.wait(5.0)

    def _send(self, name: str, url: str, body: bytes) -> None:
        secret = next((t.secret.get_secret_value() for t in self._targets if t.url == url), None)
        if secret is None:
            self._mark(name, "dead", "the target is configured no more")
            return
        try:
            for attempt in self._retries():
                with attempt:
                    post(url, secret, name, body)
        except TryAgain as error:
            log.error("webhook %s to %s gave up: %s", name, url, error)  # noqa: TRY400 - the text says it all
            self._mark(name, "dead", str(error))
        except httpx.HTTPStatusError as error:
            log.error("webhook %s to %s was refused: %s", name, url, error.response.status_code)  # noqa: TRY400
            self._mark(name, "dead", f"refused with {error.response.status_code}")
        else:
            self._mark(name, "sent", "")

    def _retries(self) -> stamina._core._RetryContextIterator:
        return stamina.retry_context(
            on=TryAgain,
            attempts=ATTEMPTS,
            timeout=None,
            wait_initial=self._first_wait,
            wait_max=LONGEST_WAIT_SECONDS,
            wait_jitter=self._first_wait,
        )

    def _mark(self, name: str, state: str, error: str) -> None:
        self._state.execute("UPDATE outbox SET state = ?, error = ? WHERE id = ?", state, error, name)


def post(url: str, secret: str, name: str, body: bytes, clock: Callable[[], float] = time.time) -> None:
    """Sign a message and send it once.

    Raises:
        TryAgain: no answer, 429 or 5xx.
        httpx.HTTPStatusError: refused for good, another 4xx.
    """
    moment = datetime.datetime.fromtimestamp(clock(), tz=datetime.UTC)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(name, moment, body.decode()),
    }
    try:
        answer = httpx.post(url, content=body, headers=headers, timeout=TIMEOUT_SECONDS)
    except httpx.TransportError as error:
        raise TryAgain(f"no answer: {error}") from error
    if answer.status_code == 429 or answer.status_code >= 500:
        raise TryAgain(f"answered {answer.status_code}")
    answer.raise_for_status()
