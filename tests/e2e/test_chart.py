"""What the chart would run, run: the rendered command lines as processes, with their environment and their probes.

Nothing schedules here, and nothing mounts: the folders that the manifests mount stand under the test's own, and ports
are free ones of loopback. Everything else is as rendered.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from examples.bikeshare.demo.processes import staytrue
from staytrue.store import Store
from tests.helm.chart import manifests, one, values
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.e2e
PATIENCE_SECONDS = 60


class Machine:
    """A pod's containers as processes of this machine."""

    def __init__(self, root: Path, store: Path, given: dict[str, Any]) -> None:
        self.found = manifests(given)
        self.folders = {"/etc/staytrue": root / "config", "/store": store, "/state": root / "state"}
        self.folders |= {"/data": root / "data", "/tmp": root / "scratch"}  # noqa: S108 - the container's own
        self.ports = {port: free_port() for port in (8080, 8081, 8090)}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        for folder in self.folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        config = yaml.safe_load(one(self.found, "ConfigMap")["data"]["staytrue.yaml"])
        config["store"], runs = self.here(config["store"]), self.here(config["retraining"]["runs"])
        config["retraining"]["runs"] = runs
        (self.folders["/etc/staytrue"] / "staytrue.yaml").write_text(yaml.safe_dump(config))

    def here(self, text: str) -> str:
        """A rendered text with this machine's folders, ports and address."""
        mounted = next((path for path in self.folders if text == path or text.startswith(f"{path}/")), "")
        text = f"{self.folders[mounted]}{text.removeprefix(mounted)}" if mounted else text
        text = str(self.ports.get(int(text), text)) if text.isdecimal() else text
        for port, free in self.ports.items():
            text = text.replace(f"://rel:{port}", f"://127.0.0.1:{free}")
        return text.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - this is what takes it away

    def command(self, container: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
        """Command line and environment of a container: its image's entry point is ``staytrue``."""
        environment = {item["name"]: self.here(item["value"]) for item in container.get("env", []) if "value" in item}
        arguments = [self.here(argument) for argument in container["args"]]
        return staytrue(*arguments), {"PATH": "/usr/bin:/bin", **environment}

    def start(self, container: dict[str, Any]) -> None:
        """Run a container that stays."""
        line, environment = self.command(container)
        self.running[container["name"]] = subprocess.Popen(line, env=environment, cwd=self.folders["/state"])

    def finish(self, container: dict[str, Any]) -> str:
        """Run a container that ends; what it printed."""
        line, environment = self.command(container)
        done = subprocess.run(line, env=environment, cwd=self.folders["/state"], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def passes(self, container: dict[str, Any], probe: dict[str, Any]) -> bool:
        """What the kubelet would find."""
        named = {port["name"]: port["containerPort"] for port in container["ports"]}
        if "httpGet" in probe:
            wanted = probe["httpGet"]
            return http_status(self.ports[named[wanted["port"]]], wanted["path"]) == 200
        port = self.ports[named[probe["tcpSocket"]["port"]]]
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    def wait(self, container: dict[str, Any], probe: str) -> None:
        """Probe as often as the manifest allows until it passes."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not self.passes(container, container[probe]):
            assert self.running[container["name"]].poll() is None, f"{container['name']} ended"
            assert time.monotonic() < end, f"{container['name']}: {probe} does not pass"
            time.sleep(0.05)


def http_status(port: int, path: str) -> int:
    """Status of a GET; 0 where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def given_for(trained: Path, name: str, **changes: Any) -> dict[str, Any]:
    """One of the chart's value sets for the trained project."""
    project = yaml.safe_load((trained / "staytrue.yaml").read_text(encoding="utf-8"))
    project["data"]["source"] = str((trained / project["data"]["source"]).resolve())
    project["training"] = {**project.get("training", {}), "epochs": 2}
    project["monitoring"] = {"evidently": False}
    project.pop("store", None)
    return values(name, project=project, **changes)


@pytest.fixture
def machine(project: Path, tmp_path: Path) -> Iterator[Machine]:
    """A pod of the smallest values; what still runs at the end is ended."""
    made = Machine(tmp_path / "pod", project.parent / "store", given_for(project.parent, "minimal"))
    yield made
    for process in made.running.values():
        if process.poll() is None:
            process.kill()
            process.wait(timeout=10)


def test_server_and_sidecar_run_pass_their_probes_and_end_in_order(machine: Machine, project: Path) -> None:
    pod = one(machine.found, "StatefulSet")["spec"]["template"]["spec"]
    server, sidecar = pod["containers"]
    for container in (server, sidecar):
        machine.start(container)
    for container in (server, sidecar):
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            machine.wait(container, probe)
    with grpc.insecure_channel(f"127.0.0.1:{machine.ports[8081]}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=5).status == health_pb2.HealthCheckResponse.SERVING
    name = yaml.safe_load(project.read_text())["name"]
    pinged = {c["name"]: machine.finish(c) for c in one(machine.found, "Pod")["spec"]["containers"]}
    assert all(f"{name} version 1 is ready" in said for said in pinged.values())
    assert sorted(pinged) == ["grpc", "rest"]
    for container in (sidecar, server):
        machine.running[container["name"]].terminate()
    assert [machine.running[c["name"]].wait(timeout=30) for c in (server, sidecar)] == [0, 0]
    assert any((machine.folders["/state"] / "events").iterdir())


def test_models_are_fetched_before_the_server_starts(project: Path, tmp_path: Path) -> None:
    address = f"file://{project.parent / 'store'}"
    models = {"source": "object", "object": address}
    machine = Machine(tmp_path / "pod", tmp_path / "store", given_for(project.parent, "object-store", models=models))
    pod = one(machine.found, "StatefulSet")["spec"]["template"]["spec"]
    assert "champion 1" in machine.finish(pod["initContainers"][0])
    assert Store(tmp_path / "store").models()


def test_the_retraining_job_trains_and_publishes(project: Path, tmp_path: Path) -> None:
    store = project.parent / "store"
    machine = Machine(tmp_path / "pod", store, given_for(project.parent, "minimal", retraining={"enabled": True}))
    pod = one(machine.found, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    machine.finish(pod["initContainers"][0])
    assert "version 2" in machine.finish(pod["containers"][0])
    name = Store(store).models()[0]
    assert Store(store).versions(name) == ["1", "2"]
    assert Store(store).aliases(name).champion == "1"  # nobody promoted it
