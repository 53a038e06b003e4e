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
from standardwebhooks import Webhook

from staytrue import alerts
from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitoring.state import State
    from staytrue.alerts import Alert
    from staytrue.sections import WebhookTarget

log = logging.getLogger(__name__)
TIMEOUT_SECONDS = 5.0
WAITS = (0.5, 2.0, 10.0, 30.0, 120.0, 600.0, 1800.0, 3600.0)
"""Seconds after each failed attempt; a message that fails once more than there are waits is a dead letter."""
AGAIN = {408, 425, 429}
"""Refusals that may pass, besides 5xx."""
POLL_SECONDS = 5.0


class TryAgain(Exception):
    """The receiver answered that it could not for now, or did not answer."""


class Refused(Exception):
    """The receiver will never take it."""


class Outbox:
    """Messages to be sent, in the state from the moment the alert is, so that no kill loses one.

    Each target gets its messages in order, one after the other: an alert's end never overtakes its beginning. A target
    that does not answer holds up no other. A receiver may see a message twice (the answer to the first may be lost, or
    the sidecar killed before it noted it); its ``webhook-id`` is then the same.

    Raises:
        InvalidConfig: a target's secret or address cannot be used; said at the start, not when it is needed.
    """

    def __init__(
        self,
        state: State,
        targets: list[WebhookTarget],
        url: str = "",
        clock: Callable[[], float] = time.time,
        waits: Sequence[float] = WAITS,
    ) -> None:
        self._state, self._targets, self._url, self._clock, self._waits = state, targets, url, clock, waits
        self._signers = {target.url: _signer(target) for target in targets}
        self._wake, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="webhooks", daemon=True)

    def put(self, changed: list[Alert]) -> None:
        """Queue a message about alerts to each target. Call within the transaction that saves the alerts."""
        for url in self._signers if changed else ():
            body = msgspec.json.encode(alerts.webhook(changed, receiver="staytrue", external_url=self._url))
            values = (f"msg_{uuid.uuid4().hex}", url, body, 0, self._clock(), "waiting", "")
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

    def _work(self) -> None:
        with httpx.Client(timeout=TIMEOUT_SECONDS) as client:
            while not self._ending.is_set():
                self._wake.clear()
                try:
                    self.send_due(client)
                except Exception:
                    log.exception("sending webhooks failed; what waits is tried again")
                self._wake.wait(self._pause())

    def _pause(self) -> float:
        """Seconds until something is due, within reason."""
        rows = self._state.execute("SELECT min(rowid), due FROM outbox WHERE state = 'waiting' GROUP BY url")
        return min([POLL_SECONDS, *(max(0.05, float(due) - self._clock()) for _, due in rows)])

    def _send_next(self, client: httpx.Client, url: str) -> bool:
        """Try the oldest message to a target, if it is due; whether the next may be tried."""
        sql = "SELECT id, body, attempts, due FROM outbox WHERE state = 'waiting' AND url = ? ORDER BY rowid LIMIT 1"
        rows = self._state.execute(sql, url)
        if not rows or rows[0][3] > self._clock():
            return False
        name, body, attempts = str(rows[0][0]), bytes(rows[0][1]), int(rows[0][2]) + 1
        signer = self._signers.get(url)
        if signer is None:
            return self._bury(name, url, attempts, "the target is configured no more")
        try:
            post(client, url, signer, name, body, self._clock())
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
        log.error("webhook %s to %s is a dead letter after %d attempts: %s", name, host, attempts, why)
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
    try:
        with client.stream("POST", url, content=body, headers=headers) as answer:  # what it says is not read
            code = answer.status_code
    except httpx.HTTPError as error:
        raise TryAgain(f"no answer: {error or type(error).__name__}") from error
    if code in AGAIN or code >= 500:
        raise TryAgain(f"answered {code}")
    if not 200 <= code < 300:
        raise Refused(f"refused with {code}")


def _signer(target: WebhookTarget) -> Webhook:
    try:
        parsed = httpx.URL(target.url)
    except httpx.InvalidURL as error:
        raise InvalidConfig("monitoring.webhooks.url", f"is no address: {error}", got=target.url[:100]) from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise InvalidConfig("monitoring.webhooks.url", expected="http:// or https:// and a host", got=target.url[:100])
    try:
        signer = Webhook(target.secret.get_secret_value())
        signer.sign("msg_0", datetime.datetime.fromtimestamp(0, tz=datetime.UTC), "")
    except Exception as error:
        hint = "`openssl rand -base64 24`, after whsec_, makes one"
        raise InvalidConfig(
            "monitoring.webhooks.secret", expected="whsec_ and base64", got="another", hint=hint
        ) from error
    return signer
