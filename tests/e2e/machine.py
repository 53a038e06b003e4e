"""A pod's containers as processes of this machine, with the folders that the manifests mount under a test's own."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from examples.bikeshare.demo.processes import staytrue
from tests.helm.chart import manifests, one, values
from tests.ports import free_port

PATIENCE_SECONDS = 60
Secrets = dict[str, dict[str, bytes]]


class Machine:
    """A pod's containers as processes of this machine."""

    def __init__(self, root: Path, store: Path, given: dict[str, Any], secrets: Secrets | None = None) -> None:
        self.found = manifests(given)
        self.root, self.secrets = root, secrets or {}
        self.folders = {"/etc/staytrue": root / "config", "/store": store, "/state": root / "state"}
        self.folders |= {"/data": root / "data", "/tmp": root / "scratch"}  # noqa: S108 - the container's own
        self.ports = {port: free_port() for port in (8080, 8081, 8082, 8090)}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        for folder in self.folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        config = yaml.safe_load(one(self.found, "ConfigMap")["data"]["staytrue.yaml"])
        config["store"], runs = self.here(config["store"]), self.here(config["retraining"]["runs"])
        config["retraining"]["runs"] = runs
        (self.folders["/etc/staytrue"] / "staytrue.yaml").write_text(yaml.safe_dump(config))

    def mount(self, pod: dict[str, Any]) -> None:
        """Lay out the Secrets of a pod's volumes; again: swap in what they hold now, as the kubelet does."""
        for volume in pod.get("volumes", []):
            sources = [source["secret"] for source in volume.get("projected", {}).get("sources", [])]
            sources += [volume["secret"] | {"name": volume["secret"]["secretName"]}] if "secret" in volume else []
            if sources:
                files = {item["path"]: self.secrets[s["name"]][item["key"]] for s in sources for item in s["items"]}
                folder = self.root / f"{len(pod['containers'][0]['args'])}-{volume['name']}"
                swap_in(folder, files)
                mounts = pod["containers"][0]["volumeMounts"]
                self.folders[next(m["mountPath"] for m in mounts if m["name"] == volume["name"])] = folder

    def here(self, text: str) -> str:
        """A rendered text with this machine's folders, ports and address."""
        mounted = next((path for path in self.folders if text == path or text.startswith(f"{path}/")), "")
        text = f"{self.folders[mounted]}{text.removeprefix(mounted)}" if mounted else text
        text = str(self.ports.get(int(text), text)) if text.isdecimal() else text
        address = re.fullmatch(r"(\w+)://(?:rel|rel\.ns\.svc|127\.0\.0\.1):(\d+)", text)
        text = f"{address[1]}://127.0.0.1:{self.ports[int(address[2])]}" if address else text
        return text.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - this is what takes it away

    def command(self, container: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
        """Command line and environment of a container: its image's entry point is ``staytrue``."""
        return staytrue(*map(self.here, container["args"])), self.environment(container)

    def environment(self, container: dict[str, Any]) -> dict[str, str]:
        """What a container's processes find, its probes too; the code is this checkout's."""
        named = {item["name"]: self.here(item["value"]) for item in container.get("env", []) if "value" in item}
        return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2]), **named}

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
        if "exec" in probe:
            _, *arguments = map(self.here, probe["exec"]["command"])
            line, limit = staytrue(*arguments), probe["timeoutSeconds"]
            found = subprocess.run(
                line, env=self.environment(container), capture_output=True, check=False, timeout=limit
            )
            return found.returncode == 0
        if "httpGet" in probe:
            wanted = probe["httpGet"]
            secure = wanted.get("scheme") == "HTTPS"
            return http_status(self.ports[named[wanted["port"]]], wanted["path"], secure=secure) == 200
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

    def end(self) -> None:
        """End what still runs."""
        for process in self.running.values():
            if process.poll() is None:
                process.kill()
                process.wait(timeout=10)


def swap_in(folder: Path, files: dict[str, bytes]) -> None:
    """A mounted Secret: links to files of a folder that is behind a link, which alone is swapped."""
    folder.mkdir(parents=True, exist_ok=True)
    filled = folder / f"..{len(list(folder.iterdir()))}"
    filled.mkdir()
    for name, content in files.items():
        (filled / name).write_bytes(content)
    new = folder / "..data_tmp"
    new.symlink_to(filled.name)
    new.replace(folder / "..data")
    for name in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


def http_status(port: int, path: str, *, secure: bool = False) -> int:
    """Status of a GET as the kubelet asks, which takes any certificate; 0 where nobody answers."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=2, context=context) if secure else plain
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
    project["export"] = {"formats": ["onnx"]}
    project["monitoring"] = {"evidently": False}
    project.pop("store", None)
    return values(name, project=project, **changes)
