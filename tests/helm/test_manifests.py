"""What the chart renders: valid to the letter for Kubernetes, safe by default, and what the values say."""

from __future__ import annotations

import re
from typing import Any

import kubernetes_validate
import pytest
import yaml
from helm_python.chart import lint

from staytrue.project import Project
from tests.helm.chart import CHART, VALUES, manifests, one, render, values

KUBERNETES = ("1.25", "1.30", "1.37")


def test_helm_finds_nothing_to_mend() -> None:
    for name in VALUES:
        told = lint(CHART, values(name), strict=True)
        assert told["errors"] == []
        assert [m for m in told["messages"] if m["error"] != "icon is recommended"] == []


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", VALUES)
def test_every_manifest_is_valid_to_the_letter(name: str, version: str) -> None:
    found = manifests(values(name))
    assert len(found) > 4
    for manifest in found:
        if not manifest["apiVersion"].startswith("monitoring.coreos.com"):
            kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("name", VALUES)
def test_every_object_is_labelled_as_the_release_s(name: str) -> None:
    for manifest in manifests(values(name)):
        if manifest["metadata"]["name"] != "rel-more":  # of extraObjects: as its author wrote it
            labels = manifest["metadata"]["labels"]
            assert labels["app.kubernetes.io/instance"] == "rel"
            assert labels["app.kubernetes.io/name"] == ("staytrue-test" if manifest["kind"] == "Pod" else "staytrue")


@pytest.mark.parametrize("name", VALUES)
def test_every_container_runs_under_the_restricted_standard(name: str) -> None:
    for pod in pods(manifests(values(name))):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        ours = [c for c in [*pod["containers"], *pod.get("initContainers", [])] if c["name"] != "proxy"]
        for container in ours:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert {"requests", "limits"} <= container["resources"].keys()


@pytest.mark.parametrize("name", VALUES)
def test_every_mount_has_its_volume(name: str) -> None:
    found = manifests(values(name))
    claimed = {c["metadata"]["name"] for c in one(found, "StatefulSet")["spec"].get("volumeClaimTemplates", [])}
    for pod in pods(found):
        volumes = {volume["name"] for volume in pod.get("volumes", [])} | claimed
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes


@pytest.mark.parametrize("name", VALUES)
def test_the_configuration_is_a_project_that_staytrue_reads(name: str) -> None:
    found = manifests(values(name))
    given = one(found, "ConfigMap", "bikes" if name == "full" else "rel")["data"]["staytrue.yaml"]
    project = Project.model_validate(yaml.safe_load(given))
    assert (project.name, str(project.store), str(project.retraining.runs)) == ("bikes", "/store", "/state/runs")


def test_probes_differ_and_a_failing_tick_of_the_sidecar_takes_nothing_from_the_service() -> None:
    server, sidecar = containers("minimal")
    assert server["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    assert server["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"
    assert server["startupProbe"]["failureThreshold"] * server["startupProbe"]["periodSeconds"] >= 60
    assert sidecar["readinessProbe"]["tcpSocket"] == {"port": "sidecar"}
    assert sidecar["livenessProbe"]["httpGet"]["path"] == "/livez"


def test_the_pod_outlives_the_server_s_drain() -> None:
    pod = one(manifests(values("minimal")), "StatefulSet")["spec"]["template"]["spec"]
    assert pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "5"]
    assert pod["terminationGracePeriodSeconds"] > 5 + 20


def test_a_changed_configuration_restarts_the_pods() -> None:
    def checksum(**project: Any) -> str:
        given = values("minimal")
        found = manifests({**given, "project": {**given["project"], **project}})
        annotations = one(found, "StatefulSet")["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["checksum/config"])

    assert checksum() == checksum()
    assert checksum() != checksum(serving={"threads": 2})


def test_an_autoscaler_owns_the_number_of_pods() -> None:
    found = manifests(values("object-store"))
    assert "replicas" not in one(found, "StatefulSet")["spec"]
    scaler = one(found, "HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"]["kind"] == "StatefulSet"
    assert [metric["type"] for metric in scaler["metrics"]] == ["Resource", "Pods"]


def test_models_come_from_an_object_store_before_anything_runs() -> None:
    pod = one(manifests(values("object-store")), "StatefulSet")["spec"]["template"]["spec"]
    assert pod["initContainers"][0]["args"] == ["fetch", "s3://models/store", "--store", "/store"]
    assert {"name": "store", "emptyDir": {}} in pod["volumes"]


def test_an_image_is_named_by_digest_where_one_is_given() -> None:
    server, sidecar = containers("full")
    assert re.fullmatch(r"registry\.example/staytrue/serving@sha256:[0-9a-f]{64}", server["image"])
    assert sidecar["image"] == "registry.example/staytrue/training:0.1.0"  # it retrains in the pod
    assert containers("minimal")[0]["image"] == "staytrue-serving:0.1.0"


def test_a_gpu_is_asked_for_and_used() -> None:
    server = containers("full")[0]
    assert server["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"name": "STAYTRUE_SERVING_PROVIDER", "value": "cuda"} in server["env"]


def test_what_retrains_in_the_pod_reads_the_data_and_cannot_change_them() -> None:
    pod = one(manifests(values("full")), "StatefulSet")["spec"]["template"]["spec"]
    assert {"name": "data", "mountPath": "/data", "readOnly": True} in pod["containers"][1]["volumeMounts"]
    claim = {"claimName": "training-data", "readOnly": True}
    assert {"name": "data", "persistentVolumeClaim": claim} in pod["volumes"]
    small = one(manifests(values("minimal")), "StatefulSet")["spec"]["template"]["spec"]
    assert "data" not in {volume["name"] for volume in small["volumes"]}


def test_a_retraining_job_leaves_the_sealed_test_shut_and_ends() -> None:
    job = one(manifests(values("full")), "CronJob")["spec"]["jobTemplate"]["spec"]
    assert job["activeDeadlineSeconds"] == 21600
    assert job["template"]["spec"]["initContainers"][0]["args"][-2:] == ["--test", "skip"]
    longer = manifests(values("minimal", retraining={"enabled": True, "deadlineSeconds": 1_000_000}))
    assert one(longer, "CronJob")["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 1_000_000


@pytest.mark.parametrize(
    ("changes", "share"),
    [
        ({}, "1.0000"),
        ({"replicas": 0}, "1.0000"),
        ({"replicas": 3, "models": {"existingClaim": "models"}}, "0.3333"),
        ({"replicas": 3, "autoscaling": {"enabled": True}, "models": {"existingClaim": "models"}}, "0.2500"),
    ],
)
def test_a_sidecar_knows_its_pod_s_share_of_the_traffic(changes: dict[str, Any], share: str) -> None:
    pod = one(manifests(values("minimal", **changes)), "StatefulSet")["spec"]["template"]["spec"]
    server, sidecar = pod["containers"]
    assert {"name": "STAYTRUE_MONITORING_TRAFFIC_SHARE", "value": share} in sidecar["env"]
    assert "STAYTRUE_MONITORING_TRAFFIC_SHARE" not in {item["name"] for item in server["env"]}


def test_secrets_stay_secrets() -> None:
    sidecar = containers("full")[1]
    webhooks = next(item for item in sidecar["env"] if item["name"] == "STAYTRUE_MONITORING_WEBHOOKS")
    assert webhooks["valueFrom"]["secretKeyRef"] == {"name": "staytrue-webhooks", "key": "list"}


def test_one_service_is_scraped_and_each_pod_once() -> None:
    found = manifests(values("full"))
    monitor = one(found, "ServiceMonitor")["spec"]
    assert monitor["endpoints"] == [{"port": "sidecar", "path": "/metrics", "interval": "30s"}]
    assert monitor["selector"]["matchExpressions"] == [{"key": "staytrue.io/scrape", "operator": "DoesNotExist"}]
    services = [m for m in found if m["kind"] == "Service"]
    assert [s["metadata"]["name"] for s in services if "staytrue.io/scrape" not in s["metadata"]["labels"]] == ["bikes"]


def test_the_policy_lets_in_whom_the_values_name() -> None:
    ingress = one(manifests(values("full")), "NetworkPolicy")["spec"]["ingress"]
    assert ingress[0]["from"] == [{"namespaceSelector": {"matchLabels": {"team": "web"}}}]
    assert [port["port"] for port in ingress[0]["ports"]] == ["http", "grpc"]
    ours = one(manifests(values("minimal")), "NetworkPolicy")["spec"]["ingress"]
    assert ours[0]["from"] == [{"podSelector": {}}]


@pytest.mark.parametrize("name", VALUES)
def test_the_pod_of_helm_test_is_let_in_and_gets_no_traffic(name: str) -> None:
    found = manifests(values(name))
    labels = one(found, "Pod")["metadata"]["labels"]
    selectors = [m["spec"]["selector"] for m in found if m["kind"] == "Service"]
    selectors += [one(found, "StatefulSet")["spec"]["selector"]["matchLabels"]]
    assert [selector for selector in selectors if selector.items() <= labels.items()] == []
    rules = one(found, "NetworkPolicy")["spec"]["ingress"]
    named = [(peer.get("podSelector", {}).get("matchLabels"), rule["ports"]) for rule in rules for peer in rule["from"]]
    ports = next(ports for chosen, ports in named if chosen and chosen.items() <= labels.items())
    assert [port["port"] for port in ports] == ["http", "grpc"]


def test_the_notes_say_whether_there_is_access_control() -> None:
    told = {name: notes(name) for name in ("minimal", "guarded")}
    assert "There is no access control" in told["minimal"]
    assert "curl -s http://127.0.0.1:8080/v2/models/bikes" in told["minimal"]
    assert "Predictions need a key of the Secret staytrue-keys. The sidecar knows no keys" in told["guarded"]
    shown = (
        '-sk --cert client.crt --key client.key -H "Authorization: Bearer $KEY" https://127.0.0.1:8080/v2/models/bikes'
    )
    assert f"curl {shown}" in told["guarded"]
    plain = notes("guarded", server={"keysSecret": {"name": "staytrue-keys"}})
    assert "which travels as anybody on the way can read it" in plain


def notes(name: str, **changes: Any) -> str:
    """What Helm prints after an installation."""
    rendered = render(values(name, **changes))
    return next(text for path, text in rendered.items() if path.endswith("NOTES.txt"))


def containers(name: str) -> list[dict[str, Any]]:
    """Server and sidecar of the pods."""
    found: list[dict[str, Any]] = one(manifests(values(name)), "StatefulSet")["spec"]["template"]["spec"]["containers"]
    return found[:2]


def pods(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Specifications of all pods that would run."""
    made = []
    for manifest in found:
        spec = manifest.get("spec", {})
        if manifest["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            made.append(spec["template"]["spec"])
        elif manifest["kind"] == "Pod":
            made.append(spec)
    return made
