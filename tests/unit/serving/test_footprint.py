"""What a server keeps out of its memory: modules that it needs once, or only where somebody asks for what they do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from examples.bikeshare.demo.processes import Service
from tests.needs import linux

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SETTINGS = {"pydantic", "pydantic_core", "yaml", "staytrue.section", "staytrue.settings"}
"""What reads them."""


def imported(modules: str) -> set[str]:
    """All modules that a process has once it has imported these."""
    said = f"import sys, {modules}; print(*sorted(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True).stdout.split())


def test_a_server_imports_neither_what_reads_settings_nor_what_only_some_need() -> None:
    there = imported("serving.commands, serving.workers, serving.app")
    assert "onnxruntime" in there
    assert not (SETTINGS | {"grpc", "google.protobuf", "difflib", "email"}) & there


def test_grpc_comes_without_what_reflection_tells() -> None:
    there = imported("serving.grpc.server")
    assert {"grpc", "serving.grpc.reflection"} < there
    assert not (SETTINGS | {"grpc_reflection.v1alpha", "google.protobuf.descriptor_pb2"}) & there


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a server without a model."""
    services: list[Service] = []
    flags = ["--port", "0", "--store", str(tmp_path / "store"), "--log", str(tmp_path / "events")]

    def start(*more: str) -> Service:
        project = tmp_path / "staytrue.yaml"
        services.append(Service("serve", project if project.exists() else None, tmp_path / "log", *flags, *more))
        return services[-1]

    yield start
    for service in services:
        assert service.stop() == 0


def mapped(process: object) -> str:
    """Files in a process's memory."""
    return Path(f"/proc/{process}/maps").read_text()


@linux
@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_process_of_a_server_keeps_what_read_its_settings(serve: Callable[..., Service], workers: str) -> None:
    first = serve("--grpc-port", "0", "--workers", workers).process.pid
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    assert len(children) == (2 if workers == "2" else 0)
    files = [mapped(process) for process in (first, *children)]
    assert any("cygrpc" in each for each in files)  # of the worker that said where it listens
    assert all("python" in each and "pydantic" not in each and "yaml" not in each for each in files)


@linux
def test_a_server_without_a_port_for_grpc_does_not_hold_it(serve: Callable[..., Service], tmp_path: Path) -> None:
    (tmp_path / "staytrue.yaml").write_text("name: tiny\nserving: {grpc_port: null}\n")
    files = mapped(serve().process.pid)
    assert "onnxruntime" in files
    assert "cygrpc" not in files
