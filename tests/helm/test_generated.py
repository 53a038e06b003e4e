"""What the chart holds of other parts is what those parts say now, and Prometheus takes the rules as rendered."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import yaml

from helm.generate import generate, table
from tests.helm.chart import CHART, manifests, one, values
from tests.needs import needs

if TYPE_CHECKING:
    from pathlib import Path


def test_the_chart_holds_what_the_code_writes(tmp_path: Path) -> None:
    generate(tmp_path)
    made = {path.relative_to(tmp_path): path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.*")}
    assert len(made) >= 4
    for name, text in made.items():
        assert (CHART / name).read_text(encoding="utf-8") == text, f"{name} is out of date: make chart"


def test_the_rendered_rules_pass_promtool(tmp_path: Path) -> None:
    rule = one(manifests(values("full")), "PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(rule["spec"]), encoding="utf-8")
    line = [needs("promtool"), "check", "rules", "--lint=all", "--lint-fatal", str(path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    alerts = [entry for group in rule["spec"]["groups"] for entry in group["rules"]]
    assert all("runbook_url" in entry["annotations"] for entry in alerts)
    assert any("{{ $labels." in entry["annotations"]["summary"] for entry in alerts)  # Helm left Prometheus's own alone


def test_dashboards_are_mounted_whole() -> None:
    maps = [m for m in manifests(values("full")) if m["kind"] == "ConfigMap" and "dashboard" in m["metadata"]["name"]]
    assert [m["metadata"]["name"] for m in maps] == ["bikes-dashboard-model", "bikes-dashboard-service"]
    for found in maps:
        assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
        [(name, text)] = found["data"].items()
        assert json.loads(text) == json.loads((CHART / "files" / "dashboards" / name).read_text(encoding="utf-8"))


def test_every_value_is_in_the_table() -> None:
    rows = table((CHART / "values.yaml").read_text(encoding="utf-8"))
    for name in ("project", "images.serving", "server.preStopSeconds", "retraining.schedule", "extraObjects"):
        assert f"| `{name}` |" in rows
