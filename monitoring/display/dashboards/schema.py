"""The Grafana Foundation SDK's builders of the classic dashboard model, the one place that imports them.

The SDK recommends its newer model, which Grafana before 13 cannot read. All of them read the classic one, from files
and over HTTP, so its advice is heard and not shown.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, timeseries
    from grafana_foundation_sdk.builders import statetimeline as timeline
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import common as options
    from grafana_foundation_sdk.models import dashboard as model
    from grafana_foundation_sdk.models.prometheus import PromQueryFormat

__all__ = [
    "JSONEncoder",
    "PromQueryFormat",
    "bargauge",
    "common",
    "dashboard",
    "heatmap",
    "model",
    "options",
    "prometheus",
    "stat",
    "timeline",
    "timeseries",
]
