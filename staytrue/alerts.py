"""Alerts in Alertmanager's own shape, so that whatever takes its webhooks takes ours.

Source: Alertmanager documentation, "Webhook receiver", version 4 of the payload.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from staytrue.records import Record, utc

Status = Literal["firing", "resolved"]
NOT_ENDED = "0001-01-01T00:00:00Z"
"""``endsAt`` of an alert that is still firing."""


class Alert(
    Record,
    frozen=True,
    kw_only=True,
    rename={"starts_at": "startsAt", "ends_at": "endsAt", "generator_url": "generatorURL"},
):
    """One alert. Its identity is its labels; the fingerprint is derived from them alone."""

    status: Status
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: str
    ends_at: str = NOT_ENDED
    generator_url: str = ""
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if not self.fingerprint:
            msgspec.structs.force_setattr(self, "fingerprint", fingerprint(self.labels))


class Webhook(
    Record,
    frozen=True,
    kw_only=True,
    rename={
        "group_labels": "groupLabels",
        "common_labels": "commonLabels",
        "common_annotations": "commonAnnotations",
        "external_url": "externalURL",
        "group_key": "groupKey",
        "truncated_alerts": "truncatedAlerts",
    },
):
    """The body of a webhook, version 4."""

    version: str = "4"
    group_key: str
    truncated_alerts: int = 0
    status: Status
    receiver: str
    group_labels: dict[str, str]
    common_labels: dict[str, str]
    common_annotations: dict[str, str]
    external_url: str
    alerts: list[Alert]


def fingerprint(labels: dict[str, str]) -> str:
    """Sixteen hexadecimal digits that depend on the labels alone, in any order.

    >>> fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    True
    """
    text = "\xff".join(f"{key}\xff{value}" for key, value in sorted(labels.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fire(labels: dict[str, str], annotations: dict[str, str], at: float, url: str = "") -> Alert:
    """An alert that starts firing at a time (Unix seconds)."""
    return Alert(status="firing", labels=labels, annotations=annotations, starts_at=utc(at), generator_url=url)


def resolve(alert: Alert, at: float) -> Alert:
    """The same alert, ended."""
    return msgspec.structs.replace(alert, status="resolved", ends_at=utc(at))


def webhook(alerts: list[Alert], receiver: str, external_url: str) -> Webhook:
    """Alerts as one webhook, grouped by the labels that they share."""
    labels = _common([alert.labels for alert in alerts])
    key = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return Webhook(
        group_key=f"{{}}:{{{key}}}",
        status="firing" if any(alert.status == "firing" for alert in alerts) else "resolved",
        receiver=receiver,
        group_labels=labels,
        common_labels=labels,
        common_annotations=_common([alert.annotations for alert in alerts]),
        external_url=external_url,
        alerts=alerts,
    )


def _common(maps: list[dict[str, str]]) -> dict[str, str]:
    first, *rest = maps or [{}]
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in rest)}
