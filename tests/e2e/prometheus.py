"""The real Prometheus and the real Alertmanager, as processes of a test's own on free ports of loopback."""

from __future__ import annotations

import contextlib
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import yaml

from tests.needs import needs
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

START_SECONDS = 30.0


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus that runs."""

    url: str

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """The vector that an expression has now: ``metric`` and ``value`` of each series."""
        return self._result("query", {"query": expression} | ({} if at is None else {"time": str(at)}))

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """The matrix that an expression had: ``metric`` and ``values`` of each series."""
        span = {"query": expression, "start": str(start), "end": str(end), "step": str(step)}
        return self._result("query_range", span)

    def alerts(self) -> list[dict[str, Any]]:
        """Alerts that are pending or fire: ``labels``, ``annotations``, ``state``, ``activeAt``, ``value``."""
        answer = httpx.get(f"{self.url}/api/v1/alerts").raise_for_status().json()
        found: list[dict[str, Any]] = answer["data"]["alerts"]
        return found

    def _result(self, what: str, values: dict[str, str]) -> list[dict[str, Any]]:
        answer = httpx.post(f"{self.url}/api/v1/{what}", data=values)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found


@dataclass(frozen=True)
class Alertmanager:
    """An Alertmanager that runs."""

    url: str

    def alerts(self) -> list[dict[str, Any]]:
        """Alerts that it holds for firing, as its API gives them."""
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/api/v2/alerts").raise_for_status().json()
        return found

    def counted(self, metric: str) -> float:
        """Sum of one of its own metrics over the series of the webhook."""
        lines = httpx.get(f"{self.url}/metrics").raise_for_status().text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(f'{metric}{{integration="webhook"'))


@contextlib.contextmanager
def prometheus(
    folder: Path,
    targets: Mapping[str, str],
    *,
    rules: Path | None = None,
    alertmanager: str | None = None,
    scrape_seconds: float = 1,
) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes ``/metrics`` of targets (job → address, with or without ``http://``)."""
    interval = f"{round(scrape_seconds * 1000)}ms"
    config: dict[str, Any] = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "scrape_configs": [{"job_name": job, **_static(address)} for job, address in targets.items()],
    }
    if rules is not None:
        config["rule_files"] = [str(rules.resolve())]
    if alertmanager is not None:
        config["alerting"] = {"alertmanagers": [_static(alertmanager)]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    data = folder / "tsdb"
    flags = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={data}"]
    with _running(folder, "prometheus", [*flags, "--enable-feature=exemplar-storage"]) as url:
        yield Prometheus(url)


@contextlib.contextmanager
def alertmanager(
    folder: Path,
    webhook_url: str,
    *,
    group_by: Sequence[str] = ("alertname", "model"),
    group_seconds: float = 1,
    repeat_seconds: float = 3600,
    resolve_timeout: str = "5m",
    port: int | None = None,
) -> Iterator[Alertmanager]:
    """Run an Alertmanager with one receiver, which is told of everything, resolutions included."""
    route = {
        "receiver": "webhook",
        "group_by": list(group_by),
        "group_wait": f"{round(group_seconds * 1000)}ms",
        "group_interval": f"{round(group_seconds * 1000)}ms",
        "repeat_interval": f"{round(repeat_seconds * 1000)}ms",
    }
    receiver = {"name": "webhook", "webhook_configs": [{"url": webhook_url, "send_resolved": True}]}
    config = {"global": {"resolve_timeout": resolve_timeout}, "route": route, "receivers": [receiver]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))
    flags = [f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'data'}"]
    with _running(folder, "prometheus-alertmanager", [*flags, "--cluster.listen-address="], port) as url:
        yield Alertmanager(url)


def _static(address: str) -> dict[str, Any]:
    return {"static_configs": [{"targets": [address.removeprefix("http://").rstrip("/")]}]}


@contextlib.contextmanager
def _running(folder: Path, program: str, flags: Sequence[str], port: int | None = None) -> Iterator[str]:
    """A program that listens on a port (None: a free one) and answers ``/-/ready``; its address. Ended at the end."""
    path = needs(program)
    port = free_port() if port is None else port
    log = folder / f"{program}.log"
    with log.open("ab") as output:
        command = [path, *flags, f"--web.listen-address=127.0.0.1:{port}"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        _await(url, process, log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/-/ready").status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"it did not start:\n{log.read_text(errors='replace')[-3000:]}")
