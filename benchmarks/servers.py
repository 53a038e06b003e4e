"""The servers that are measured: how each is started with a model, and how it is asked."""

from __future__ import annotations

import re
import shutil
import socket
import statistics
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from benchmarks.client import Figures, Order
from benchmarks.environments import NotMeasured, python
from benchmarks.loads import Load
from benchmarks.peers import PEERS
from benchmarks.processes import Running
from serving import keyring
from serving.keys import new_secret
from staytrue.server import ServingSection

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.models import Model

UNBATCHED = "max_batch_rows: 1"
"""The setting that turns batching off; a server that has no such setting does not batch."""
OURS = {
    "staytrue": "Staytrue",
    "unbatched": "Staytrue, batching off",
    "unlogged": "Staytrue, log keeps nothing",
    "keyed": "Staytrue, with an API key",
}
TITLES = OURS | {name: peer.title for name, peer in PEERS.items()}
START_SECONDS = 60.0
STARTS = 3
"""Of Staytrue, for the median."""
_PROJECT = """\
name: bench
data: {{source: none.csv, time: t, target: y, features: {{x: {{kind: numeric}}}}}}
serving: {{log: {log}, log_max_bytes: 1000000000000{more}}}
"""


class Client:
    """The process that asks."""

    def __init__(self, core: int | None) -> None:
        self._process = Running([sys.executable, "-m", "benchmarks.client"], core)

    def ask(self, order: Order) -> Figures:
        """Measure a window."""
        return msgspec.json.decode(self._process.ask(msgspec.json.encode(order)), type=Figures)

    def cpu_seconds(self) -> float:
        """Processor time so far."""
        return self._process.cpu_seconds()

    def stop(self) -> None:
        """End it."""
        self._process.stop()


@dataclass
class Server:
    """One that runs."""

    name: str
    model: Model
    process: Running
    ports: dict[str, int]
    """By form."""
    path: str = "/v2/models/bench/infer"
    log: Path | None = None
    key: str = ""
    """That it wants."""
    start_seconds: float = 0.0
    """To its first right answer."""
    idle_bytes: float = 0.0
    """Resident then."""

    def order(self, load: Load, seconds: float) -> Order:
        """A window of it."""
        return Order(
            folder=str(self.model.folder),
            host="127.0.0.1",
            port=self.ports[load.form],
            path=self.path,
            form=load.form,
            connections=load.connections,
            seconds=seconds,
            ids=load.ids,
            key=self.key,
        )

    def tidy(self) -> None:
        """Delete what the sidecar would have collected: all of the event log but what is being written."""
        for folder in self.log.iterdir() if self.log and self.log.exists() else []:
            for old in sorted(folder.glob("*.seg*"))[:-1] if folder.is_dir() else []:
                old.unlink()

    def logged_bytes(self) -> int:
        """In the event log."""
        return sum(path.stat().st_size for path in self.log.rglob("*") if path.is_file()) if self.log else 0

    def stop(self) -> None:
        """End it."""
        self.process.stop()
        if self.log:
            shutil.rmtree(self.log, ignore_errors=True)


def start(name: str, model: Model, core: int | None, client: Client) -> Server:
    """Start a server and wait for its first right answer.

    Raises:
        NotMeasured: it cannot be installed or started, or its answer is wrong.
    """
    server = _ours(name, model, core) if name in OURS else _peer(name, model, core)
    form, said = next(iter(server.ports)), "nothing"

    def answers() -> bool:
        nonlocal said
        said = client.ask(server.order(Load(form, 1), 0.0)).error
        return not said

    try:
        server.start_seconds = server.process.wait(answers, START_SECONDS)
        server.idle_bytes = server.process.resident_bytes()
    except NotMeasured as error:
        server.stop()
        raise NotMeasured(f"{error} ({said})" if said else str(error)) from error
    except BaseException:
        server.stop()
        raise
    return server


def start_seconds(name: str, model: Model, core: int | None, client: Client) -> float:
    """Median of several starts, one after the other."""
    times = []
    for _ in range(STARTS):
        server = start(name, model, core, client)
        times.append(server.start_seconds)
        server.stop()
    return statistics.median(times)


def _ours(name: str, model: Model, core: int | None) -> Server:
    folder = model.folder / name
    folder.mkdir(exist_ok=True)
    log = folder / "events"
    key = UNBATCHED.partition(":")[0]
    more = f", {UNBATCHED}" if name == "unbatched" and key in ServingSection.model_fields else ""
    project = folder / "staytrue.yaml"
    project.write_text(_PROJECT.format(log=log, more=more))
    module = "benchmarks.unlogged" if name == "unlogged" else "staytrue"
    flags = ["--project", str(project), "--store", str(model.folder / "store"), "--port", "0", "--grpc-port", "0"]
    secret = _key(folder / "keys.yaml") if name == "keyed" else ""
    if secret:
        flags += ["--keys", str(folder / "keys.yaml")]
    process = Running([sys.executable, "-m", module, "serve", *flags], core, folder / "printed.log")
    server = Server(name, model, process, {}, log=log, key=secret)

    def told() -> bool:
        text = process.printed()
        rest = re.search(r"listening on http://[^:]+:(\d+)", text)
        rpc = re.search(r"grpc listening on [^:]+:(\d+)", text)
        if rest and rpc:
            server.ports = {"json": int(rest[1]), "binary": int(rest[1]), "grpc": int(rpc[1])}
        return bool(rest and rpc)

    try:
        process.wait(told, START_SECONDS)
    except BaseException:
        server.stop()
        raise
    return server


def _key(file: Path) -> str:
    """A key that may predict, as often as it likes; its hash is in the file."""
    secret = new_secret()
    key = keyring.Key(name="bench", digest=keyring.digest_of(secret), scopes=frozenset({"predict"}), limit=None)
    keyring.write(file, (key,))
    return secret


def _peer(name: str, model: Model, core: int | None) -> Server:
    peer = PEERS[name]
    program = python(name) if peer.alone else sys.executable
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = model.folder / name
    folder.mkdir(exist_ok=True)
    command = [program, "-m", f"benchmarks.peers.{name}", str(model.path), str(port), str(folder)]
    process = Running(command, core, folder / "printed.log")
    return Server(name, model, process, dict.fromkeys(peer.forms, port), path=peer.path)
