"""The command ``monitor``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from staytrue import project as projects
from staytrue.settings import resolve

if TYPE_CHECKING:
    import argparse

_FLAGS = ("host", "port", "data", "insecure", "poll_seconds")


class Monitor:
    """``staytrue monitor``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        projects.add_flag(parser)
        parser.add_argument("--host", help="address to listen on")
        parser.add_argument("--port", type=int, help="port; 0 for any free one, which is printed")
        parser.add_argument("--log", type=Path, help="folder of the server's event log")
        parser.add_argument("--data", type=Path, help="folder of lake, labels, state and reports")
        parser.add_argument("--poll-seconds", type=float, help="how often the event log is collected")
        parser.add_argument("--insecure", action="store_const", const=True, help="allow an address beyond loopback")

    def run(self, arguments: argparse.Namespace) -> int:
        """Watch until SIGTERM."""
        from monitoring.sidecar import run

        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log the addresses of webhooks, secrets included
        project = projects.load(arguments.project)
        settings = resolve(project.monitoring, "monitoring", {name: getattr(arguments, name) for name in _FLAGS})
        # What the server was told by its environment, above all where its log is, holds for whoever reads that log.
        serving = resolve(project.serving, "serving", {"log": arguments.log})
        project = project.model_copy(update={"serving": serving})
        return run(project, arguments.project.resolve(), settings)


monitor = Monitor()
