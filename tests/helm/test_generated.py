"""What the chart holds of other parts is what those parts say now, and Prometheus takes the rules as rendered."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from typing import TYPE_CHECKING

import kubernetes_validate
import yaml

from helm.generate import generate, table
from staytrue import commands
from staytrue.server import ServingSection
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


def test_a_project_is_typed_as_the_command_reads_it() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    given = set(schema["$defs"]["ServingSection"]["properties"])
    assert given == set(ServingSection.model_fields)
    assert "required" not in schema["properties"]["project"]  # which the templates refuse, saying what to do


def test_the_pod_that_the_docs_show_is_valid_and_its_command_is_one() -> None:
    text = (CHART.parents[1] / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    (pod,) = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(apiVersion.*?)```", text, re.DOTALL)]
    kubernetes_validate.validate(pod, "1.30", strict=True)
    name, *arguments = pod["spec"]["containers"][0]["args"]
    parser = argparse.ArgumentParser()
    getattr(commands, name).configure(parser)
    asked = parser.parse_args(arguments)
    assert (name, asked.model, asked.version, asked.share) == ("canary", "bikes", "2", 0.1)
    assert [str(asked.store)] == [m["mountPath"] for m in pod["spec"]["containers"][0]["volumeMounts"]]
