"""Keys, certificates, the admin port and limits: what the chart mounts and sets, and that staytrue takes it so."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from serving.access import key_or_insecure
from serving.ping import ping
from staytrue import project as projects
from staytrue.settings import resolve
from tests.helm.chart import VALUES, manifests, one, values

if TYPE_CHECKING:
    from staytrue.project import Project
    from staytrue.server import ServingSection

KEYS = {"keysSecret": {"name": "staytrue-keys"}}
TLS = {"tlsSecret": {"name": "bikes-tls"}}


def pod_of(given: dict[str, Any]) -> dict[str, Any]:
    """Specification of the pods."""
    spec: dict[str, Any] = one(manifests(given), "StatefulSet")["spec"]["template"]["spec"]
    return spec


def settings(given: dict[str, Any], folder: Path) -> tuple[Project, ServingSection]:
    """What the server makes of the rendered file and environment."""
    found = manifests(given)
    maps = [m for m in found if m["kind"] == "ConfigMap" and "staytrue.yaml" in m["data"]]
    (folder / "staytrue.yaml").write_text(maps[0]["data"]["staytrue.yaml"])
    server = one(found, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    environment = {item["name"]: item["value"] for item in server["env"] if "value" in item}
    project = projects.load(folder / "staytrue.yaml")
    return project, resolve(project.serving, "serving", {}, environment)


@pytest.mark.parametrize("name", VALUES)
def test_the_server_takes_what_is_rendered(name: str, tmp_path: Path) -> None:
    _, taken = settings(values(name), tmp_path)
    assert (taken.host, taken.port, taken.grpc_port) == ("0.0.0.0", 8080, 8081)  # noqa: S104 - a pod's
    key_or_insecure(taken.host, keys=taken.keys, insecure=taken.insecure)
    assert taken.insecure == (name != "guarded")


@pytest.mark.parametrize("name", VALUES)
def test_the_sidecar_takes_what_is_rendered(name: str, tmp_path: Path) -> None:
    given = values(name)
    project, _ = settings(given, tmp_path)
    told = {i["name"]: i["value"] for i in pod_of(given)["containers"][1]["env"] if "value" in i}
    assert resolve(project.monitoring, "monitoring", {}, told).port == 8090
    assert resolve(project.serving, "serving", {}, told).log == Path("/state/events")


def test_keys_certificates_the_admin_port_and_limits_reach_the_server(tmp_path: Path) -> None:
    _, taken = settings(values("guarded"), tmp_path)
    files = (taken.keys, taken.tls_certificate, taken.tls_key, taken.tls_client_ca)
    assert [str(file) for file in files] == ["/keys/keys.yaml", "/tls/tls.crt", "/tls/tls.key", "/tls/client-ca.crt"]
    assert taken.admin_port == 8082
    assert (taken.max_body_bytes, taken.max_concurrency, taken.queue_rows) == (33554432, 512, 16384)
    assert (taken.timeout_seconds, taken.provider, taken.provider_fallback) == (2.5, "openvino", True)
    _, plain = settings(values("minimal"), tmp_path)
    assert (plain.keys, plain.tls_certificate, plain.admin_port, plain.workers) == (None, None, None, 1)


def test_large_limits_nothing_and_several_workers_arrive_as_they_are(tmp_path: Path) -> None:
    given = values("minimal")
    given["project"]["serving"] = {"log_max_bytes": 2**40, "timeout_seconds": None, "workers": 4}
    _, taken = settings(given, tmp_path)
    assert (taken.log_max_bytes, taken.timeout_seconds, taken.workers) == (2**40, None, 4)


def test_secrets_are_folders_of_the_server_alone_that_the_kubelet_can_swap() -> None:
    found = manifests(values("guarded"))
    pod = one(found, "StatefulSet")["spec"]["template"]["spec"]
    mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for name, path in (("keys", "/keys"), ("tls", "/tls"), ("client", "/client")):
        assert mounts[name] == {"name": name, "mountPath": path, "readOnly": True}  # no subPath
        assert volumes[name]["secret"]["defaultMode"] == 0o440  # the group is fsGroup's
        assert volumes[name]["secret"].get("optional", False) is False  # never open because it is missing
    assert volumes["keys"]["secret"]["items"] == [{"key": "callers.yaml", "path": "keys.yaml"}]
    assert {i["path"] for i in volumes["tls"]["secret"]["items"]} == {"tls.crt", "tls.key", "client-ca.crt"}
    job = one(found, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    others = [*pod["containers"][1:], *job["initContainers"], *job["containers"]]
    for container in others:  # they read the log and the store, and call nobody
        assert not {"keys", "tls", "client"} & {mount["name"] for mount in container["volumeMounts"]}
        assert not any(item["name"].startswith("STAYTRUE_SERVING_TLS") for item in container["env"])


def test_probes_speak_what_the_server_speaks() -> None:
    paths = {"startupProbe": "live", "readinessProbe": "ready", "livenessProbe": "live"}
    for given, scheme in ((KEYS, "HTTP"), (TLS, "HTTPS"), ({**KEYS, **TLS}, "HTTPS")):
        server = pod_of(values("minimal", server=given))["containers"][0]
        for probe, state in paths.items():
            assert server[probe]["httpGet"] == {"path": f"/v2/health/{state}", "port": "http", "scheme": scheme}
    server = pod_of(values("guarded"))["containers"][0]
    for probe, state in paths.items():
        assert "httpGet" not in server[probe]
        program, command, *arguments = server[probe]["exec"]["command"]
        asked = asked_by(arguments)
        assert (program, command, asked.address, asked.live) == (
            "staytrue",
            "ping",
            "https://127.0.0.1:8080",
            state == "live",
        )
        assert (str(asked.certificate), str(asked.certificate_key)) == ("/client/tls.crt", "/client/tls.key")
        assert asked.seconds < server[probe]["timeoutSeconds"]  # its own words, not the kubelet's, say what is wrong
    assert server["startupProbe"]["failureThreshold"] * server["startupProbe"]["periodSeconds"] >= 60


def asked_by(arguments: list[str]) -> argparse.Namespace:
    """A rendered command line of ``staytrue ping``, read as the command reads it."""
    parser = argparse.ArgumentParser()
    ping.configure(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("changes", "address", "model", "shown"),
    [
        ({"insecure": True}, "rest http://rel:8080 grpc grpc://rel:8081", "bikes", []),
        ({"server": KEYS}, "rest http://rel:8080 grpc grpc://rel:8081", "", []),
        (
            {"server": KEYS, "client": {"keySecret": {"name": "key"}}},
            "rest http://rel:8080 grpc grpc://rel:8081",
            "bikes",
            ["key_file"],
        ),
        (
            {"server": TLS, "client": {"tlsSecret": {"name": "caller"}}},
            "rest https://rel.ns.svc:8080 grpc grpcs://rel.ns.svc:8081",
            "bikes",
            ["ca", "certificate", "certificate_key"],
        ),
    ],
)
def test_helm_test_shows_what_it_is_given_and_mounts_no_more(
    changes: dict[str, Any], address: str, model: str, shown: list[str]
) -> None:
    pod = one(manifests(values("minimal", **changes)), "Pod")["spec"]
    named = address.split()
    addresses = dict(zip(named[::2], named[1::2], strict=True))
    mounted = [s["secret"] for v in pod.get("volumes", []) for s in v["projected"]["sources"]]
    files = {f"/client/{item['path']}" for secret in mounted for item in secret["items"]}
    assert "tls.key" not in {i["key"] for secret in mounted if secret["name"] == "bikes-tls" for i in secret["items"]}
    for container in pod["containers"]:
        asked = asked_by(container["args"][1:])
        assert (asked.address, asked.model) == (addresses[container["name"]], model)
        options = ("key_file", "ca", "certificate", "certificate_key")
        given = {name: str(getattr(asked, name)) for name in options if getattr(asked, name)}
        assert sorted(given) == sorted(shown)
        assert set(given.values()) == files


def test_the_admin_port_is_on_the_pods_own_names_alone_and_open_to_whom_the_values_name() -> None:
    found = manifests(values("guarded"))
    ports = {m["metadata"]["name"]: m["spec"]["ports"] for m in found if m["kind"] == "Service"}
    assert [port["name"] for port in ports["rel"]] == ["http", "grpc", "sidecar"]
    assert {"name": "admin", "port": 8082, "targetPort": "admin"} in ports["rel-pods"]
    server = one(found, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "admin", "containerPort": 8082} in server["ports"]
    assert admitted(found) == [[{"podSelector": {"matchLabels": {"team": "models"}}}]]
    assert admitted(manifests(values("guarded", networkPolicy={}))) == []
    assert "admin" not in yaml.safe_dump([m for m in manifests(values("minimal")) if m["kind"] != "ConfigMap"])


def admitted(found: list[dict[str, Any]]) -> list[Any]:
    """Who may reach the admin port."""
    rules = one(found, "NetworkPolicy")["spec"]["ingress"]
    return [rule["from"] for rule in rules if "admin" in {port["port"] for port in rule["ports"]}]


def test_services_say_that_tls_is_spoken_and_prometheus_scrapes_as_before() -> None:
    spoken = {"minimal": ["http", "kubernetes.io/h2c", "http"], "guarded": ["https", "https", "http"]}
    for name, protocols in spoken.items():
        ports = one(manifests(values(name)), "Service", "rel")["spec"]["ports"]
        assert [port["appProtocol"] for port in ports] == protocols
    monitor = one(manifests(values("guarded")), "ServiceMonitor")["spec"]
    assert monitor["endpoints"] == [{"port": "sidecar", "path": "/metrics", "interval": "15s"}]  # its port has no TLS
