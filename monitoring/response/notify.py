"""Messages about alerts, to webhooks (signed) and an Alertmanager: retried, never lost, in the end a dead letter.

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
from standardwebhooks import Webhook

from monitoring.response import push
from monitoring.response.delivery import Refused, TryAgain, checked, send
from staytrue import alerts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitoring.response.push import Pusher
    from monitoring.state import State
    from staytrue.alerts import Alert
    from staytrue.sections import WebhookTarget

log = logging.getLogger(__name__)
TIMEOUT_SECONDS = 5.0
WAITS = (0.5, 2.0, 10.0, 30.0, 120.0, 600.0, 1800.0, 3600.0)
"""Seconds after each failed attempt; a message that fails once more than there are waits is a dead letter."""
POLL_SECONDS = 5.0


class Outbox:
    """Messages to be sent, in the state from the moment the alert is, so that no kill loses one.

    Each target gets its messages in order, one after the other: an alert's end never overtakes its beginning. A target
    that does not answer holds up no other. A receiver may see a message twice (the answer to the first may be lost, or
    the sidecar killed before it noted it); its ``webhook-id`` is then the same.

    Raises:
        InvalidConfig: a target's address cannot be used; said at the start, not when it is needed.
    """

    def __init__(
        self,
        state: State,
        targets: list[WebhookTarget],
        url: str = "",
        clock: Callable[[], float] = time.time,
        waits: Sequence[float] = WAITS,
        pusher: Pusher | None = None,
    ) -> None:
        self._state, self._targets, self._url, self._clock, self._waits = state, targets, url, clock, waits
        self._signers = {
            checked(target.url, "monitoring.webhooks.url"): Webhook(target.secret.get_secret_value())
            for target in targets
        }
        self._pusher, self._refreshed = pusher, 0.0
        self._wake, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="webhooks", daemon=True)

    def put(self, changed: list[Alert]) -> None:
        """Queue a message about alerts to each target. Call within the transaction that saves the alerts."""
        if not changed:
            return
        body = msgspec.json.encode(alerts.webhook(changed, receiver="staytrue", external_url=self._url))
        bodies = dict.fromkeys(self._signers, body)
        if self._pusher is not None:
            bodies[self._pusher.url] = msgspec.json.encode(changed)
        for url, content in bodies.items():
            values = (f"msg_{uuid.uuid4().hex}", url, content, 0, self._clock(), "waiting", "")
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

    def send_due(self, client: httpx.Client) -> None:
        """Send, to each target, what waits, up to the first that has to wait longer."""
        for (url,) in self._state.execute("SELECT DISTINCT url FROM outbox WHERE state = 'waiting'"):
            while not self._ending.is_set() and self._send_next(client, str(url)):
                pass

    def refresh(self, client: httpx.Client) -> None:
        """Tell Alertmanager again of what fires, if it is time; where it listens again, what waits for it is due."""
        if self._pusher is None or self._clock() < self._refreshed + self._pusher.refresh_seconds:
            return
        self._refreshed = self._clock()
        firing = self._state.active()
        if not firing:
            return
        try:
            self._pusher.post(client, firing, self._clock())
        except (TryAgain, Refused) as error:
            log.warning("Alertmanager is not told again of %d alerts: %s", len(firing), error)
            return
        sql = "UPDATE outbox SET due = ? WHERE state = 'waiting' AND url = ? AND due > ?"
        self._state.execute(sql, self._clock(), self._pusher.url, self._clock())

    def _work(self) -> None:
        with httpx.Client(timeout=TIMEOUT_SECONDS) as client:
            while not self._ending.is_set():
                self._wake.clear()
                pause = POLL_SECONDS
                try:
                    self.refresh(client)
                    self.send_due(client)
                    pause = self._pause()
                except Exception:  # a state that cannot be read now may be read later: this thread must outlive it
                    log.exception("sending messages about alerts failed; what waits is tried again")
                self._wake.wait(pause)

    def _pause(self) -> float:
        """Seconds until something is due, within reason."""
        rows = self._state.execute("SELECT min(rowid), due FROM outbox WHERE state = 'waiting' GROUP BY url")
        dues = [float(due) for _, due in rows]
        if self._pusher is not None:
            dues.append(self._refreshed + self._pusher.refresh_seconds)
        return min([POLL_SECONDS, *(max(0.05, due - self._clock()) for due in dues)])

    def _send_next(self, client: httpx.Client, url: str) -> bool:
        """Try the oldest message to a target, if it is due; whether the next may be tried."""
        sql = "SELECT id, body, attempts, due FROM outbox WHERE state = 'waiting' AND url = ? ORDER BY rowid LIMIT 1"
        rows = self._state.execute(sql, url)
        if not rows or rows[0][3] > self._clock():
            return False
        name, body, attempts = str(rows[0][0]), bytes(rows[0][1]), int(rows[0][2]) + 1
        signer = self._signers.get(url)
        try:
            if self._pusher is not None and url == self._pusher.url:
                self._pusher.post(client, push.read(body), self._clock())
            elif signer is not None:
                post(client, url, signer, name, body, self._clock())
            else:
                return self._bury(name, url, attempts, "the target is configured no more")
        except TryAgain as error:
            if attempts > len(self._waits):
                return self._bury(name, url, attempts, f"gave up: {error}")
            due = self._clock() + self._waits[attempts - 1]
            self._mark(name, "waiting", attempts, due, str(error))
            return False
        except Refused as error:
            return self._bury(name, url, attempts, str(error))
        self._mark(name, "sent", attempts, 0.0, "")
        return True

    def _bury(self, name: str, url: str, attempts: int, why: str) -> bool:
        host = httpx.URL(url).host  # the rest of an address may be a secret
        log.error("message %s to %s is a dead letter after %d attempts: %s", name, host, attempts, why)
        self._mark(name, "dead", attempts, 0.0, why)
        return True

    def _mark(self, name: str, state: str, attempts: int, due: float, error: str) -> None:
        sql = "UPDATE outbox SET state = ?, attempts = ?, due = ?, error = ? WHERE id = ?"
        self._state.execute(sql, state, attempts, due, error, name)


def post(client: httpx.Client, url: str, signer: Webhook, name: str, body: bytes, now: float) -> None:
    """Sign a message and send it once.

    Raises:
        TryAgain: no answer, 408, 425, 429 or 5xx.
        Refused: any other answer but 2xx, redirects included.
    """
    moment = datetime.datetime.fromtimestamp(now, tz=datetime.UTC)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": signer.sign(name, moment, body.decode()),
    }
    send(client, url, body, headers)
