"""Servers as processes of their own for tests under load, ended with the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from examples.bikeshare.demo.processes import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start servers of the store in the test's folder, with settings of their own; what still runs is killed."""
    services: list[Service] = []

    def starter(*flags: str, **settings: Any) -> Service:
        features = {"x": {"kind": "numeric"}}
        project = {
            "name": "none",
            "store": "store",
            "data": {"source": "none.csv", "time": "t", "target": "y", "features": features},
            "serving": {"log": "events", **settings},
        }
        path = tmp_path / "staytrue.yaml"
        path.write_bytes(msgspec.yaml.encode(project))
        log = tmp_path / f"serve-{len(services)}.log"
        services.append(Service("serve", path, log, "--port", "0", "--grpc-port", "0", *flags))
        return services[-1]

    yield starter
    for service in services:
        if service.process.poll() is None:
            service.kill()
        service.close()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what was measured."""
    for report in terminalreporter.stats.get("passed", []):
        for name, figures in report.user_properties:
            terminalreporter.write_line(f"{name}: {figures}")
