"""The commands ``monitor`` and ``rules``."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from staytrue import logs
from staytrue import project as projects
from staytrue.errors import InvalidConfig
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

        logs.configure()
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log the addresses of webhooks, secrets included
        project = projects.load(arguments.project)
        settings = resolve(project.monitoring, "monitoring", {name: getattr(arguments, name) for name in _FLAGS})
        # What the server was told by its environment, above all where its log is, holds for whoever reads that log.
        serving = resolve(project.serving, "serving", {"log": arguments.log})
        project = project.model_copy(update={"serving": serving})
        return run(project, arguments.project.resolve(), settings)


class Rules:
    """``staytrue rules``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        parser.add_argument("action", choices=["export"], help="write the rules as a file for Prometheus' rule_files")
        parser.add_argument("--output", type=Path, metavar="FILE", help="file to write (default: standard output)")
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="change a threshold, error_share=0.01; may be given several times",
        )

    def run(self, arguments: argparse.Namespace) -> int:
        """Write the rules."""
        from monitoring.display.rules import RulePolicy, to_yaml

        text = to_yaml(resolve(RulePolicy(), "rules", _settings(arguments.set)))
        if arguments.output is None:
            print(text, end="")
            return 0
        try:
            arguments.output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InvalidConfig(f"--output {arguments.output}", f"cannot be written: {error.strerror}") from error
        return 0


def _settings(given: list[str]) -> dict[str, Any]:
    """``NAME=VALUE`` of each; a list is given as JSON, as in the environment."""
    settings: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidConfig("--set", expected="NAME=VALUE", got=text[:80])
        try:
            settings[name] = json.loads(value) if value[:1] == "[" else value
        except json.JSONDecodeError as error:
            raise InvalidConfig(f"--set {name}", expected='JSON, ["a", "b"]', got=value[:80]) from error
    return settings


monitor = Monitor()
rules = Rules()
