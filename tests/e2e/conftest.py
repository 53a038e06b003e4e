"""A proven model of the bike-sharing example, trained once for all end-to-end tests, and processes that end."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import yaml

from examples.bikeshare.demo.processes import Service
from examples.bikeshare.demo.setup import new_secret, write_project
from tests.command import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Starter = Callable[..., Service]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a project whose first version is published; nobody looks at reports of Evidently, which take long."""
    folder = tmp_path_factory.mktemp("bikes") / "project"
    project = write_project(folder, "http://127.0.0.1:9/nobody", new_secret())
    settings = yaml.safe_load(project.read_text())
    settings["monitoring"]["evidently"] = False
    project.write_text(yaml.safe_dump(settings, sort_keys=False))
    for command in ("train", "export"):
        run(folder, command, "--project", project)
    return folder


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    """A project file of one's own, with the trained model in its store."""
    shutil.copytree(trained, tmp_path / "project")
    return tmp_path / "project" / "staytrue.yaml"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Start staytrue commands; whatever still runs at the end is stopped."""
    services: list[Service] = []

    def starter(command: str, project: Path, *flags: str) -> Service:
        service = Service(command, project, tmp_path / f"{command}-{len(services)}.log", *flags)
        services.append(service)
        return service

    yield starter
    for service in services:
        if service.process.poll() is None:
            service.stop()
        service.close()
