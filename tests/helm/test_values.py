"""What the chart refuses, and what no value can break."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from helm_python.errors import HelmError

from staytrue.server import ServingSection
from tests.helm.chart import CHART, manifests, values

BIKES = values("minimal")["project"]
KEYS = {"server": {"keysSecret": {"name": "staytrue-keys"}}}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"replica": 2}, "replica"),
    "unknown key inside": ({"service": {"httPort": 80}}, "httPort"),
    "unknown setting of the project": ({"project": {**BIKES, "serving": {"max_bodybytes": 1}}}, "max_bodybytes"),
    "limit of the project that is none": ({"project": {**BIKES, "serving": {"queue_rows": 0}}}, "queue_rows"),
    "timeout as text": ({"project": {**BIKES, "serving": {"timeout_seconds": "soon"}}}, "timeout_seconds"),
    "unknown provider": ({"project": {**BIKES, "serving": {"provider": "tpu"}}}, "provider"),
    "no workers": ({"project": {**BIKES, "serving": {"workers": 0}}}, "workers"),
    "unknown section of the project": ({"project": {"name": "bikes", "servin": {}}}, "servin"),
    "no project": ({"project": {}}, "project: expected staytrue.yaml's content with a name"),
    "a name that is no path": ({"project": {"name": "a/b"}}, "name"),
    "beyond loopback without keys": ({"insecure": False}, "keysSecret.name: expected a Secret with the keys"),
    "a sidecar that everybody reaches": (
        {"insecure": False, **KEYS, "networkPolicy": {"enabled": False}},
        "networkPolicy.enabled: expected true, as the sidecar's port (labels, metrics, page) knows no keys",
    ),
    "keys in the project": (
        {"project": {**BIKES, "serving": {"keys": "/somewhere/keys.yaml"}}},
        "project.serving.keys: expected it in server.keysSecret",
    ),
    "a certificate in the project": (
        {"project": {**BIKES, "serving": {"tls_certificate": "a.crt", "tls_key": "a.key"}}},
        "expected it in server.tlsSecret",
    ),
    "an admin port in the project": (
        {"project": {**BIKES, "serving": {"admin_port": 0}}},
        "project.serving.admin_port: expected it in server.adminPort",
    ),
    "clients' authority without a certificate": (
        {"server": {"tlsSecret": {"clientCA": "ca.crt"}}},
        "server.tlsSecret.clientCA: expected server.tlsSecret.name",
    ),
    "probes without a certificate to show": (
        {"server": {"tlsSecret": {"name": "tls", "clientCA": "ca.crt"}}},
        "client.tlsSecret.name: expected a Secret with a certificate of server.tlsSecret.clientCA",
    ),
    "a Secret's name as a path": ({"server": {"keysSecret": {"name": "keys/one"}}}, "keysSecret/name"),
    "a Secret's key as a path": ({"server": {"tlsSecret": {"name": "tls", "key": "../tls.key"}}}, "tlsSecret/key"),
    "an admin port that is taken": ({"server": {"adminPort": 8080}}, "adminPort"),
    "an admin port out of range": ({"server": {"adminPort": 65536}}, "adminPort"),
    "a server's name that is none": ({"client": {"serverName": "-x"}}, "serverName"),
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


def test_several_workers_and_an_admin_port_are_refused_in_the_server_s_words() -> None:
    with pytest.raises(ValueError, match="admin_port reaches one process") as told:
        ServingSection(workers=2, admin_port=8082)
    words = str(told.value).split("Value error, ")[1].split("; ")[0]  # what to do is said in the names of the file
    wrong = values("minimal", project={**BIKES, "serving": {"workers": 2}}, server={"adminPort": 8082})
    with pytest.raises(HelmError, match=re.escape(words)):
        manifests(wrong)
    assert manifests({**wrong, "project": {**BIKES, "serving": {"workers": 1}}})


def test_keys_and_a_policy_need_no_insecure_and_neither_does_a_server_without_its_sidecar() -> None:
    assert manifests(values("minimal", insecure=False, **KEYS))
    alone = {"sidecar": {"enabled": False}, "networkPolicy": {"enabled": False}}
    assert manifests(values("minimal", insecure=False, **KEYS, **alone))


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
