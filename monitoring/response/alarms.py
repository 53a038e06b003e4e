"""Alarms: evidence that stays above its threshold fires, evidence that stays below resolves, silence does neither."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from monitoring.ingest.lake import day_of
from staytrue import alerts
from staytrue.alerts import Alert
from staytrue.records import utc

if TYPE_CHECKING:
    from monitoring.state import State
    from staytrue.sections import MonitoringSection
    from staytrue.windows import Window

NAMES = {"drift": "StaytrueDrift", "quality": "StaytrueQuality", "data": "StaytrueData", "traffic": "StaytrueVanished"}
RETRAINING_KINDS = ("drift", "quality")
FEATURES = "features"
"""Annotation of a drift alarm: each feature that is above the threshold, with the time since which the alarm has
named it, as JSON."""


@dataclass(frozen=True)
class Finding:
    """What a look says of one kind of alarm. ``evidence`` is None where there is not enough to say."""

    kind: str
    evidence: float | None
    summary: str
    features: tuple[str, ...] = ()
    """What is above the threshold, the furthest first."""


class Alarms:
    """The state of each alarm, kept in the sidecar's state. Call within a transaction."""

    def __init__(self, state: State, policy: MonitoringSection, url: str = "") -> None:
        self._state, self._policy, self.url = state, policy, url

    def update(self, window: Window) -> list[Alert]:
        """Take note of a look; alerts that fired or resolved by it."""
        changed: list[Alert] = []
        for finding in findings(window):
            changed += self._one(window, finding)
        return changed

    def vanished(self, model: str, silent_seconds: float, event_time: float, now: float) -> list[Alert]:
        """Raise or resolve the alarm of a model whose traffic has gone. It resolves no other."""
        active = self._state.active(model, "traffic")
        if silent_seconds >= self._policy.vanished_seconds and not active:
            text = f"{model}: no request for {silent_seconds / 60:.0f} minutes; other alarms stay as they are"
            return [self._fire(model, "", Finding("traffic", 1.0, text), now, {"event_time": utc(event_time)})]
        if silent_seconds < self._policy.vanished_seconds and active:
            return [self._end(model, "traffic", active[0], now, "requests are coming again")]
        return []

    def _one(self, window: Window, finding: Finding) -> list[Alert]:
        kind, changed = finding.kind, list[Alert]()
        active = self._state.active(window.model, kind)
        version, above, below = self._streak(window.model, kind)
        if version != window.version:
            above = below = 0
            for alert in active:
                changed.append(self._end(window.model, kind, alert, window.end, f"version {window.version} took over"))
            active = []
        if finding.evidence is not None:
            above, below = (above + 1, 0) if finding.evidence >= 1 else (0, below + 1)
        if not active and above >= self._policy.for_looks:
            told = {"evidence": f"{finding.evidence:.2f}", "window": _span(window)}
            changed.append(self._fire(window.model, window.version, finding, window.end, told))
        elif active and finding.features:
            changed += self._tell_more(window, finding, active[0])
        elif active and below >= self._policy.resolve_looks:
            changed.append(self._end(window.model, kind, active[0], window.end, "back under the threshold"))
        sql = "INSERT OR REPLACE INTO streaks VALUES (?, ?, ?, ?, ?)"
        self._state.execute(sql, window.model, kind, window.version, above, below)
        return changed

    def _streak(self, model: str, kind: str) -> tuple[str, int, int]:
        rows = self._state.execute(
            "SELECT version, above, below FROM streaks WHERE model = ? AND kind = ?", model, kind
        )
        return (str(rows[0][0]), int(rows[0][1]), int(rows[0][2])) if rows else ("", 0, 0)

    def _tell_more(self, window: Window, finding: Finding, alert: Alert) -> list[Alert]:
        """Name what has moved since an alarm began: what comes second may be what people can mend.

        A name is given for looks in a row, as the alarm was, and taken back by a look that is below the threshold:
        so at each moment few of those named are steady ones. Only a new name is worth a message.
        """
        before = _named(alert)
        named = {feature: since for feature, since in before.items() if feature in finding.features}
        lasting = [feature for feature in finding.features if self._lasts(window, feature)]
        new = [feature for feature in lasting if feature not in named]
        named |= dict.fromkeys(new, utc(window.end))
        if named == before:
            return []
        notes = {**alert.annotations, FEATURES: json.dumps(named), **({"summary": finding.summary} if new else {})}
        more = msgspec.structs.replace(alert, annotations=notes)
        self._state.save_alert(window.model, finding.kind, more)
        return [more] if new else []

    def _lasts(self, window: Window, feature: str) -> bool:
        """Whether a feature was above the threshold at as many looks of the version as an alarm needs."""
        looks = self._state.last_windows(window.model, self._policy.for_looks)
        above = [_evidence(look, feature) >= 1 for look in looks if look.version == window.version]
        return len(above) == self._policy.for_looks and all(above)

    def _fire(self, model: str, version: str, finding: Finding, at: float, told: dict[str, str]) -> Alert:
        labels = {"alertname": NAMES[finding.kind], "model": model, "severity": "warning"}
        notes = {"summary": finding.summary, "version": version, **told}
        if finding.features:
            notes[FEATURES] = json.dumps(dict.fromkeys(finding.features, utc(at)))
        alert = alerts.fire(labels, notes, at, self.url)
        self._state.save_alert(model, finding.kind, alert)
        return alert

    def _end(self, model: str, kind: str, alert: Alert, at: float, why: str) -> Alert:
        ended = alerts.resolve(alert, at)
        ended = msgspec.structs.replace(ended, annotations={**alert.annotations, "resolved_because": why})
        self._state.save_alert(model, kind, ended)
        return ended


def _evidence(window: Window, feature: str) -> float:
    found = [item.evidence for item in window.drift if item.feature == feature and item.sufficiency == "sufficient"]
    return max(found, default=0.0)


def _named(alert: Alert) -> dict[str, str]:
    """Features that an alarm has named, and since when."""
    named: dict[str, str] = json.loads(alert.annotations.get(FEATURES, "{}"))
    return named


def findings(window: Window) -> list[Finding]:
    """What a look says of each kind."""
    return [_drift(window), _quality(window), _data(window)]


def _drift(window: Window) -> Finding:
    enough = [item for item in window.drift if item.sufficiency == "sufficient"]
    if not enough:
        return Finding("drift", None, "")
    moved = sorted((item for item in enough if item.evidence >= 1), key=lambda item: -item.evidence)
    names = ", ".join(item.feature for item in moved)
    detail = f" ({moved[0].feature}: {moved[0].detail})" if moved else ""
    text = f"{window.model} version {window.version}: drift in {names}{detail}"
    return Finding("drift", window.drift_evidence, text, tuple(item.feature for item in moved))


def _quality(window: Window) -> Finding:
    found = window.quality
    if found is None or found.sufficiency == "insufficient":
        return Finding("quality", None, "")
    text = (
        f"{window.model} version {window.version}: {found.metric.replace('_', ' ')} {found.value:.4g}, "
        f"usually {found.baseline:.4g} ({found.coverage:.0%} of rows labelled)"
    )
    return Finding("quality", found.evidence, text)


def _data(window: Window) -> Finding:
    if not window.rows:
        return Finding("data", None, "")
    failed = [check for check in window.checks if check.verdict == "fail"]
    text = "; ".join(f"{check.column}: {check.detail}" for check in failed)
    return Finding("data", float(bool(failed)), f"{window.model} version {window.version}: {text}")


def _span(window: Window) -> str:
    return f"{day_of(window.start)} to {day_of(window.end)}, {window.rows} rows"
