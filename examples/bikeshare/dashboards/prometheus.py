"""A Prometheus of one's own on loopback: it scrapes one address each second and answers questions about it."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_SECONDS = 30.0
CONFIG = """\
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - job_name: staytrue
    static_configs: [{targets: ["%s"]}]
"""


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    url: str

    def now(self, expression: str, at: float) -> list[dict[str, Any]]:
        """``metric`` and ``value`` of each series at a time."""
        return self._ask("query", {"query": expression, "time": at})

    def course(self, expression: str, start: float, end: float) -> list[dict[str, Any]]:
        """``metric`` and ``values`` of each series over a span, one a second."""
        return self._ask("query_range", {"query": expression, "start": start, "end": end, "step": 1})

    def _ask(self, what: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(values)}") as answer:  # noqa: S310
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found


@contextlib.contextmanager
def scraping(address: str, folder: Path) -> Iterator[Prometheus]:
    """Run one that scrapes ``/metrics`` of an address, until the end of the block.

    Raises:
        SystemExit: it is not installed, or does not start.
    """
    program = shutil.which("prometheus")
    if program is None:
        raise SystemExit("dashboards: prometheus is not installed: apt-get install prometheus")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(CONFIG % address.removeprefix("http://"), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    flags = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen([program, *flags, f"--web.listen-address={listen}"], stdout=log, stderr=log)
    try:
        yield _started(Prometheus(f"http://{listen}"), process, folder / "log.txt")
    finally:
        process.terminate()
        process.wait(30)


def _started(prometheus: Prometheus, process: subprocess.Popen[bytes], log: Path) -> Prometheus:
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(urllib.error.URLError, OSError):
            if prometheus.now("up == 1", time.time()):
                return prometheus
        time.sleep(0.2)
    raise SystemExit(f"dashboards: prometheus did not start:\n{log.read_text(errors='replace')[-2000:]}")
