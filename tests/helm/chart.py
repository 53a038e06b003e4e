"""The chart through Helm's own engine, without a cluster: values in, manifests out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from helm_python import _native
from helm_python.chart import Chart

CHART = Path(__file__).parents[2] / "helm" / "staytrue"
RELEASE = {
    "name": "rel",
    "namespace": "ns",
    "kube_version": "v1.30.0",
    "api_versions": ["monitoring.coreos.com/v1"],
}
"""The SDK's public ``render`` takes neither versions of Kubernetes nor of its interfaces; the call below it does."""
VALUES = {path.name.removesuffix("-values.yaml"): path for path in sorted((CHART / "ci").glob("*-values.yaml"))}

Manifest = dict[str, Any]


def values(name: str, **changes: Any) -> dict[str, Any]:
    """One of the chart's own value sets, with top-level keys changed."""
    return {**yaml.safe_load(VALUES[name].read_text(encoding="utf-8")), **changes}


def render(given: dict[str, Any]) -> dict[str, str]:
    """Rendered text by template.

    Raises:
        HelmError: the values are refused; says which and why.
    """
    with Chart.load(CHART) as chart:
        text = _native.call_string("helm_render", chart._raw(), json.dumps(given), json.dumps(RELEASE))
    rendered: dict[str, str] = json.loads(text)
    return rendered


def manifests(given: dict[str, Any]) -> list[Manifest]:
    """Every object that an installation would create."""
    texts = [text for path, text in render(given).items() if not path.endswith("NOTES.txt")]
    return [found for text in texts for found in yaml.safe_load_all(text) if found]


def one(found: list[Manifest], kind: str, name: str = "") -> Manifest:
    """The object of a kind (and name)."""
    chosen = [m for m in found if m["kind"] == kind and name in ("", m["metadata"]["name"])]
    assert len(chosen) == 1, [m["metadata"]["name"] for m in chosen]
    return chosen[0]
