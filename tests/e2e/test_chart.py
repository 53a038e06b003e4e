"""What the chart would run, run: the rendered command lines as processes, with their environment and their probes.

Nothing schedules here, and nothing mounts: the folders that the manifests mount stand under the test's own, and ports
are free ones of loopback. Everything else is as rendered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from staytrue.store import Store
from tests.e2e.machine import Machine, given_for
from tests.helm.chart import one

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.e2e


@pytest.fixture
def machine(project: Path, tmp_path: Path) -> Iterator[Machine]:
    """A pod of the smallest values; what still runs at the end is ended."""
    made = Machine(tmp_path / "pod", project.parent / "store", given_for(project.parent, "minimal"))
    yield made
    made.end()


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
