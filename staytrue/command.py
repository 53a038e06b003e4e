"""``staytrue``: one command, which finds the parts' commands by name and imports a part only when it is asked for."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING, Protocol, cast

from staytrue import __version__
from staytrue.errors import ErrorCode, InvalidConfig, StaytrueError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Command(Protocol):
    """What a part's ``commands`` module holds for each of its commands."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; the exit code."""


COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("staytrue.commands", "write a commented staytrue.yaml for a data file of yours"),
    "train": ("training.commands", "prepare the data and train a model: a run"),
    "export": ("training.commands", "export a run, prove it and publish it as a version"),
    "serve": ("serving.commands", "answer predictions over HTTP"),
    "monitor": ("monitoring.commands", "collect what was served, watch for drift, raise alarms, retrain"),
    "retrain": ("training.commands", "run one retraining job: train, export, gate, promote"),
    "promote": ("staytrue.commands", "make a version the champion"),
    "rollback": ("staytrue.commands", "go back to the champion before"),
    "models": ("staytrue.commands", "list models, versions and who answers"),
    "verify": ("staytrue.commands", "check every byte and proof of a version"),
    "schema": ("staytrue.commands", "print the JSON Schema of staytrue.yaml"),
}
"""Name → module and summary. The module has an object of the command's name that is a :class:`Command`."""

_EXTRAS = {"training": "training", "serving": "serving", "monitoring": "monitoring"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``staytrue``; the exit code is 0, 1 for a failure that was explained, or 2 for wrong usage."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    parser = _overview()
    known = parser.parse_args(argv[:1])
    if known.command is None:
        parser.print_help()
        return 0
    try:
        command = _find(known.command)
        own = argparse.ArgumentParser(prog=f"staytrue {known.command}", description=COMMANDS[known.command][1] + ".")
        command.configure(own)
        return command.run(own.parse_args(argv[1:]))
    except StaytrueError as error:
        print(f"staytrue {known.command}: {error}", file=sys.stderr)
        return 2 if error.code is ErrorCode.INVALID_CONFIG else 1
    except KeyboardInterrupt:
        return 130


def _overview() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="staytrue",
        description="Serve a PyTorch model and keep it true while the world drifts.",
        epilog=f"commands:\n{listing}\n\n`staytrue COMMAND --help` tells more of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"staytrue {__version__}")
    parser.add_argument("command", nargs="?", choices=list(COMMANDS), metavar="COMMAND", help="one of those below")
    return parser


def _find(name: str) -> Command:
    module, _ = COMMANDS[name]
    try:
        return cast("Command", getattr(importlib.import_module(module), name))
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(module.split(".")[0], "")
        raise InvalidConfig(
            f"command {name}", f"needs the package {error.name!r}", hint=f"pip install 'staytrue[{extra}]'"
        ) from error


if __name__ == "__main__":
    raise SystemExit(main())
