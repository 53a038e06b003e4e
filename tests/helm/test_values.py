"""What the chart refuses, and what no value can break."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from helm_python.errors import HelmError

from tests.helm.chart import CHART, manifests, values

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"replica": 2}, "replica"),
    "unknown key inside": ({"service": {"httPort": 80}}, "httPort"),
    "unknown section of the project": ({"project": {"name": "bikes", "servin": {}}}, "servin"),
    "no project": ({"project": {}}, "project: expected staytrue.yaml's content with a name"),
    "a name that is no path": ({"project": {"name": "a/b"}}, "name"),
    "beyond loopback without a word": ({"insecure": False}, "insecure: a pod must listen beyond loopback"),
    "insecure as text": ({"insecure": "yes"}, "insecure"),
    "negative replicas": ({"replicas": -1}, "replicas"),
    "replicas as text": ({"replicas": "two"}, "replicas"),
    "port out of range": ({"service": {"httpPort": 70000}}, "httpPort"),
    "unknown service type": ({"service": {"type": "External"}}, "type"),
    "image with a space": ({"images": {"serving": {"repository": "a b"}}}, "repository"),
    "image with a quote": ({"images": {"serving": {"repository": '"'}}}, "repository"),
    "digest that is none": ({"images": {"serving": {"digest": "sha256:12"}}}, "digest"),
    "pull policy": ({"images": {"serving": {"pullPolicy": "Sometimes"}}}, "pullPolicy"),
    "quantity": ({"models": {"size": "ten"}}, "size"),
    "memory": ({"server": {"resources": {"limits": {"memory": "2 GB"}}}}, "memory"),
    "source": ({"models": {"source": "bucket"}}, "source"),
    "object store without address": ({"models": {"source": "object"}}, "models.object: expected the store's address"),
    "address that is none": ({"models": {"source": "object", "object": "bucket/store"}}, "object"),
    "retraining in many pods": ({"sidecar": {"retrainInPod": True}, "replicas": 2}, "expected one replica"),
    "retraining in the pod without data": ({"sidecar": {"retrainInPod": True}}, "expected retraining.dataClaim"),
    "many pods on a disk for one node": ({"replicas": 2}, "models.accessMode: expected ReadWriteMany"),
    "an autoscaler on a disk for one node": ({"autoscaling": {"enabled": True}}, "models.accessMode: expected"),
    "deadline": ({"retraining": {"deadlineSeconds": 0}}, "deadlineSeconds"),
    "retraining without a store": (
        {"retraining": {"enabled": True}, "models": {"source": "object", "object": "s3://a/b"}},
        "retraining.enabled: expected models.source claim",
    ),
    "autoscaling by nothing": ({"autoscaling": {"enabled": True, "targetCPU": 0}}, "autoscaling"),
    "schedule": ({"retraining": {"schedule": "nightly"}}, "schedule"),
    "provider": ({"gpu": {"provider": "rocm"}}, "provider"),
    "environment without a name": ({"server": {"extraEnv": [{"value": "1"}]}}, "name"),
    "a name with a capital": ({"fullnameOverride": "Bikes"}, "fullnameOverride"),
    "interval": ({"serviceMonitor": {"interval": "often"}}, "interval"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_bad_values_are_refused_by_name(case: tuple[dict[str, Any], str]) -> None:
    changes, said = case
    with pytest.raises(HelmError, match=re.escape(said)):
        manifests(values("minimal", **changes))


@pytest.mark.parametrize("models", [{"accessMode": "ReadWriteMany"}, {"existingClaim": "models"}])
def test_many_pods_may_share_a_claim_of_many_nodes(models: dict[str, str]) -> None:
    assert manifests(values("minimal", replicas=2, models=models))


HOSTILE = ['"', "'", "a: b", "{{ .Release.Name }}", "${HOME}", "#", "&a", "*a", "true", "1e3", "- x", "\\n", "ä 漢"]


@pytest.mark.parametrize("text", HOSTILE)
def test_free_text_arrives_as_it_is(text: str) -> None:
    """A value that YAML would read otherwise must neither break a manifest nor change its meaning."""
    given = values(
        "minimal",
        podAnnotations={"note": text},
        server={"extraEnv": [{"name": "TEXT", "value": text}]},
        service={"annotations": {"note": text}},
        serviceMonitor={"enabled": True, "labels": {"release": text}},
    )
    given["project"]["data"]["query"] = text
    found = {(m["kind"], m["metadata"]["name"]): m for m in manifests(given)}
    pods = found["StatefulSet", "rel"]["spec"]["template"]
    assert pods["metadata"]["annotations"]["note"] == text
    assert {"name": "TEXT", "value": text} in pods["spec"]["containers"][0]["env"]
    assert found["Service", "rel"]["metadata"]["annotations"]["note"] == text
    assert found["ServiceMonitor", "rel"]["metadata"]["labels"]["release"] == text
    project = yaml.safe_load(found["ConfigMap", "rel"]["data"]["staytrue.yaml"])
    assert project["data"]["query"] == text


def test_every_value_is_explained() -> None:
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    keys = [line for line in text.splitlines() if re.match(r" {0,2}[a-zA-Z]+: \S", line)]
    lines = text.splitlines()
    unexplained = [line for line in keys if not lines[lines.index(line) - 1].lstrip().startswith("#")]
    assert unexplained == []
