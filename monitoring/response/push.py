"""Alerts pushed to an Alertmanager, which then groups, silences and routes them.

Alertmanager takes an alert for over that is not told again in time: so what fires is told again and again, each time
with an end some minutes ahead, and what has resolved is told with its end.

Source: Alertmanager's API v2, ``POST /api/v2/alerts``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from monitoring.response.delivery import checked, send
from staytrue.alerts import Alert
from staytrue.records import seconds_of, utc

if TYPE_CHECKING:
    import httpx

REFRESH_SECONDS = 60.0
HOLD = 5
"""An alert outlives so many refreshes that fail: five minutes, Alertmanager's own ``resolve_timeout``."""


class Pusher:
    """Speaks to one Alertmanager.

    Args:
        address: of Alertmanager, with its path prefix where it has one.
        refresh_seconds: how often what fires is told again.

    Raises:
        InvalidConfig: no address.
    """

    def __init__(self, address: str, refresh_seconds: float = REFRESH_SECONDS) -> None:
        self.url = checked(address, "monitoring.alertmanager").rstrip("/") + "/api/v2/alerts"
        self.refresh_seconds = refresh_seconds

    def post(self, client: httpx.Client, alerts: list[Alert], now: float) -> None:
        """Tell Alertmanager of alerts.

        Raises:
            TryAgain: no answer, or one that may pass.
            Refused: it will never take them.
        """
        ahead = now + HOLD * self.refresh_seconds
        body = msgspec.json.encode([_postable(alert, now, ahead) for alert in alerts])
        send(client, self.url, body, {"Content-Type": "application/json"})


def read(body: bytes) -> list[Alert]:
    """Alerts of a message of the outbox."""
    return msgspec.json.decode(body, type=list[Alert])


def _postable(alert: Alert, now: float, ahead: float) -> dict[str, Any]:
    """As Alertmanager takes it. Event time may run ahead of the wall clock; an end ahead of it would not be one yet."""
    end = ahead if alert.status == "firing" else min(seconds_of(alert.ends_at), now)
    start = min(seconds_of(alert.starts_at), end)
    told = {"labels": alert.labels, "annotations": alert.annotations, "startsAt": utc(start), "endsAt": utc(end)}
    return told | ({"generatorURL": alert.generator_url} if alert.generator_url else {})
