"""One TorchServe: its Java process with settings, sockets, logs and temporary files in a folder that is ours alone."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import math
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

from serving.runtimes.torchserve import keeper
from serving.runtimes.torchserve.channel import Channel
from staytrue.errors import CorruptData, DeadlineExceeded, InvalidConfig, StaytrueError, Unavailable
from staytrue.variables import GATEWAY, surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from staytrue.server import TorchServeSection

MARK = "X-Staytrue-Gateway"
"""Header that says to the handler, by a secret, that tensors come as MessagePack, and that we write the event."""
POLL_SECONDS = 0.05
QUICK_SECONDS = 2.0
"""How long the management API may take for what it answers at once when it is well."""
LOOK_SECONDS = 1.0
"""How long it may take to tell how a model is: a Java that hangs is known to within two seconds, the pause included."""
LARGEST_BODY = 1024**3
"""The server in front holds the limit for callers; a body may grow on its way from JSON to bytes."""
TAIL = 600
QUIET_SECONDS, LAST_WORDS_SECONDS = 0.2, 2.0
"""Its log has come to an end when nothing was added for so long; it is not waited for longer."""

_NEEDED = ("ts", "torch", "yaml", "psutil")
_CONFIG = """\
inference_address=unix:{folder}/inference
management_address=unix:{folder}/management
metrics_address=unix:{folder}/metrics
grpc_inference_port={ports[0]}
grpc_management_port={ports[1]}
allowed_urls=file://{folder}/models/.*
enable_model_api=true
token_expiration_min=52560000
enable_envvars_config=false
disable_system_metrics=true
metrics_mode=prometheus
number_of_gpu=0
job_queue_size=1000
max_request_size={largest}
max_response_size={largest}
default_response_timeout={response}
"""
# As shipped, TorchServe writes most of a kilobyte for each request. MODEL_LOG holds why a handler did not load.
_LOGGING = """\
<Configuration>
  <Appenders>
    <RollingFile name="file" fileName="{folder}/log" filePattern="{folder}/log.%i">
      <PatternLayout pattern="%d{{ISO8601}} %p %c - %m%n"/>
      <Policies><SizeBasedTriggeringPolicy size="4 MB"/></Policies>
      <DefaultRolloverStrategy max="1"/>
    </RollingFile>
  </Appenders>
  <Loggers>
    <Logger name="io.netty" level="error"/>
    <Logger name="MODEL_LOG" level="info">
      <RegexFilter regex=".*Backend received inference.*" onMatch="DENY" onMismatch="NEUTRAL"/>
    </Logger>
    <Root level="warn"><AppenderRef ref="file"/></Root>
  </Loggers>
</Configuration>
"""


class Server:
    """A TorchServe that has started. It ends with this process, however that ends.

    Args:
        ended: set by another thread, gives up the wait for the start.
        threads: of each worker.

    Raises:
        InvalidConfig: Java or a package is missing, or TorchServe ended at once.
        Unavailable: it did not answer in its time.
    """

    def __init__(self, settings: TorchServeSection, ended: threading.Event | None = None, *, threads: int = 1) -> None:
        java = installed(settings)
        self._settings = settings
        secret = secrets.token_hex()
        given = {GATEWAY: secret, "STAYTRUE_SERVING_THREADS": str(threads)}
        self._folder = Path(tempfile.mkdtemp(prefix="torchserve-"))  # short: the path of a socket has 107 bytes
        try:
            self._process = _start(java, self._folder, settings, given)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        try:
            tokens = self._wait(ended or threading.Event())
        except BaseException:
            self.close()
            raise
        self._management = Channel(self._folder / "management", tokens["management"]["key"])
        self.inference = Channel(self._folder / "inference", tokens["inference"]["key"], {MARK: secret})

    @property
    def alive(self) -> bool:
        """Whether the process is still there."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process that keeps Java."""
        return self._process.pid

    def register(self, name: str, archive: Path, *, wait: bool = True) -> None:
        """Load an archive under a name; by default, wait until its workers have loaded it.

        Raises:
            CorruptData: TorchServe, or the handler inside, does not load it.
            DeadlineExceeded: it took too long.
            Unavailable: TorchServe is gone.
        """
        link = self._folder / "models" / f"{name}.mar"
        link.unlink(missing_ok=True)
        link.symlink_to(archive.resolve())
        start = math.ceil(self._settings.start_seconds)
        wanted = {
            "url": link.name,
            "model_name": name,
            "initial_workers": self._settings.workers,
            "synchronous": str(wait).lower(),
            "batch_size": 1,
            "response_timeout": response_seconds(self._settings),
            "startup_timeout": start,
        }
        status, body = self._management.ask("POST", f"/models?{urlencode(wanted)}", seconds=start + QUICK_SECONDS)
        if status not in {200, 202}:
            link.unlink(missing_ok=True)
            raise CorruptData(str(archive), f"TorchServe does not load it: {said(body)}", hint=self._last_words())

    def unregister(self, name: str) -> None:
        """Let go of a model; what is not there, or a TorchServe that is gone, is let go of already."""
        with contextlib.suppress(Unavailable, DeadlineExceeded):
            self._management.ask("DELETE", f"/models/{name}", seconds=QUICK_SECONDS)
        (self._folder / "models" / f"{name}.mar").unlink(missing_ok=True)

    def workers(self, name: str) -> list[dict[str, Any]]:
        """State of each worker of a model, as TorchServe tells it: ``status`` is READY for one that answers.

        Raises:
            DeadlineExceeded: no answer. Unavailable: TorchServe is gone.
        """
        try:
            return self._workers(name, LOOK_SECONDS / 2)
        except DeadlineExceeded:  # a model that loads holds one of TorchServe's threads: a new connection has another
            return self._workers(name, LOOK_SECONDS / 2)

    def tail(self) -> str:
        """The end of what it has written, for the errors that it explains."""
        text = ""
        for name in ("output", "log"):
            with contextlib.suppress(OSError):
                text += (self._folder / name).read_text(encoding="utf-8", errors="replace")
        lines = [line for line in text.splitlines() if line.strip()]
        return " | ".join(lines)[-TAIL:]

    def _last_words(self) -> str:
        """The end of what it has written once it writes no more: its log comes behind its answers."""
        told, until = self.tail(), time.monotonic() + LAST_WORDS_SECONDS
        while time.monotonic() < until:
            time.sleep(QUIET_SECONDS)
            before, told = told, self.tail()
            if before == told:
                break
        return told

    def close(self) -> None:
        """End it; whoever waits for an answer gets none. Once more does nothing."""
        for channel in (getattr(self, "_management", None), getattr(self, "inference", None)):
            if channel is not None:
                channel.close()
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(QUICK_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _workers(self, name: str, seconds: float) -> list[dict[str, Any]]:
        status, body = self._management.ask("GET", f"/models/{name}", seconds=seconds)
        found: list[dict[str, Any]] = json.loads(body)[0]["workers"] if status == 200 else []
        return found

    def _wait(self, ended: threading.Event) -> dict[str, Any]:
        """Until the management API answers; the tokens that TorchServe has drawn."""
        end = time.monotonic() + self._settings.start_seconds
        while time.monotonic() < end and not ended.wait(POLL_SECONDS):
            if not self.alive:
                raise InvalidConfig("TorchServe", f"ended at its start: {self.tail() or 'without a word'}")
            with contextlib.suppress(OSError, json.JSONDecodeError, StaytrueError):
                tokens: dict[str, Any] = json.loads((self._folder / "key_file.json").read_text(encoding="utf-8"))
                channel = Channel(self._folder / "management", tokens["management"]["key"])
                status, _ = channel.ask("GET", "/models", seconds=QUICK_SECONDS)
                channel.close()
                if status == 200:
                    return tokens
        raise Unavailable("TorchServe", f"did not start within {self._settings.start_seconds:g} s", hint=self.tail())


def installed(settings: TorchServeSection) -> str:
    """Path of Java, where all that TorchServe needs is here.

    Raises:
        InvalidConfig: says what is missing and how to get it.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        hint = "pip install -e '.[torchserve]'"
        raise InvalidConfig("TorchServe", f"needs the packages {', '.join(missing)}", hint=hint)
    java = shutil.which(settings.java)
    if java is None:
        hint = "install it (apt-get install openjdk-17-jre-headless), or say in serving.torchserve.java where it is"
        raise InvalidConfig("TorchServe", f"needs Java 17 or newer; there is no program {settings.java!r}", hint=hint)
    return java


def version() -> str:
    """``TorchServe 0.12.0``."""
    return f"TorchServe {importlib.metadata.version('torchserve')}"


def response_seconds(settings: TorchServeSection) -> int:
    """When TorchServe takes a worker for stuck and starts another: after our own deadline, which tells the caller."""
    return math.ceil(settings.timeout_seconds) + 1


def said(body: bytes) -> str:
    """The message in an answer of TorchServe's that is an error."""
    try:
        return str(json.loads(body)["message"])[:300]
    except (ValueError, KeyError, TypeError):
        return body[:300].decode("utf-8", "replace")


def _start(java: str, folder: Path, settings: TorchServeSection, given: Mapping[str, str]) -> subprocess.Popen[bytes]:
    (folder / "models").mkdir()
    (folder / "tmp").mkdir()
    config, logging = folder / "config.properties", folder / "log4j2.xml"
    config.write_text(
        _CONFIG.format(folder=folder, ports=_free_ports(2), largest=LARGEST_BODY, response=response_seconds(settings)),
        encoding="utf-8",
    )
    logging.write_text(_LOGGING.format(folder=folder), encoding="utf-8")
    spec = importlib.util.find_spec("ts")
    assert spec is not None  # noqa: S101 - see installed()
    assert spec.submodule_search_locations is not None  # noqa: S101 - it is a package
    package = Path(spec.submodule_search_locations[0])
    command = [
        *(java, f"-Xmx{settings.heap_megabytes}m", f"-Djava.io.tmpdir={folder / 'tmp'}"),
        *(f"-Dmodel_server_home={package.parent}", f"-Dlog4j.configurationFile=file://{logging}"),
        *("-cp", str(package / "frontend" / "*"), "org.pytorch.serve.ModelServer"),
        *("--python", sys.executable, "-f", str(config), "-s", str(folder / "models"), "-ncs"),
    ]
    with (folder / "output").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", keeper.__file__, str(folder), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=surroundings(given),  # Java's workers have it too
            start_new_session=True,  # Ctrl-C in a terminal is for us: we drain, then end it
        )


def _free_ports(count: int) -> list[int]:
    """Ports for gRPC, which cannot be switched off; nobody calls it, and nobody could without our token."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports
