"""The chart's pod with keys, certificates and an admin port: probes pass, keys change, strangers get nothing.

Secrets lie as the kubelet lays them: links to a folder behind a link, which is what a change swaps.
"""

from __future__ import annotations

import http.client
import json
import shutil
import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from serving.keyring import Key, digest_of, write
from serving.keys import new_secret
from staytrue.segments import writers
from tests.certificates import Paper
from tests.e2e.machine import Machine, given_for, http_status
from tests.helm.chart import one

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from serving.keyring import Scope

pytestmark = pytest.mark.e2e
PATIENCE_SECONDS = 30


def keys_file(folder: Path, secrets: dict[str, tuple[str, Scope]]) -> bytes:
    """A keys file of names, their keys and scopes, as `staytrue keys` writes it."""
    path = folder / "keys.yaml"
    made = (Key(name=n, digest=digest_of(key), scopes=frozenset({scope})) for n, (key, scope) in secrets.items())
    write(path, tuple(made))
    return path.read_bytes()


class Guarded:
    """The pod of the values `guarded`, and a caller of it."""

    def __init__(self, project: Path, root: Path) -> None:
        root.mkdir()
        self.root, self.shop, self.ops, self.old = root, new_secret(), new_secret(), new_secret()
        ours = Paper(root, "ours")
        server, caller = ours.issue("server", "bikes.example"), ours.issue("caller")
        pairs = {"bikes-tls": server, "bikes-client-tls": caller}
        secrets = {n: {"tls.crt": p[0].read_bytes(), "tls.key": p[1].read_bytes()} for n, p in pairs.items()}
        secrets["bikes-tls"]["ca.crt"] = ours.ca.read_bytes()
        secrets["staytrue-test-key"] = {"key": self.shop.encode()}
        self.held: dict[str, tuple[str, Scope]] = {"shop": (self.shop, "predict"), "ops": (self.ops, "admin")}
        secrets["staytrue-keys"] = {"callers.yaml": keys_file(root, {**self.held, "old": (self.old, "predict")})}
        given = given_for(project.parent, "guarded")
        self.machine = Machine(root / "pod", project.parent / "store", given, secrets)
        self.pod = one(self.machine.found, "StatefulSet")["spec"]["template"]["spec"]
        self.machine.mount(self.pod)
        self.name = given["project"]["name"]
        self.context = ssl.create_default_context(cafile=str(ours.ca))
        self.context.load_cert_chain(*caller)

    def ask(self, port: int, path: str, key: str, method: str = "GET") -> tuple[int, Any]:
        """Status and answer."""
        at = self.machine.ports[port]
        connection = http.client.HTTPSConnection("127.0.0.1", at, timeout=10, context=self.context)
        try:
            connection.request(method, path, headers={"Authorization": f"Bearer {key}"} if key else {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()


@pytest.fixture(scope="module")
def guarded(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Server and sidecar, started and past their probes."""
    root = tmp_path_factory.mktemp("guarded")
    shutil.copytree(trained, root / "project")
    made = Guarded(root / "project" / "staytrue.yaml", root / "machine")
    try:
        for container in made.pod["containers"]:
            made.machine.start(container)
        for container in made.pod["containers"]:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                made.machine.wait(container, probe)
        yield made
    finally:
        made.machine.end()


def test_the_pod_passes_its_probes_and_answers_who_shows_key_and_certificate(guarded: Guarded) -> None:
    model = f"/v2/models/{guarded.name}"
    assert http_status(guarded.machine.ports[8080], "/v2/health/ready", secure=True) == 0  # no certificate shown
    assert guarded.ask(8080, "/v2/health/ready", "")[0] == 200
    assert guarded.ask(8080, model, "")[0] == 401
    assert guarded.ask(8080, model, guarded.ops)[0] == 403
    assert guarded.ask(8080, model, guarded.shop)[1]["versions"] == ["1"]
    unload = f"/v2/repository/models/{guarded.name}/unload"
    assert guarded.ask(8082, unload, guarded.shop, "POST")[0] == 403
    assert guarded.ask(8082, unload, guarded.ops, "POST")[0] == 200
    assert guarded.ask(8080, f"{model}/ready", guarded.shop)[0] == 503
    assert guarded.ask(8082, unload.replace("unload", "load"), guarded.ops, "POST")[0] == 200
    tested = one(guarded.machine.found, "Pod")["spec"]
    guarded.machine.mount(tested)
    for container in tested["containers"]:
        assert f"{guarded.name} version 1 is ready" in guarded.machine.finish(container)
    assert http_status(guarded.machine.ports[8090], "/metrics") == 200


def test_a_changed_secret_is_taken_up_without_a_restart(guarded: Guarded) -> None:
    model, new = f"/v2/models/{guarded.name}", new_secret()
    assert [guarded.ask(8080, model, key)[0] for key in (guarded.old, new)] == [200, 401]
    held = keys_file(guarded.root, {**guarded.held, "new": (new, "predict")})
    guarded.machine.secrets["staytrue-keys"] = {"callers.yaml": held}
    guarded.machine.mount(guarded.pod)
    end = time.monotonic() + PATIENCE_SECONDS
    while (told := [guarded.ask(8080, model, key)[0] for key in (guarded.old, new)]) != [401, 200]:
        assert time.monotonic() < end, told
        time.sleep(0.1)
    assert guarded.ask(8080, model, guarded.shop)[0] == 200
    assert guarded.machine.running["server"].poll() is None


def test_several_workers_of_a_pod_take_the_rendered_configuration(project: Path, tmp_path: Path) -> None:
    given = given_for(project.parent, "minimal")
    given["project"]["serving"] = {**given["project"].get("serving", {}), "workers": 2}
    machine = Machine(tmp_path / "pod", project.parent / "store", given)
    server = one(machine.found, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    assert yaml.safe_load(one(machine.found, "ConfigMap")["data"]["staytrue.yaml"])["serving"]["workers"] == 2
    try:
        machine.start(server)
        for probe in ("startupProbe", "readinessProbe"):
            machine.wait(server, probe)
        end, log = time.monotonic() + PATIENCE_SECONDS, machine.folders["/state"] / "events"
        while len(writers(log)) < 2:  # the other one may still be starting
            assert time.monotonic() < end
            time.sleep(0.1)
        process = machine.running["server"]
        process.terminate()
        assert process.wait(timeout=40) == 0
    finally:
        machine.end()
