"""What Alertmanager posts: alerts of Prometheus' rules that may start a retraining.

Kept before they are answered, as Alertmanager tries again after a 5xx and forgets after anything else. It posts one
alert many times, through several groups and after restarts; from its start to its end an alert calls once.

Source: Alertmanager documentation, "Webhook receiver", version 4 of the payload.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import msgspec

from staytrue.alerts import Alert
from staytrue.errors import InvalidInput, NotFound, StaytrueError
from staytrue.records import DAY_SECONDS, seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitoring.state import State
    from staytrue.store import Store

log = logging.getLogger(__name__)
RETRAIN = "staytrue_retrain"
"""Label of alerts that may start a retraining; all others are taken note of by nobody."""
KEPT_DAYS = 90
"""How long a post is remembered: far longer than Alertmanager repeats one that does not change."""


class _Payload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What matters of the payload."""

    version: str
    group_key: str
    alerts: list[Alert]


class Hooks:
    """Alerts that call for a retraining, kept in the sidecar's state."""

    def __init__(self, state: State, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._state, self._store, self._clock = state, store, clock

    def accept(self, body: bytes) -> dict[str, int]:
        """Keep the alerts of a post; how many were new, known already, none of our business, and refused.

        Raises:
            InvalidInput: not Alertmanager's payload, or all its calls are of models that cannot be told.
            NotFound: all its calls are of models that are not in the store.
        """
        payload = _parse(body)
        calls, faults = list[tuple[Alert, str]](), list[StaytrueError]()
        for alert in payload.alerts:
            if alert.labels.get(RETRAIN) == "true":
                try:
                    calls.append((alert, self._model(alert)))
                except StaytrueError as error:
                    log.warning("a call for a retraining is refused: %s", error)
                    faults.append(error)
        if faults and not calls:  # Alertmanager forgets the whole post after a refusal: good calls must not go with it
            raise faults[0]
        with self._state.transaction():
            self._state.forget_posts(self._clock() - KEPT_DAYS * DAY_SECONDS)
            new = sum(self._keep(payload.group_key, alert, model) for alert, model in calls)
        ignored = len(payload.alerts) - len(calls) - len(faults)
        return {"accepted": new, "repeated": len(calls) - new, "ignored": ignored, "refused": len(faults)}

    def _keep(self, group: str, alert: Alert, model: str) -> bool:
        key = f"{group}\n{alert.fingerprint}\n{alert.starts_at}\n{alert.status}"
        if not self._state.save_post(key, self._clock()):
            return False
        self._state.save_call(model, alert)
        return True

    def _model(self, alert: Alert) -> str:
        """The model that an alert is about: its label, or the only one there is."""
        name, models = alert.labels.get("model", ""), self._store.models()
        where = f'alert "{alert.labels.get("alertname", "")[:80]}"'
        if name in models:
            return name
        if name:
            there = ", ".join(models) or "none"
            raise NotFound(where, f'model "{name[:80]}" is not in the store', hint=f"models: {there}")
        if len(models) != 1:
            hint = f"give the rule a label model; models: {', '.join(models) or 'none'}"
            raise InvalidInput(where, "does not say which model to retrain", hint=hint)
        return models[0]


def _parse(body: bytes) -> _Payload:
    try:
        payload = msgspec.json.decode(body, type=_Payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        hint = "this address is for Alertmanager's webhook_configs"
        raise InvalidInput("body", f"is no webhook of Alertmanager: {error}", hint=hint) from error
    if payload.version != "4":
        raise InvalidInput("version", expected="4", got=payload.version[:20], hint="another Alertmanager is needed")
    for number, alert in enumerate(payload.alerts):
        try:
            seconds_of(alert.starts_at)
        except ValueError as error:
            where = f"alerts.{number}.startsAt"
            raise InvalidInput(where, expected="an RFC 3339 time", got=alert.starts_at[:40]) from error
    return payload
