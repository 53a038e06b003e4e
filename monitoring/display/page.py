"""The sidecar's own page: how things stand, for those without Grafana. Whole in itself, without scripts or internet."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from monitoring.display import chart
from staytrue.errors import StaytrueError
from staytrue.records import utc

if TYPE_CHECKING:
    from monitoring.analyst import Parts
    from staytrue.store import Change
    from staytrue.windows import Window

LOOKS = 400
"""Looks that a chart shows: more would not be told apart, and the page must stay quick however old the sidecar is."""
NEWEST = 20
"""Alerts, jobs, changes and reports shown."""
_TEMPLATES = Path(__file__).with_name("templates")
STYLE = (_TEMPLATES / "page.css").read_text(encoding="utf-8")
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"
"""Nothing is loaded, nothing runs: whatever a caller's text holds, the browser takes it for text."""

_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=jinja2.ChainableUndefined,  # a report has scores, an error, or nothing yet
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Model:
    """What the page tells of one model."""

    name: str
    champion: str
    versions: list[str]
    changes: list[Change]
    window: Window | None
    evidence: chart.Chart | None
    quality: chart.Chart | None
    fault: str = ""

    @property
    def checks(self) -> list[Any]:
        """Data checks of the last look that did not pass."""
        return [check for check in self.window.checks if check.verdict != "ok"] if self.window else []


def page(parts: Parts) -> str:
    """The page as HTML."""
    vitals, state = parts.vitals, parts.state
    now = vitals.clock()
    alerts = state.alerts()
    return _environment.get_template("page.html").render(
        style=STYLE,
        now=now,
        events=sum(vitals.by_status().values()),
        failed=sum(count for (_, status), count in vitals.by_status().items() if status != "ok"),
        labels=vitals.totals["labels"].get("labels", 0),
        failing=vitals.failing,
        firing=state.active(),
        ended=[alert for alert in reversed(alerts) if alert.status == "resolved"][:NEWEST],
        workers=sorted(vitals.heartbeats.items()),
        models=[_model(parts, name) for name in sorted(vitals.newest)],
        jobs=list(reversed(state.jobs()))[:NEWEST],
        reports=list(reversed(parts.reports.listing()))[:NEWEST],
        utc=utc,
    )


def _model(parts: Parts, name: str) -> Model:
    """What is known of a model; a store that cannot be read costs its part and no other."""
    windows = parts.state.last_windows(name, LOOKS)
    alerts = [alert for alert in parts.state.alerts() if alert.labels.get("model") == name]
    champion, versions, changes, fault = "", list[str](), list[Any](), ""
    try:
        champion = parts.store.aliases(name).champion
        versions, changes = parts.store.glance(name), parts.store.journal(name)
    except StaytrueError as error:
        fault = str(error)
    last = windows[-1] if windows else None
    drawn = chart.evidence(windows, changes, alerts) if windows else None
    return Model(
        name=name,
        champion=champion,
        versions=versions,
        changes=list(reversed(changes))[:NEWEST],
        window=last,
        evidence=drawn,
        quality=chart.quality(windows, changes, alerts),
        fault=fault,
    )
