"""The sidecar's own page: how things stand, for those without Grafana."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jinja2

from staytrue.records import utc

if TYPE_CHECKING:
    from monitoring.analyst import Parts

_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("monitoring.display"),
    autoescape=True,
    undefined=jinja2.ChainableUndefined,  # a report has scores, an error, or nothing yet
)


def page(parts: Parts) -> str:
    """The page as HTML, whole in itself."""
    windows = [parts.state.last_window(model) for model in parts.vitals.newest]
    return _environment.get_template("status.html").render(
        events=sum(parts.vitals.by_status().values()),
        labels=parts.vitals.totals["labels"].get("labels", 0),
        firing=parts.state.active(),
        windows=[window for window in windows if window is not None],
        jobs=list(reversed(parts.state.jobs())),
        reports=list(reversed(parts.reports.listing())),
        utc=utc,
    )
